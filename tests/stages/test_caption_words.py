"""captions that need no model: what was said about a picture, a film, or its part; errors of the recipe's section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from faults_caption_rows import Row, done, manifest, recipe, rows_of
from faults_captions import SHOTS, are_lawful, caption_web, captions_of, texts_of, two_shots
from faults_films import executed
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.captions import films
from curation.captions.films import Film
from curation.captions.timed_text import read_track
from curation.errors import RecipeError
from curation.recipe import load_recipe
from curation.runner.stage import Manifest
from curation.schemas import CAPTIONS, SAMPLE_TEXTS, SAMPLES, VIDEOS
from curation.stages import captions as stage
from curation.stages.captions import Captions
from curation.storage import Store

SOURCES = [{"source": source} for source in ("alt", "page", "subtitles", "chapters", "hashtags")]
CUES = "WEBVTT\n\n00:00.510 --> 00:01.490\nA dog <i>runs</i> &amp; jumps\n\n00:03.010 --> 00:04.120\nIt sleeps\n"
PAGE = """<!doctype html><html lang="en"><title>A film #Dogs</title><meta property="og:title" content="A film #Dogs">
<meta property="og:description" content="About a dog #Cute\n0:00 The dog\n0:02 Its sleep">
<video src="/file/dog.mp4"><track kind="subtitles" srclang="en" src="/dog.vtt"></video>"""


def test_from_the_page_to_the_captions(tmp_path: Path) -> None:
    with caption_web(tmp_path / "web", two_shots(tmp_path / "films")) as web:
        web.put("/dog.vtt", CUES)
        films = [{"url": web.put("/watch/dog", PAGE), "caption": "a dog"}]
        made = web.recipe([(web.picture(1), "a cat")], films, {"captioners": SOURCES},
                          fetch={"video": {"subtitles": ["en"]}}, **SHOTS)  # fmt: skip
        outcomes = executed(made, tmp_path)
    are_lawful(outcomes, tmp_path, ["alt"], ["page", "subtitles", "chapters", "hashtags"])
    image, first, second = sorted(captions_of(outcomes, tmp_path), key=len)
    assert first.endswith("-0-1667") and second.endswith("-2500-4500")
    said = {each["source"]: texts_of(outcomes, tmp_path, each["source"]) for each in SOURCES}
    assert said["alt"] == {image: [("caption", "a cat")], first: [("caption", "a dog")], second: [("caption", "a dog")]}
    page = [("title", "A film #Dogs"), ("description", "About a dog #Cute\n0:00 The dog\n0:02 Its sleep")]
    assert said["page"] == {image: [], first: page, second: page}
    assert said["subtitles"] == {image: [], first: [("subtitles", "A dog runs & jumps")],
                                 second: [("subtitles", "It sleeps")]}  # fmt: skip
    assert said["chapters"] == {image: [], first: [("chapter", "The dog")], second: [("chapter", "Its sleep")]}
    tags = [("hashtag", "dogs"), ("hashtag", "cute")]
    assert said["hashtags"] == {image: [], first: tags, second: tags}
    assert {row["lang"] for row in captions_of(outcomes, tmp_path, "subtitles")[first]} == {"en"}


# ---------------------------------------------------------------------------------------- over rows written down

FILM = "1" * 24
Span = tuple[int | None, int | None]


def captioned(
    folder: Path, captioners: Any, spans: Sequence[tuple[int, int]], texts: Sequence[Row] = (), **video: Any
) -> dict[tuple[int, int], list[Row]]:
    """What is said of clips of one film, by their spans."""
    store = Store.at(folder)
    clips = [
        {"sample_id": f"{FILM}-{start:06d}-{end:06d}", "media_id": FILM, "modality": "video", "start_ms": start,
         "end_ms": end, "duration_ms": end - start, "path": "clips/a.tar"}
        for start, end in sorted(spans)
    ]  # fmt: skip
    words = [{"media_id": FILM, "text_media_id": FILM, "modality": "video", "lang": "en", "text_sources": ["caption"],
              "pair_id": f"{number:032x}", **text} for number, text in enumerate(texts)]  # fmt: skip
    units = {"bucket-00000": {SAMPLES: clips, SAMPLE_TEXTS: words}}
    film = {"media_id": FILM, "duration_ms": 100_000, **video}
    inputs: dict[str, Manifest] = {
        "samples": manifest(store, "samples", units),
        "fetch": manifest(store, "fetch", {"bucket-00000-0f": {VIDEOS: [film]}}),
    }
    made = done(Captions(), store, recipe({"captioners": captioners}), inputs)
    found: dict[tuple[int, int], list[Row]] = {span: [] for span in spans}
    for row in rows_of(store, made, CAPTIONS):
        _, start, end = row["sample_id"].split("-")
        found[int(start), int(end)].append(row)
    return found


def place_of(span: Span, clip: tuple[int, int]) -> Span | None:
    """Where a text about a part is in a clip; None: not there. Half of the shorter of the two has to lie in both."""
    start, end = span
    if start is None or end is None:
        return None, None
    both = set(range(max(start, clip[0]), min(end, clip[1])))
    if not both or 2 * len(both) < min(end - start, clip[1] - clip[0]):
        return None
    whole = (min(both), max(both) + 1) == clip
    return (None, None) if whole else (min(both) - clip[0], max(both) + 1 - clip[0])


_MS = st.integers(0, 60)
_SPANS = st.lists(st.one_of(st.just((None, None)), st.tuples(_MS, st.one_of(st.none(), _MS))), max_size=4)
_CLIPS = st.lists(st.tuples(_MS, st.integers(1, 40)), min_size=1, max_size=3, unique=True)


@settings(max_examples=40, deadline=None)
@given(_SPANS, _CLIPS)
@example([(10, 20), (0, 11), (19, 40), (0, 9), (15, 15), (30, 20)], [(10, 10)])
@example([(5, 15), (4, 14), (15, 25), (16, 26)], [(10, 10)])
@example([(0, 60), (5, None), (20, None)], [(0, 20), (20, 40)])
@example([(0, None), (5, None), (20, None)], [(0, 5), (6, 10), (20, 40)])
@pytest.mark.slow
def test_a_text_about_a_part_is_said_of_what_it_overlaps(spans: list[Span], clips: list[tuple[int, int]]) -> None:
    wanted_clips = sorted({(start, start + length) for start, length in clips})
    texts = [{"text": f"a dog, {n}", "start_ms": start, "end_ms": end} for n, (start, end) in enumerate(spans)]
    with TemporaryDirectory() as folder:
        found = captioned(Path(folder), [{"source": "alt"}], wanted_clips, texts)
    for clip, rows in found.items():
        begins = [begin for begin, _ in spans if begin is not None] + [100_000]
        ended = [(begin, min(each for each in begins if each > begin) if begin is not None and end is None else end)
                 for begin, end in spans]  # fmt: skip
        wanted = {f"a dog, {n}": place for n, span in enumerate(ended) if (place := place_of(span, clip)) is not None}
        assert {row["text"]: (row["start_ms"], row["end_ms"]) for row in rows} == wanted
        assert all((row["kind"], row["pair_id"]) == ("caption", f"{int(row['text'][7:]):032x}") for row in rows)


def test_kinds_of_alt_texts_are_their_best_sources(tmp_path: Path) -> None:
    sources = (["og:title"], ["title", "alt"], ["schema:name"], ["made-up"], ["caption"], ["og:title", "figcaption"])
    texts = [{"text": f"a dog, {n}", "text_sources": sorted(each)} for n, each in enumerate(sources)]
    (rows,) = captioned(tmp_path, [{"source": "alt"}], [(0, 9)], texts).values()
    kinds = [(row["kind"], row["text"]) for row in rows]
    assert set(kinds) == {("og_title", "a dog, 0"), ("alt", "a dog, 1"), ("schema_name", "a dog, 2"),
                          ("made_up", "a dog, 3"), ("caption", "a dog, 4"), ("figcaption", "a dog, 5")}  # fmt: skip
    assert kinds[0][0] == "alt", "the best source first"
    assert kinds[-1][0] in ("made_up", "caption"), "those that nobody knows last"


def track(lang: str, text: str, **more: Any) -> Row:
    cues = text if not text or "\n" in text else f"WEBVTT\n\n00:00.000 --> 00:02.000\n{text}\n"
    return {"lang": lang, "kind": "subtitles", "automatic": False, "format": "vtt", "text": cues, **more}


TRACKS = [track("en", "A chapter", kind="chapters"), track("de", "Ein Hund"),
          track("en-US", "A machine's", automatic=True), track("en", "By hand"),
          track("fr", "Un chien", automatic=True), track("nl", ""),
          track("nl", "Een hond", automatic=True)]  # fmt: skip


@pytest.mark.parametrize(("languages", "wanted"), [
    (["en"], ("By hand", "en")), (["fr", "en"], ("Un chien", "fr")), (["es", "de"], ("Ein Hund", "de")), (["es"], None),
    (["nl"], ("Een hond", "nl")), ([], ("Ein Hund", "de")), (["eng"], ("By hand", "en")),
])  # fmt: skip
def test_subtitles_by_language_and_those_by_hand_first(tmp_path: Path, languages: list[str], wanted: Any) -> None:
    captioner = {"source": "subtitles", "languages": languages, "name": "said"}
    (rows,) = captioned(tmp_path, [captioner], [(0, 5000)], subtitles=TRACKS).values()
    assert [(row["text"], row["lang"]) for row in rows] == ([] if wanted is None else [wanted])
    assert {(row["captioner"], row["kind"]) for row in rows} <= {("said", "subtitles")}


def test_subtitles_whose_language_nobody_says_come_last(tmp_path: Path) -> None:
    captioner = {"source": "subtitles", "languages": ["en"]}
    for number, (tracks, wanted) in enumerate([
        ([track("und", "Whoever said it"), TRACKS[1]], "Whoever said it"),
        ([track("und", "Whoever said it"), TRACKS[2]], "A machine's"),
    ]):  # fmt: skip
        (rows,) = captioned(tmp_path / str(number), [captioner], [(0, 5000)], subtitles=tracks).values()
        assert [row["text"] for row in rows] == [wanted]
        assert rows[0]["lang"].partition("-")[0] == "en", "said by its source, or found out"


def test_a_film_is_read_and_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def film(read: Callable[[], Row]) -> Film:
        return Film(lambda: done.append("read") or read())  # type: ignore[func-returns-value]

    def parsed(text: str, form: str) -> Any:
        done.append("parsed")
        return read_track(text, form)

    monkeypatch.setattr(stage, "Film", film)
    monkeypatch.setattr(films, "read_track", parsed)
    captioners = [{"source": source} for source in ("alt", "page", "subtitles", "chapters", "hashtags")]
    spans = [(start, start + 500) for start in range(0, 50_000, 500)]
    found = captioned(tmp_path, captioners, spans, title="A film", subtitles=[track("en", "A dog")])
    assert [row["text"] for row in found[0, 500]] == ["A film"]
    assert done == ["read", "parsed"]


def test_a_machine_s_subtitles_stand_in(tmp_path: Path) -> None:
    (rows,) = captioned(tmp_path, [{"source": "subtitles", "languages": ["en"]}], [(0, 5000)],
                        subtitles=TRACKS[:3]).values()  # fmt: skip
    assert [(row["text"], row["lang"]) for row in rows] == [("A machine's", "en-US")]


def test_what_is_said_in_a_clip(tmp_path: Path) -> None:
    """A cue is a clip's where half of it lies in it."""
    text = "WEBVTT\n\n" + "".join(f"00:0{n}.000 --> 00:0{n + 1}.000\nword{n}\n\n" for n in range(6))
    spans = [(0, 1500), (1500, 3600), (3600, 3700), (4400, 6000)]
    found = captioned(tmp_path, [{"source": "subtitles"}], spans, subtitles=[track("en", text)])
    assert [[row["text"] for row in found[span]] for span in spans] == [
        ["word0 word1"], ["word1 word2 word3"], [], ["word4 word5"]
    ]  # fmt: skip


