"""`why` on what filters keep out: every candidate told once, by the name the stage counts it under, with its reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from filter_rows import write_model
from inspect_runs import Folder

from curation.inspect.story import FilteredText, MediaStory
from curation.inspect.why import why
from curation.inspect.why_text import drop_words, why_lines
from curation.testing.archives import Capture, info_record, record_id, write_archive

ARCHIVE = "CC-MAIN-20260101000000-20260101010000-00000.warc.gz"
CC = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">licence</a>'
VIDEO = {
    "@context": "https://schema.org", "@type": "VideoObject", "name": "the red cat in the garden", "duration": "PT2M5S",
    "contentUrl": "https://cdn.example/film.mp4", "uploadDate": "2024-05-04", "width": 1280, "height": 720,
    "hasPart": [{"@type": "Clip", "name": "a house beside the river", "startOffset": 30, "endOffset": 65.5}]}


def image(name: str, alt: str, **attributes: str) -> str:
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<img src="https://cdn.example/{name}.jpg" alt="{alt}"{more}>'


SAME = "an old bridge over the river"
PAGES = [
    ("https://one.example/", '<meta name="robots" content="noai">' + CC + image("wide", "the cat in the house")),
    ("https://two.example/", CC + image("wide", "the cat in the house") + image("wide", "the garden of the cat")),
    ("https://three.example/", '<meta name="robots" content="noindex">' + CC + image("page", SAME)),
    ("https://four.example/", CC + image("page", SAME) + image("name", "IMG_2034.jpg") + image("bad", "bad bad bad")),
    ("https://art.example/gallery", CC + image("art", "a mountain behind the train")),
    ("https://evil.example/", CC + image("evil", "the house on the mountain")),
    ("https://denied.example/", CC + image("denied", "the train beside the river")),
    ("https://free.example/", image("none", "a garden and a house")
     + '<a rel="license" href="https://opensource.org/licenses/MIT">code</a>'),
    ("https://bare.example/", image("unknown", "a garden and a cat")),
    ("https://film.example/", f'{CC}<script type="application/ld+json">{json.dumps(VIDEO)}</script>'
     '<a href="https://cdn.example/talk.mp4">the river in the garden</a>'),
    ("https://title.example/", CC + image("title", "", title="the mountain and the river")),
]


class Web(Folder):
    """Pages as a WARC file, and the lists and the model that the recipe names."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, {})
        html = (("Content-Type", "text/html; charset=utf-8"),)
        found = [Capture(url, "2026-01-01T00:00:00Z", record_id("info", "x"), html, page.encode(), ())
                 for url, page in (*PAGES, )]
        plain = (("Content-Type", "text/plain"),)
        found.append(Capture("https://art.example/ai.txt", "2026-01-01T00:00:00Z", record_id("info", "x"), plain,
                             b"User-Agent: *\nDisallow: *.jpg\n", ()))
        records = [info_record(ARCHIVE, "2026-01-01T00:00:00Z", {}), *(r for one in found for r in one.records())]
        write_archive(root / ARCHIVE, records)
        (root / "lists").mkdir()
        (root / "lists" / "bad sites.txt").write_text("evil.example\n")
        (root / "deny.txt").write_text("denied.example\n")
        write_model(root / "model.bin")

    def recipe(self, **sections: Any) -> Any:
        filters = {
            "licences": ["CC"], "domains": {"deny": [f"@{self.root / 'deny.txt'}"]},
            "refusals": [str(self.root / "lists")],
            "classifiers": [{"name": "quality", "model": str(self.root / "model.bin"), "refuse": ["__label__bad"],
                             "min_score": 0.9}]}
        return super().recipe(**{
            "inputs": [{"kind": "warc", "paths": [str(self.root / ARCHIVE)]}], "pairs": {"filters": filters},
            "match": {"text_sources": {"image": ["alt", "figcaption"], "audio": ["title"]}}, **sections})

    def stories(self) -> dict[str, MediaStory]:
        rows = self.query("SELECT DISTINCT media_id, media_url FROM candidates ORDER BY 1")
        return {url.rsplit("/", 1)[1].split(".")[0]: why(self.catalog, media_id) for media_id, url in rows}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    web = Web(tmp_path_factory.mktemp("web"))
    web.run()
    return web


@pytest.fixture(scope="module")
def stories(web: Web) -> dict[str, MediaStory]:
    return web.stories()


def told(stories: dict[str, MediaStory]) -> Counter[str]:
    found: Counter[str] = Counter()
    for story in stories.values():
        found.update({f"filtered:{text.rule}": 0 for text in story.filtered})
        for text in story.filtered:
            found[f"filtered:{text.rule}"] += text.occurrences
        for pair in story.pairs:
            found.update({f"filtered:{rule}": times for rule, times in pair.refused.items()})
    return found


def counted(web: Web) -> dict[str, int]:
    counts = web.catalog.visible("pairs").counts
    return {name: number for name, number in counts.items() if name.startswith("filtered:")}


