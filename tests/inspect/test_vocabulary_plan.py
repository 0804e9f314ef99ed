"""The plan of a vocabulary's build in words: what to fetch, what is there, which entries, and how long it takes."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from curation.inspect.vocabulary_plan import Place, places, plan_lines
from curation.recipe import load_vocabulary_recipe
from curation.recipe.vocabulary import Bigrams, Limits, VocabularyRecipe

METADATA = Path(__file__).resolve().parents[2] / "metadata"
GB = 1_000_000_000
DUMP = {"about": "the dump", "url": "https://dumps/x", "size_mb": 3600, "licence": "free"}
VIEWS = {"about": "page views", "url": "https://views/x", "files": 9, "size_mb": 57_600, "licence": "free"}
TITLES = {"kind": "titles", "paths": ["views/*.gz"]}
WIKIPEDIA = {"paths": ["dumps/{wiki}wiki-*-multistream.xml.bz2"]}
SPARK = "  and Spark's start, summing and choosing, which these figures leave out"


def recipe(folder: Path, **tree: Any) -> VocabularyRecipe:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "lang": "en", "sources": [{"kind": "numbers"}], **tree}))
    return load_vocabulary_recipe(path)


def lay(folder: Path, name: str, size_bytes: int) -> None:
    """A file of so many bytes that takes no room."""
    (folder / name).parent.mkdir(exist_ok=True)
    with (folder / name).open("wb") as file:
        file.truncate(size_bytes)


def section(lines: list[str], head: str) -> list[str]:
    """The line that begins so, and the indented ones below it."""
    start = next(at for at, line in enumerate(lines) if line.startswith(head))
    below = (at for at in range(start + 1, len(lines)) if not lines[at].startswith(" "))
    return lines[start : next(below, len(lines))]


def timed(planned: VocabularyRecipe, cores: int | None = None) -> list[str]:
    return section(plan_lines(planned, cores), "time")


def fetched(planned: VocabularyRecipe) -> list[str]:
    return section(plan_lines(planned), "to fetch")


def rule(*sources: dict[str, Any], folder: Path) -> list[str]:
    """The rules of all sources, as the table has them."""
    planned = recipe(folder, sources=list(sources), wikipedia=WIKIPEDIA)
    return [line[41:80].strip() for line in section(plan_lines(planned), "entries")[1:]]


# time


def test_time_is_of_dumps_and_of_views_shared_by_the_cores(tmp_path: Path) -> None:
    """3,600 MB at 1 MB/s and 57,600 MB at 16 MB/s are an hour each."""
    planned = recipe(tmp_path, sources=[TITLES], wikipedia=WIKIPEDIA, downloads=[DUMP, VIEWS])
    head = "time: 3.6 GB of dumps at 1 MB, 57.6 GB of page views, read once per language, at 16 MB a second and core"
    assert timed(planned) == [head, SPARK, "      1 core   2.0 h", "     16 cores  8 min", "     64 cores  112 s"]
    assert timed(planned, 2) == [head, SPARK, "      2 cores  60 min"]


def test_a_source_of_which_there_is_nothing_is_not_told(tmp_path: Path) -> None:
    downloads = [DUMP, VIEWS]
    dumps = recipe(tmp_path, wikipedia=WIKIPEDIA, downloads=downloads)
    assert timed(dumps, 1) == ["time: 3.6 GB of dumps at 1 MB a second and core", SPARK, "      1 core   60 min"]
    views = recipe(tmp_path, sources=[TITLES], downloads=downloads)
    assert timed(views, 1) == [
        "time: 57.6 GB of page views, read once per language, at 16 MB a second and core", SPARK,
        "      1 core   60 min",
    ]  # fmt: skip
    assert timed(recipe(tmp_path, downloads=downloads)) == ["time: under a minute"]


def test_what_is_there_counts_and_not_what_was_announced(tmp_path: Path) -> None:
    lay(tmp_path, "dumps/enwiki-1-multistream.xml.bz2", 7200_000_000)
    lay(tmp_path, "views/1.gz", 50 * 16_000_000)
    lay(tmp_path, "views/2.gz", 50 * 16_000_000)
    planned = recipe(tmp_path, sources=[TITLES], wikipedia=WIKIPEDIA, downloads=[DUMP, VIEWS])
    head = "time: 7.2 GB of dumps at 1 MB, 1.6 GB of page views, read once per language, at 16 MB a second and core"
    assert timed(planned, 100) == [head, SPARK, "    100 cores  73 s"]


def test_a_dump_of_one_stream_takes_one_core_however_many_there_are(tmp_path: Path) -> None:
    for name, gb in (("1-multistream.xml.bz2", 8), ("2.xml.bz2", 1), ("3.xml.bz2", 2), ("4.xml", 5)):
        lay(tmp_path, f"multistream/enwiki-{name}", gb * GB)
    planned = recipe(tmp_path, wikipedia={"paths": ["multistream/enwiki-[12]*", "multistream/enwiki-[34]*"]})
    told = "  never less than one core takes for 2.0 GB, the largest dump file of one bzip2 stream"
    assert timed(planned, 4)[2:] == [told, "      4 cores  67 min"]  # 16,000 s of work in four
    assert timed(planned, 16)[2:] == [told, "     16 cores  33 min"]  # not 1,000 s but 2,000 s


def test_dumps_yet_to_be_fetched_are_of_one_stream_where_the_path_says_so(tmp_path: Path) -> None:
    downloads = [{**DUMP, "url": "https://dumps/{wiki}", "files": 3}, VIEWS]
    paths = ["dumps/{wiki}wiki-*.xml.bz2"]
    planned = recipe(tmp_path, lang="be", wikipedia={"paths": paths}, downloads=downloads)
    told = "  never less than one core takes for 600 MB, the largest dump file of one bzip2 stream"
    assert timed(planned, 64)[2:] == [told, "     64 cores  10 min"]  # two wikis of three files
    one = recipe(tmp_path, wikipedia={"paths": paths}, downloads=[DUMP])
    assert timed(one, 64)[3:] == ["     64 cores  60 min"]


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 4096))
def test_more_to_read_never_takes_less_and_more_cores_never_more(dump_mb: int, views_mb: int, cores: int) -> None:
    def line(dumps: int, views: int, count: int) -> float:
        sizes = [{**DUMP, "size_mb": dumps}, {**VIEWS, "size_mb": views}]
        tree = {"name": "x", "lang": "en", "sources": [TITLES], "wikipedia": WIKIPEDIA, "downloads": sizes}
        last = plan_lines(VocabularyRecipe.model_validate(tree), count)[-1]
        if last == "time: under a minute":
            return 0.0
        value, unit = last.replace("under ", "").split()[-2:]
        return float(value) * {"s": 1, "min": 60, "h": 3600, "d": 86_400}[unit]

    seconds = (dump_mb + views_mb / 16) / cores
    assert line(dump_mb, views_mb, cores) == pytest.approx(seconds, rel=0.26, abs=0.1)  # 120 s are 2 min: rounded
    assert line(dump_mb, views_mb, cores * 2) <= line(dump_mb, views_mb, cores)
    assert line(dump_mb * 2, views_mb * 2, cores) >= line(dump_mb, views_mb, cores)


# what to fetch


def test_downloads_with_the_language_and_its_wikipedias_filled_in(tmp_path: Path) -> None:
    downloads = [
        {"about": "dump of {wiki} for {lang}", "url": "https://d/{lang}/{wiki}wiki", "size_mb": 300, "licence": "L"},
        {"about": "views", "url": "https://v/{lang}", "files": 24, "size_mb": 1200, "licence": "CC0"},
    ]
    assert fetched(recipe(tmp_path, lang="be", downloads=downloads)) == [
        "to fetch, 1.5 GB in all",
        "  dump of be and be_x_old for be: 1 file of each of 2 wikis, 300 MB together, L",
        "    https://d/be/bewiki",
        "    https://d/be/be_x_oldwiki",
        "  views: 24 files, 1.2 GB, CC0",
        "    https://v/be",
    ]
    one = recipe(tmp_path, wikis=["zh-min-nan"], downloads=downloads[:1])
    assert fetched(one) == [
        "to fetch, 300 MB in all", "  dump of zh_min_nan for en: 1 file, 300 MB, L", "    https://d/en/zh_min_nanwiki",
    ]  # fmt: skip


def test_many_wikipedias_are_named_by_their_urls_alone(tmp_path: Path) -> None:
    codes = [f"x{letter}" for letter in "abcdefghijk"]
    download = {**DUMP, "about": "dump ({wiki})", "url": "https://d/{wiki}", "files": 2}
    planned = recipe(tmp_path, wikis=codes, downloads=[download])
    assert fetched(planned)[1] == "  dump (xa and 10 more): 2 files of each of 11 wikis, 3.6 GB together, free"
    assert fetched(planned)[2:] == [f"    https://d/{code}" for code in codes]
    ten = recipe(tmp_path, wikis=codes[:10], downloads=[download])
    assert fetched(ten)[1].startswith("  dump (xa, xb, xc, xd, xe, xf, xg, xh, xi and xj): ")


def test_without_wikipedias_there_is_no_dump_to_fetch(tmp_path: Path) -> None:
    each = {**DUMP, "url": "https://d/{wiki}"}
    planned = recipe(tmp_path, wikis=[], wikipedia=WIKIPEDIA, downloads=[each])
    assert plan_lines(planned)[1].startswith("entries") and timed(planned) == ["time: under a minute"]
    assert fetched(recipe(tmp_path, wikis=[], downloads=[each, VIEWS]))[0] == "to fetch, 57.6 GB in all"


# what is there


def test_places_are_the_paths_of_each_source_and_what_lies_there(tmp_path: Path) -> None:
    for name, size_bytes in (
        ("dumps/bewiki-1-multistream.xml.bz2", 500), ("dumps/bewiki-2.xml.bz2", 20), ("dumps/bewiki-3.xml.bz2", 30),
        ("dumps/be_x_oldwiki-1.xml", 7), ("net/data.noun", 0), ("tags.txt", 4), ("other.txt", 8),
    ):  # fmt: skip
        lay(tmp_path, name, size_bytes)
    wordnet = {"kind": "wordnet", "paths": ["net/data.noun", "net/data.verb"]}
    tags = {"kind": "list", "name": "tags", "path": "tags.txt"}
    planned = recipe(tmp_path, lang="be", wikipedia={"paths": ["dumps/{wiki}wiki-*"]}, sources=[wordnet, TITLES, tags])
    where, missing = str(tmp_path), ": fetch it first, see `curation vocab plan RECIPE`"
    found = places(planned)
    assert found == {
        "wikipedia": [
            Place(f"{where}/dumps/bewiki-*", 3, 550, None, 30),
            Place(f"{where}/dumps/be_x_oldwiki-*", 1, 7, None, 0),
        ],
        "wordnet": [
            Place(f"{where}/net/data.noun", 1, 0, None),
            Place(f"{where}/net/data.verb", 0, 0, f"nothing is at {where}/net/data.verb{missing}"),
        ],
        "titles": [Place(f"{where}/views/*.gz", 0, 0, f"nothing is at {where}/views/*.gz{missing}")],
        "tags": [Place(f"{where}/tags.txt", 1, 4, None)],
    }
    assert list(found) == ["wikipedia", "wordnet", "titles", "tags"]
    assert section(plan_lines(planned), "there") == [
        "there now",
        f"  wikipedia     3 files, 550 B          {where}/dumps/bewiki-*",
        f"  wikipedia     1 file, 7 B             {where}/dumps/be_x_oldwiki-*",
        f"  wordnet       1 file, 0 B             {where}/net/data.noun",
        f"  wordnet       missing                 {where}/net/data.verb",
        f"  titles        missing                 {where}/views/*.gz",
        f"  tags          1 file, 4 B             {where}/tags.txt",
    ]


# entries


def test_sources_with_their_rules_and_a_total_that_adds_up(tmp_path: Path) -> None:
    sources = [
        {"kind": "numbers", "expected": 100},
        {"kind": "unigrams", "min_score": 100, "expected": 2000},
        {"kind": "list", "name": "tags", "path": "tags.txt"},
    ]
    planned = recipe(tmp_path, sources=sources, wikipedia=WIKIPEDIA)
    assert section(plan_lines(planned), "entries") == [
        "entries, in this order                 rule                                    expected",
        "  numbers                                all                                        100",
        "  unigrams                               count >= 100                             2,000",
        "  tags                                   all",
        "  in all                                                                          2,100",
    ]
    assert section(plan_lines(recipe(tmp_path)), "entries")[1:] == [f"  {'numbers':<39}all"]


def test_a_long_name_or_rule_keeps_its_distance(tmp_path: Path) -> None:
    name = "n" * 45
    limits = {"min_score": 0.123456789, "top_share": 0.123456, "max_entries": 123_456_789, "expected": 7}
    planned = recipe(tmp_path, sources=[{"kind": "list", "name": name, "path": "x.txt", **limits}])
    words = "score >= 0.123456789, the best 12.3456%, at most 123,456,789"
    assert section(plan_lines(planned), "entries")[1] == f"  {name} {words}       7"


def test_every_rule(tmp_path: Path) -> None:
    tags = {"kind": "list", "name": "tags", "path": "x"}
    assert rule(
        {"kind": "unigrams", "min_score": 2_000_000, "top_share": 0.005},
        {"kind": "bigrams", "min_count": 5, "min_score": 28.5, "max_entries": 9},
        {**TITLES, "min_score": 70, "max_entries": 61_235},
        {**tags, "min_score": -0.5},
        folder=tmp_path,
    ) == [
        "count >= 2,000,000, the best 0.5%", "count >= 5, PMI >= 28.5, at most 9", "views >= 70, at most 61,235",
        "score >= -0.5",
    ]  # fmt: skip
    shares = {"kind": "bigrams", "share_of_unigrams": 0.29, "min_count": 1}
    assert rule({"kind": "unigrams"}, shares, folder=tmp_path) == ["all", "29% of the unigrams"]


@given(st.floats(1e-6, 1))
def test_no_share_is_rounded_to_another(share: float) -> None:
    share = float(f"{share:.8g}")  # as a person would write it
    sources: list[Limits] = [Bigrams(kind="bigrams", top_share=share, share_of_unigrams=share)]
    tree = {"name": "x", "lang": "en", "wikipedia": WIKIPEDIA, "sources": [{"kind": "unigrams"}]}
    planned = VocabularyRecipe.model_validate(tree).model_copy(update={"sources": sources})
    best, of_unigrams = section(plan_lines(planned), "entries")[1][41:].split("%")[:2]
    for text in (best.removeprefix("the best "), of_unigrams.removeprefix(" of the unigrams, ").removeprefix(", ")):
        assert float(text) / 100 == pytest.approx(share, rel=1e-9)


# the recipes that travel with the package


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("en.yaml", ["enwiki-latest-pages-articles-multistream1.xml-p1p41242.bz2",
                     "enwiki-20250601-pages-articles-multistream27.xml-p9p10.bz2"]),
        ("worldwide.yaml", ["frwiki-latest-pages-articles-multistream.xml.bz2"]),
    ],
)  # fmt: skip
def test_the_shipped_paths_take_one_copy_of_a_dump(name: str, taken: list[str]) -> None:
    """Wikimedia offers each dump as a whole, in parts, and both again as multistream, with indices and feeds."""
    wiki = "en" if name == "en.yaml" else "fr"
    offered = [
        f"{wiki}wiki-latest-pages-articles{stem}{part}"
        for stem in ("", "-multistream")
        for part in (".xml.bz2", "1.xml-p1p41242.bz2", ".xml.bz2-rss.xml", "1.xml-p1p41242.bz2-rss.xml")
    ]
    offered += [f"{wiki}wiki-latest-pages-articles-multistream-index{part}.bz2" for part in (".txt", "1.txt-p1p41242")]
    planned = load_vocabulary_recipe(METADATA / name)
    assert planned.wikipedia is not None
    (path,) = planned.wikipedia.paths
    assert [file for file in offered if fnmatch(file, Path(path).name)] == taken[:1]
    assert all(fnmatch(file, Path(path).name) for file in taken)
    assert not any("one bzip2 stream" in line for line in timed(planned))


def test_the_english_list_is_to_have_500_000_entries() -> None:
    assert section(plan_lines(load_vocabulary_recipe(METADATA / "en.yaml")), "entries")[-1].split()[-1] == "500,000"


def test_every_url_of_worldwide_is_a_file_that_the_recipe_takes() -> None:
    planned = load_vocabulary_recipe(METADATA / "worldwide.yaml", ["lang=be"])
    assert planned.wikipedia is not None
    urls = [line.strip() for line in fetched(planned) if line.strip().startswith("https://dumps.wikimedia.org/be")]
    assert len(urls) == 2 and "be_x_oldwiki/latest/be_x_oldwiki-latest" in urls[1]
    for url, path in zip(urls, planned.wikipedia.paths, strict=True):
        assert fnmatch(url.rpartition("/")[2], Path(path).name)


@pytest.mark.parametrize("file", sorted([*METADATA.glob("*.yaml"), *METADATA.glob("starter/*.yaml")]), ids=str)
def test_no_placeholder_is_left_in_any_plan(file: Path) -> None:
    assert not [line for line in plan_lines(load_vocabulary_recipe(file)) if "{" in line]