def test_chapters_are_on_the_clip_s_clock(tmp_path: Path) -> None:
    chapters = [{"start_ms": 0, "end_ms": 4000, "title": "One"}, {"start_ms": 4000, "end_ms": 9000, "title": "Two"},
                {"start_ms": 9000, "end_ms": 9500, "title": ""}]  # fmt: skip
    found = captioned(tmp_path, [{"source": "chapters"}], [(0, 9500), (1000, 3000), (3500, 9000), (9000, 9500)],
                      chapters=chapters)  # fmt: skip
    told = {span: [(row["text"], row["start_ms"], row["end_ms"]) for row in rows] for span, rows in found.items()}
    assert told == {
        (0, 9500): [("One", 0, 4000), ("Two", 4000, 9000)], (1000, 3000): [("One", None, None)],
        (3500, 9000): [("Two", 500, 5500)], (9000, 9500): [],
    }  # fmt: skip


# ------------------------------------------------------------------------------------------- errors of the section

SERVER = "m: {backend: server, url: 'http://127.0.0.1:1/v1', model: a}"
CLIP = "e: {backend: transformers, model: clip, task: embed}"


@pytest.mark.parametrize(("section", "told"), [
    ("{captioners: [{source: alt}, {source: alt}]}", "two captioners are called alt: give one of them another name"),
    ("{captioners: []}", "captions.captioners"),
    ("{captioners: [{source: model, name: t, model: x}]}", "t names the model x; captions.models has none"),
    (f"{{captioners: [{{source: model, name: t, model: x}}], models: {{{SERVER}}}}}", "captions.models has m"),
    (f"{{captioners: [{{source: model, name: t, model: e}}], models: {{{CLIP}}}}}",
     "t needs a model of task caption, e is one of embed"),
    (f"{{captioners: [{{source: model, name: t, model: m, strategy: speech}}], models: {{{SERVER}}}}}",
     "compares pictures: give embedder, one of captions.models with task embed"),
    (f"{{captioners: [{{source: model, name: t, model: m, embedder: m}}], models: {{{SERVER}}}}}",
     "servers do not give: take backend transformers"),
    ("{choose: {rule: score}}", "choose by score needs captions.similarity: name a model of task embed"),
    ("{choose: {min_score: 0.3}}", "needs captions.similarity"),
    ("{choose: {top: 3}}", "needs captions.similarity"),
    ("{choose: {min_score: 1.5}}", "captions.choose.min_score"),
    ("{choose: {order: [teacher]}}", "choose.order names teacher, which is none of the captioners alt"),
    ("{choose: {order: [a.b.c]}}", "give CAPTIONER or CAPTIONER.KIND"),
    (f"{{similarity: {{model: m}}, models: {{{SERVER}}}}}", "similarity needs vectors of pictures"),
    ("{similarity: {model: e}}", "similarity names the model e; captions.models has none"),
    ("{models: {m: {backend: server, url: localhost, model: a}}}", "give the server's base, such as http://"),
    ("{models: {m: {backend: server, url: 'http://a/v1', model: a, key_variable: 'sk-123'}}}",
     "give the name of an environment variable"),
    ("{models: {m: {backend: own, model: a}}}", "captions.models.m"),
    ("{captioners: [{source: alt, name: 'A B'}]}", "give a name of small letters, digits and _"),
    ("{captioners: [{source: nothing}]}", "captions.captioners.0"),
    ("{balance: {t: 3, tail_share: 0.1}}", "give only one of t, tail_share and target"),
])  # fmt: skip
def test_an_error_says_what_to_do(tmp_path: Path, section: str, told: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\ninputs: [{kind: table, paths: [a.parquet], columns: img2dataset}]\n"
                    "match: {vocabularies: {en: a.txt}}\nfetch: {}\n")  # fmt: skip
    with pytest.raises(RecipeError) as raised:
        load_recipe(path, [f"captions={section}"])
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)
    load_recipe(path, ["captions={}"])


@pytest.mark.parametrize(("name", "text", "told"), [
    ("missing.txt", None, "missing.txt of t cannot be read: No such file"),
    ("binary.txt", b"\xff\xfe\x80", "of t cannot be read: it is not UTF-8"),
    ("braces.txt", b"See {this", "which is no placeholder: write one as"),
])  # fmt: skip
def test_a_prompt_that_cannot_be_used_is_said(tmp_path: Path, name: str, text: bytes | None, told: str) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text)
    captioner = {"source": "model", "name": "t", "model": "m", "prompts": {"brief": str(tmp_path / name)}}
    models = {"m": {"backend": "server", "url": "http://127.0.0.1:1/v1", "model": "a"}}
    with pytest.raises(RecipeError, match=told):
        Captions().settings(recipe({"captioners": [captioner], "models": models}))


def test_captions_need_their_section_and_what_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="add the section captions"):
        Captions().settings(recipe(None))
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\ninputs: [{kind: table, paths: [a.parquet], columns: img2dataset}]\n"
                    "match: {vocabularies: {en: a.txt}}\ncaptions: {}\n")  # fmt: skip
    with pytest.raises(RecipeError, match="captions"):
        load_recipe(path)