@pytest.mark.parametrize("scope", ["media", "page"])
@pytest.mark.slow
def test_filters_are_those_that_the_stage_counted(tmp_path: Path, scope: str) -> None:
    web = Web(tmp_path)
    consent = {"pairs": {**web.recipe().pairs.model_dump(), "filters": {
        **web.recipe().pairs.filters.model_dump(), "consent": {"scope": scope}}}}
    web.run(until="pairs", **consent)
    stories = web.stories()
    assert told(stories) == counted(web)
    for story in stories.values():
        in_pairs = sum(pair.occurrences + sum(pair.refused.values()) for pair in story.pairs)
        assert in_pairs + sum(text.occurrences for text in story.filtered) == story.candidates
    assert {"filtered:consent:noai", "filtered:consent:ai.txt", "filtered:licence", "filtered:refused:bad sites",
            "filtered:domain", "filtered:classifier:quality", "filtered:drop_file_names"} <= told(stories).keys()
    assert any(text.media_wide for story in stories.values() for text in story.filtered) == (scope == "media")


def reason(story: MediaStory) -> str:
    (text,) = story.filtered
    return drop_words(text)


def test_reasons_are_words_with_their_evidence(stories: dict[str, MediaStory]) -> None:
    assert reason(stories["evil"]).startswith("the list bad sites of pairs.filters.refusals names")
    assert reason(stories["denied"]).startswith("pairs.filters.domains does not take")
    assert reason(stories["none"]) == "its licence, MIT, is not among pairs.filters.licences"
    assert reason(stories["unknown"]) == "its licence, none that is known, is not among pairs.filters.licences"
    assert reason(stories["bad"]) == "the classifier quality of pairs.filters.classifiers refuses it"
    assert reason(stories["name"]) == "the rule pairs.rules.drop_file_names drops it"
    words = reason(stories["art"])
    assert words.startswith(f"consent:ai.txt: ai.txt of art.example ({ARCHIVE} at ")
    assert words.endswith(" refuses its use")


def test_the_refusal_of_one_page_is_told_as_that_of_the_media(stories: dict[str, MediaStory]) -> None:
    story = stories["wide"]
    assert not story.pairs
    assert {(text.text, text.rule, text.media_wide, text.occurrences) for text in story.filtered} == {
        ("the cat in the house", "consent:noai", False, 1), ("the cat in the house", "consent:noai", True, 1),
        ("the garden of the cat", "consent:noai", True, 1)}
    lines = "\n".join(why_lines(story))
    assert "consent:noai: its page refuses its use" in lines
    assert "a page that shows the media refuses its use, and with it everywhere (the page https://one.ex" in lines


def test_a_text_refused_on_one_page_only_is_a_pair(stories: dict[str, MediaStory]) -> None:
    story = stories["page"]
    (pair,) = story.pairs
    assert (story.filtered, pair.text, pair.occurrences, pair.refused) == ([], SAME, 1, {"consent:noindex": 1})
    assert "refused    1 more candidate, for what their page says: consent:noindex" in "\n".join(why_lines(story))


def test_sources_that_do_not_count_are_said(web: Web, stories: dict[str, MediaStory]) -> None:
    (pair,) = stories["title"].pairs
    start = "not kept: none of its text sources counts for matching: match.text_sources "
    assert (pair.kept, pair.verdict) == (False, start + "counts alt and figcaption for image")
    videos = [pair for name in ("talk", "film") for pair in stories[name].pairs]
    assert {pair.verdict for pair in videos} == {start + "names none for video"}
    said = sum("none of its text sources" in pair.verdict for story in stories.values() for pair in story.pairs)
    assert said == web.catalog.visible("match").counts["other_source"] > 0


def test_what_is_declared_about_a_video_is_shown(stories: dict[str, MediaStory]) -> None:
    story = stories["film"]
    lines = why_lines(story)
    assert "declared   1,280 x 720 pixels, lasts 2:05, of 2024-05-04, licence CC-BY-4.0" in lines
    (chapter,) = [pair for pair in story.pairs if pair.text == "a house beside the river"]
    assert (chapter.start_ms, chapter.end_ms) == (30_000, 65_500)
    assert "  part       from 0:30 to 1:05.5 of the media" in lines
    assert any(line.endswith('"a house beside the river", about the part from 0:30 to 1:05.5') for line in lines)


@pytest.mark.slow
def test_lists_that_have_changed_are_not_asked(tmp_path: Path) -> None:
    web = Web(tmp_path)
    web.run()
    (tmp_path / "lists" / "bad sites.txt").write_text("four.example\n")
    for story in (web.stories()["evil"], web.stories()["bad"]):
        (text,) = story.filtered
        assert text.rule == ""
        assert "which have changed since" in drop_words(text)
        assert any(line.startswith("note ") and "they hold something else now" in line for line in why_lines(story))
    (tmp_path / "lists" / "bad sites.txt").unlink()
    stories = web.stories()
    assert any("no list in" in note for note in stories["evil"].notes)
    assert stories["none"].filtered[0].rule == "licence"  # what does not lie in files is told all the same
    assert all("four.example" not in drop_words(text) for story in stories.values() for text in story.filtered)
    assert stories["page"].pairs[0].refused == {"consent:noindex": 1}


def test_many_texts_dropped_alike_are_not_all_listed(stories: dict[str, MediaStory]) -> None:
    story = stories["evil"]
    many = [FilteredText(f"text {number}", "licence", 1) for number in range(50)]
    object.__setattr__(story, "filtered", [*many, FilteredText("x", "min_chars", 1, "en")])
    lines = [line for line in why_lines(story) if line.startswith("filtered ")]
    assert len(lines) == 22
    assert "and 30 more texts: its licence" in lines[20]
