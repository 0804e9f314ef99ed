"""A recipe means what YAML 1.2 says, and every mistake in it is one line that names the field."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from curation.concepts import MatchOptions
from curation.errors import RecipeError
from curation.recipe import ArchiveInput, MatchOption, ParityVariant, Recipe, Section, TableInput, WatInput, load_recipe
from curation.recipe.vocabulary import Limits, VocabularyRecipe

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
MINIMAL = """
name: small
inputs:
  - {kind: wat, paths: [web]}
match:
  vocabularies: {en: "demo:en"}
"""
TABLE = "inputs=[{kind: table, paths: [a.csv], columns: %s}]"
INTERNALS = re.compile(r"constrained|literal\[|dict\[|function-|model_|Value error|\[key\]|pydantic|instance of")
MODALITIES = "give a number >= 1, or one per modality (image, video, audio)"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(MINIMAL)
    return path


def _told(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as raised:
        load_recipe(path, overrides)
    message = str(raised.value)
    assert "\n" not in message
    assert not INTERNALS.search(message), message
    return message


def _written(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(text)
    return path


# numbers


@given(st.floats(1, 1e300), st.sampled_from(["{}", "{{image: {}}}"]))
def test_any_spelling_of_a_finite_number_is_that_threshold(recipe: Path, t: float, form: str) -> None:
    for spelling in (repr(t), f"{t:.17e}", f"{t:.17E}".replace("E+", "E")):
        loaded = load_recipe(recipe, [f"balance.t={form.format(spelling)}"]).balance.t
        assert loaded == ({"image": t} if "image" in form else t)


@given(st.integers(1, 2**62))
def test_integers_are_integers_however_written(recipe: Path, n: int) -> None:
    for spelling in (f"{n}", f"+{n}", f"0{n}", hex(n), f"0o{n:o}"):
        pairs = load_recipe(recipe, [f"pairs.placeholder_texts={spelling}"]).pairs.placeholder_texts
        assert (pairs, type(pairs)) == (n, int)


def test_integral_floats_where_integers_are_wanted_and_integers_where_floats_are(recipe: Path) -> None:
    target = load_recipe(recipe, ["balance.target={pairs: 1e6}"]).balance.target
    assert target.pairs == 1_000_000 and type(target.pairs) is int  # type: ignore[union-attr]
    loaded = load_recipe(
        recipe, ["balance.t=20", "pairs.rules.min_chars=5.0", "draw.seed=1e3", "extract.limit_archives=2e0"]
    )
    assert (loaded.balance.t, type(loaded.balance.t)) == (20.0, float)
    assert (loaded.pairs.rules.min_chars, loaded.draw.seed, loaded.extract.limit_archives) == (5, 1000, 2)


@pytest.mark.parametrize("value", ["'3'", "true", ".nan", ".inf", "-.inf", "1e999", "0.5", "0", "many", "[1]",
                                   "{}", "{image: 0}", "{image: '3'}", "{image: .nan}", "{picture: 3}",
                                   "1" + "0" * 400])  # fmt: skip
def test_a_threshold_that_is_none(recipe: Path, value: str) -> None:
    told = _told(recipe, f"balance.t={value}")
    assert f"balance.t: {MODALITIES}, not " in told
    assert told.count("balance.t") == 1


@pytest.mark.parametrize("field", ["pairs.media_buckets", "pairs.rules.max_chars", "draw.seed", "balance.target.media"])
@pytest.mark.parametrize("value", ["'3'", "true", ".nan", ".inf", "1.5", "-1", "no", "3_000"])
def test_an_integer_that_is_none(recipe: Path, field: str, value: str) -> None:
    assert f"{field}: " in _told(recipe, f"{field}={value}")


@pytest.mark.parametrize("field", ["balance.tail_share", "pairs.language.min_score"])
@pytest.mark.parametrize("value", ["'0.3'", "true", ".nan", ".inf", "2"])
def test_a_share_that_is_none(recipe: Path, field: str, value: str) -> None:
    assert f"{field}: " in _told(recipe, f"{field}={value}")


# YAML 1.2


@pytest.mark.parametrize(
    "word", ["no", "No", "yes", "on", "off", "y", "n", "1:30", "2024-01-01", "<<", "1_000", "0b1", "="]
)
def test_words_of_yaml_1_1_are_strings(recipe: Path, tmp_path: Path, word: str) -> None:
    assert load_recipe(recipe, [f"name={word}"]).name == word
    assert load_recipe(_written(tmp_path, MINIMAL.replace("small", word))).name == word


def test_norwegian_is_a_language(tmp_path: Path) -> None:
    text = MINIMAL.replace("en:", "no:").replace("demo:en", "demo:no") + "pairs: {language: {keep: [no, en]}}\n"
    loaded = load_recipe(_written(tmp_path, text), ["balance.pivot=no"])
    assert loaded.match.vocabularies == {"no": "demo:no"}
    assert loaded.pairs.language.keep == ["no", "en"]
    assert load_recipe(_written(tmp_path, text), ["pairs.language.keep=[no]"]).pairs.language.keep == ["no"]


def test_booleans_and_null(recipe: Path) -> None:
    for text, value in (("true", True), ("True", True), ("FALSE", False)):
        assert load_recipe(recipe, [f"pairs.rules.drop_urls={text}"]).pairs.rules.drop_urls is value
    for text in ("no", "on", "0", "'true'", "!!bool yes"):
        _told(recipe, f"pairs.rules.drop_urls={text}")
    for text in ("null", "~", ""):
        assert load_recipe(recipe, [f"match.fallback={text}"]).match.fallback is None


def test_a_key_given_twice_is_named_with_its_lines(tmp_path: Path) -> None:
    path = _written(tmp_path, MINIMAL + "balance:\n  tail_share: 0.1\n  pivot: en\n  tail_share: 0.2\n")
    assert f"{path}: line 10: key 'tail_share' is already given in line 8: keep one" == _told(path)
    assert "line 7: key 'name' is already given in line 2" in _told(_written(tmp_path, MINIMAL + "name: again\n"))
    assert "key 't' is already given" in _told(_written(tmp_path, MINIMAL), "balance={t: 1, 't': 2}")


@pytest.mark.parametrize("text", ["!!int x", "!!float x", "!!bool x", "!!timestamp x", "!!python/name:os.system",
                                  "{[a]: 1}", "{", "*nowhere", "1" * 5000, "[" * 5000])  # fmt: skip
def test_what_is_no_yaml(recipe: Path, tmp_path: Path, text: str) -> None:
    assert "is no YAML" in _told(recipe, f"name={text}")
    assert "is no YAML" in _told(_written(tmp_path, f"name: {text}\n"))


# messages


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("balance.target=5", "balance.target: give pairs: N or media: N, or that per modality (image, video, audio)"),
        ("balance.target={}", "balance.target: give exactly one of pairs and media"),
        ("balance.target={pairs: 5, sise: 2}", "balance.target.sise: unknown key"),
        ("balance.target={pairs: some}", "balance.target.pairs: Input should be a valid integer"),
        ("balance.target={image: {pairs: 5, media: 5}}", "balance.target.image: give exactly one of pairs and media"),
        ("balance.target={image: 5}", "balance.target.image: give a mapping of settings"),
        ("balance.target={picture: {pairs: 5}}", "balance.target.picture: Input should be 'image', 'video' or 'audio'"),
        ("balance.target={pairs: 5, survival: 0}", "balance.target.survival: Input should be greater than 0"),
        ("pairs=3", "pairs: give a mapping of settings"),
        ("pairs=", "pairs: give a mapping of settings"),
        ("inputs=[web]", "inputs.0: give a mapping of settings"),
        ("inputs=[{paths: [web]}]", "inputs.0: give kind: one of wat, warc or table"),
        ("inputs=[{kind: wet, paths: [web]}]", "inputs.0: give kind: one of wat, warc or table"),
        ("inputs=[{kind: wat}]", "inputs.0.paths: is required"),
        ("inputs=[{kind: wat, paths: ['']}]", "inputs.0.paths.0: String should have at least 1 character"),
        ("match.vocabularies=[en]", "match.vocabularies: "),
        ("match.vocabularies={en: ''}", "match.vocabularies.en: String should have at least 1 character"),
        ("match.vocabularies={EN: x}", "match.vocabularies.EN: is no language code"),
        ("match.vocabularies={'': x}", "match.vocabularies.'': is no language code"),
        ("match.options=[nfd]", "match.options.0: Input should be 'spaced_entries', 'no_space_kana', 'nfc' or 'case_"),
        ("match.options=nfc", "match.options: Input should be a valid list"),
        ("match.options={nfc: 1}", "match.options: Input should be a valid list"),
        ("match.options=[nfc, case_fold, nfc]", "match: options names nfc more than once: keep one"),
        ("match.options=[no_space_kana]", "match: options: no_space_kana changes nothing in v1"),
        ("pairs.language.keep=[en, English]", "pairs.language.keep.1: is no language code"),
        ("pairs.language.keep=[en_US]", "pairs.language.keep.0: is no language code"),
        ("pairs.language.keep=[other]", "pairs.language.keep.0: is no language code"),
        ("fetch.network.user_agent=Böt", "fetch.network.user_agent: give printable ASCII, no blank first"),
        ("fetch.network.user_agent=' x'", "fetch.network.user_agent: give printable ASCII, no blank first"),
        ("fetch.network.user_agent=''", "fetch.network.user_agent: give printable ASCII, no blank first"),
        ('fetch.network.user_agent="x\\n"', "fetch.network.user_agent: give printable ASCII, no blank first"),
        ("fetch.network.accept=ä", "fetch.network.accept: give printable ASCII"),
        ("fetch.hooks=[{name: faces}]", "fetch.hooks.0.name: give package.module:factory"),
        ("fetch.network.mirror=http://x", "fetch.network.mirror: give host:port, such as 127.0.0.1:8080, without"),
        (
            "fetch.network.mirror='a.test:99999'",
            "fetch.network.mirror: give host:port, such as 127.0.0.1:8080, without",
        ),
        ("fetch.network.mirror=''", "fetch.network.mirror: give host:port, such as 127.0.0.1:8080, without"),
        (
            "fetch.network.allowed_networks=[10.0.0.0/8, 300.0.0.0/8]",
            "fetch.network.allowed_networks.1: give a range of addresses such as 10.1.0.0/16 or fd00::/8: '300.0.0",
        ),
        ("fetch.network.allowed_networks=[127.0.0.1/8]", "127.0.0.1/8 has host bits set"),
        ("fetch.network.allowed_networks=['']", "fetch.network.allowed_networks.0: give a range of addresses"),
        (
            "fetch.network.hosts={a.test: [localhost]}",
            "fetch.network.hosts.a.test.0: give an address such as 192.0.2.7 or 2001:db8::7: 'localhost'",
        ),
        ("fetch.network.hosts={a.test: [127.0.0.1:80]}", "fetch.network.hosts.a.test.0: give an address"),
        ("fetch.network.hosts={a.test: []}", "fetch.network.hosts.a.test: List should have at least 1 item"),
        ("pairs.rules={min_chars: 6, max_chars: 5}", "pairs.rules: min_chars 6 is above max_chars 5"),
        (TABLE % "{media_url: u, texts: {}}", "inputs.0.columns.texts: Dictionary should have at least 1 item"),
        (
            TABLE % "{media_url: u, texts: {'': c}}",
            "inputs.0.columns.texts.'': String should have at least 1 character",
        ),
        (TABLE % "{media_url: u, texts: {table: ''}}", "inputs.0.columns.texts.table: String should have at least 1"),
        (TABLE % "{media_url: '', texts: {alt: c}}", "inputs.0.columns.media_url: String should have at least 1"),
    ],
)
def test_a_mistake_is_named_in_the_recipes_words(recipe: Path, override: str, message: str) -> None:
    assert message in _told(recipe, override)


def test_all_problems_are_told_at_once(recipe: Path) -> None:
    told = _told(recipe, "balance.t=0", "pairs.media_buckets=0", "nmae=x")
    assert all(part in told for part in ("balance.t: ", "pairs.media_buckets: ", "nmae: unknown key"))
    assert told.count("; ") == 2


@pytest.mark.parametrize("keep", [["en"], ["gsw", "no"], ["zh-Hant", ""], []])
def test_languages_that_are_some(recipe: Path, keep: list[str]) -> None:
    assert load_recipe(recipe, [f"pairs.language.keep={keep}"]).pairs.language.keep == keep


def test_networks_and_hosts_that_are_some(recipe: Path) -> None:
    networks, hosts = ["10.1.0.0/16", "fd00::/8", "192.0.2.7"], {"a.test": ["127.0.0.1", "::1", "fe80::1%lo"]}
    settings = [f"fetch.network.allowed_networks={networks}", f"fetch.network.hosts={hosts}"]
    loaded = load_recipe(recipe, [*settings, "fetch.network.mirror='a.test:8080'"]).fetch
    assert loaded is not None
    assert (loaded.network.allowed_networks, loaded.network.hosts) == (networks, hosts)
    assert load_recipe(recipe, ["fetch.network.mirror='[::1]:80'", "fetch.network.hosts={}"]).fetch is not None


def test_lengths_may_be_equal(recipe: Path) -> None:
    assert load_recipe(recipe, ["pairs.rules={min_chars: 5, max_chars: 5}"]).pairs.rules.max_chars == 5


@pytest.mark.parametrize("t", ["20", "{image: 20}"])
def test_a_threshold_needs_its_pivots_vocabulary(recipe: Path, t: str) -> None:
    german = "match.vocabularies={de: 'demo:de', other: list.txt}"
    told = _told(recipe, german, f"balance.t={t}")
    assert (
        "'en'" in told
        and "has no vocabulary" in told
        and "give balance.tail_share" in told
        and "['de', 'other']" in told
    )
    assert load_recipe(recipe, [german, f"balance.t={t}", "balance.pivot=de"]).balance.pivot == "de"
    assert load_recipe(recipe, [german, "balance.tail_share=0.1"]).balance.t is None
    assert load_recipe(recipe, [german, "match.fallback=other"]).match.fallback == "other"


def test_options_of_matching_are_those_that_matchers_know(recipe: Path) -> None:
    names = [field.name for field in fields(MatchOptions)]
    assert list(get_args(MatchOption)) == names
    loaded = load_recipe(recipe, [f"match.options={names}", "match.definition=v2"]).match
    assert MatchOptions.of(loaded.options).to_json() == dict.fromkeys(names, 1)
    assert load_recipe(recipe).match.options == []


@pytest.mark.parametrize("variant", [name for name in get_args(ParityVariant) if name != "default"])
def test_variants_that_repeat_released_code_take_no_options(recipe: Path, variant: str) -> None:
    told = _told(recipe, f"extract.variant={variant}", "match.options=[nfc, case_fold]")
    assert f"extract.variant {variant} repeats MetaCLIP's code, which has no match.options (nfc, case_fold)" in told
    assert load_recipe(recipe, [f"extract.variant={variant}"]).match.options == []


def test_reading_recipes_loads_nothing_heavy() -> None:
    heavy = "[name for name in ('numpy', 'numba', 'pyarrow', 'pyspark', 'curation.concepts') if name in sys.modules]"
    code = f"import sys, curation.recipe; sys.exit(str({heavy}) if {heavy} else 0)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=RECIPES.parent, timeout=60)


# places


def test_relative_paths_start_at_the_recipe(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    loaded = load_recipe(
        recipe,
        [
            "inputs=[{kind: wat, paths: [web, /abs, '~/x', 's3://b/k', all.paths], base: lists/}, "
            "{kind: table, paths: ['t/*.csv'], columns: {media_url: u, texts: {alt: c}}}]",
            "match.vocabularies={en: en.txt, de: 'demo:de', fr: 'https://h/fr.txt'}",
        ],
    )
    here = recipe.parent.resolve()
    wat, table = loaded.inputs
    assert isinstance(wat, WatInput) and isinstance(table, TableInput)
    assert wat.paths == [f"{here}/web", "/abs", "/home/me/x", "s3://b/k", f"{here}/all.paths"]
    assert wat.base == f"{here}/lists"
    assert table.paths == [f"{here}/t/*.csv"]
    assert loaded.match.vocabularies == {"en": f"{here}/en.txt", "de": "demo:de", "fr": "https://h/fr.txt"}


@pytest.mark.parametrize("base", ["https://data.commoncrawl.org/", "s3://commoncrawl/", "/mnt/crawl", None])
def test_a_base_that_is_absolute_stays(recipe: Path, base: str | None) -> None:
    (entry,) = load_recipe(recipe, [f"inputs=[{{kind: wat, paths: [a.paths], base: {base or 'null'}}}]"]).inputs
    assert isinstance(entry, WatInput) and entry.base == base


@pytest.mark.parametrize(
    "override",
    [
        "inputs=[{kind: wat, paths: ['~nosuch/x']}]",
        "inputs=[{kind: wat, paths: [a.paths], base: '~nosuch/x'}]",
        "match.vocabularies.en=~nosuch/x",
    ],
)
def test_a_home_that_is_none(recipe: Path, override: str) -> None:
    assert "~nosuch/x: no home folder is known" in _told(recipe, override)


# overrides, shipped recipes, descriptions


def test_overrides_make_sections_and_the_last_one_wins(recipe: Path) -> None:
    loaded = load_recipe(recipe, ["pairs.rules.min_chars=3", "pairs.rules.min_chars=4", "name=a=b", "draw.seed=0x10"])
    assert (loaded.pairs.rules.min_chars, loaded.name, loaded.draw.seed) == (4, "a=b", 16)
    for wrong in ("nonsense", "=3", "pairs..x=3", "name.first=x"):
        assert repr(wrong) in _told(recipe, wrong)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_load_and_survive_a_round_trip(path: Path) -> None:
    loaded = load_recipe(path)
    assert loaded.name == path.stem
    assert Recipe.model_validate(loaded.model_dump()) == loaded


def test_there_are_shipped_recipes() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} >= {"demo", "metaclip-400m", "metaclip-worldwide"}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation)
    for inner in get_args(annotation):
        yield from _models(inner)


def _below(model: type[Section]) -> set[type[Section]]:
    return set(model.__subclasses__()).union(*map(_below, model.__subclasses__()))


def test_every_field_of_every_section_is_described() -> None:
    models = set(_models(Recipe)) | set(_models(VocabularyRecipe))
    below = {model for model in _below(Section) if model.__module__.startswith("curation.recipe.")}
    assert models == below - {ArchiveInput, Limits}
    assert [f"{m.__name__}.{n}" for m in models for n, field in m.model_fields.items() if not field.description] == []
    assert "four per core" in str(
        load_recipe(RECIPES / "demo.yaml").runtime.__class__.model_fields["shuffle_partitions"].description
    )
