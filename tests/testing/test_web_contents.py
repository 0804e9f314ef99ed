"""What the generated web holds: sizes, kinds, traps, concepts."""

from __future__ import annotations

from collections import Counter, defaultdict
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.testing import Picture, Web, picture_of, starter_entries, starter_languages
from curation.testing.recordings import platform_hosts


def test_size_hosts_and_languages(web: Web) -> None:
    assert len(web.pages) == 480
    assert len({page.url for page in web.pages}) == 480
    assert len({page.host for page in web.pages}) >= 40
    languages = Counter(page.lang for page in web.pages)
    assert set(languages) == {*starter_languages(), "nl"}
    assert languages["en"] / 480 == pytest.approx(0.41, abs=0.05)
    assert len({page.charset for page in web.pages}) >= 6
    assert {page.charset_in for page in web.pages} == {"header", "meta", "none"}


def test_only_reserved_names(web: Web) -> None:
    urls = [page.url for page in web.pages] + [image.url for _, image in web.images if image.url]
    urls += [image.best_url for _, image in web.images if image.best_url]
    recordings = {mention.recording for page in web.pages for mention in page.recordings}
    urls += [mention.src for page in web.pages for mention in page.recordings if mention.src]
    urls += [recording.poster for recording in recordings if recording.poster]
    hosts = {urlsplit(url).hostname or "" for url in urls} - platform_hosts()
    assert [host for host in hosts if not host.endswith((".example", ".test", ".example.org"))] == []
    foreign = {recording.platform_id or "" for recording in recordings if recording.platform == "youtube"}
    # A real identifier ends in one of these: eleven characters of six bits hold 64 bits.
    assert foreign
    assert all(identity[-1] not in "AEIMQUYcgkosw048" and len(identity) == 11 for identity in foreign)


def test_every_kind_of_image_and_recording(web: Web) -> None:
    kinds = Counter(image.kind for _, image in web.images)
    expected = {
        "caption", "recased", "label", "unknown", "file-name", "generic", "url", "contact", "empty", "missing",
        "title-only", "lazy", "inline", "teaser", "world", "private", "spacer", "logo", "pixel", "avatar",
    }  # fmt: skip
    assert set(kinds) == expected
    assert min(kinds.values()) >= 5
    mentions = [mention for page in web.pages for mention in page.recordings]
    forms = Counter(mention.form for mention in mentions)
    assert set(forms) == {
        "video", "source", "og", "twitter", "json-ld", "graph", "microdata", "bare", "iframe", "lazy-iframe", "link",
        "share", "audio", "object", "embed",
    }  # fmt: skip
    assert min(forms.values()) >= 3
    assert set(Counter(mention.recording.kind for mention in mentions)) == {"file", "player", "unknown"}
    for count in (
        sum(bool(page.robots_header) for page in web.pages),
        sum("noai" in page.robots for page in web.pages),
        sum("noindex" in page.robots for page in web.pages),
        sum(page.base is not None for page in web.pages),
        sum(page.tdm_reserved for page in web.pages),
        sum(page.tdm_header for page in web.pages),
        sum("ccbot: noai" in page.directives for page in web.pages),
        sum(page.canonical != page.url for page in web.pages),
        sum(image.best_url is not None and image.form != "lazy" for _, image in web.images),
        sum(image.licence is not None for _, image in web.images),
        sum(any(mark in mention.src for mark in (".MP4?", ".MP3?")) for mention in mentions),
        sum(image.data_title is not None for _, image in web.images),
        sum(image.figcaption is not None for _, image in web.images),
    ):
        assert count >= 5
    assert len({page.licence for page in web.pages}) == 5


def test_the_traps_are_there(web: Web) -> None:
    texts: dict[str, set[str]] = defaultdict(set)
    languages: dict[str, set[str]] = defaultdict(set)
    urls: dict[Picture, set[str]] = defaultdict(set)
    seen: Counter[tuple[str, str]] = Counter()
    for page, url, modality, _, text, *_ in web.candidates():
        if modality != "image":
            continue
        texts[url].add(text)
        languages[url].add(page.lang)
        seen[url, text] += 1
        picture = picture_of(url)
        if picture is not None:
            urls[picture].add(url)
    most, *others = sorted(texts, key=lambda url: len(texts[url]), reverse=True)
    assert most.endswith("spacer.gif")
    assert len(texts[most]) > 150
    assert len(texts[others[0]]) < 100, "the demo's placeholder rule must hit the spacer alone"
    assert max(map(len, languages.values())) >= 7
    assert sum(len(found) >= 3 for found in urls.values()) >= 10
    assert sum(count > 1 for count in seen.values()) >= 100


def test_srcs_are_written_in_every_manner(web: Web) -> None:
    starts = Counter(image.src[:2] for _, image in web.images)
    assert all(starts[start] >= 10 for start in ("ht", "//", "..", "da"))
    assert sum(src.startswith("/p") for src in (image.src for _, image in web.images)) >= 10


def test_videos_have_a_head_and_a_tail_of_their_own(web: Web) -> None:
    """In five languages and more: a few concepts that most videos are about, others than of images, and many rare."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for page in web.pages:
        for recording in {mention.recording for mention in page.recordings}:
            if recording.modality == "video":
                counts["video", page.lang].update(set(recording.concepts))
        for image in page.images:
            counts["image", page.lang].update(set(image.concepts))
    languages = {lang for modality, lang in counts if modality == "video" and counts[modality, lang].total() >= 12}
    assert len(languages) >= 6
    videos, images = counts["video", "en"], counts["image", "en"]
    assert sum(count for _, count in videos.most_common(3)) > 0.35 * videos.total()
    assert sum(count == 1 for count in videos.values()) > 0.3 * len(videos) > 8
    shared = {entry for entry, _ in videos.most_common(4)} & {entry for entry, _ in images.most_common(4)}
    assert len(shared) <= 1, "the two heads are different ones"


def test_one_video_is_embedded_on_many_pages_under_many_urls(web: Web) -> None:
    pages: dict[str, set[str]] = defaultdict(set)
    srcs: dict[str, set[str]] = defaultdict(set)
    for page in web.pages:
        for mention in page.recordings:
            if mention.recording.platform is not None:
                pages[mention.recording.url].add(page.host)
                srcs[mention.recording.url].add(mention.src)
    assert max(map(len, pages.values())) >= 4
    assert sum(len(found) >= 3 for found in srcs.values()) >= 8


def test_site_files_disallow_what_pages_show(web: Web) -> None:
    files = dict(web.site_files)
    assert len(files) == len(web.site_files) > len({page.host for page in web.pages})
    private = {urlsplit(image.src).hostname for _, image in web.images if image.kind == "private"}
    assert len(private) >= 10
    assert all("Disallow: /private/\n" in files[f"https://{host}/robots.txt"] for host in private)
    assert {url for url in files if url.endswith("ai.txt")} == {
        f"https://{page.host}/ai.txt" for page in web.pages if "/forum/" in page.url
    }


def prepared(text: str) -> str:
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    return f" {text.strip()} ".replace("\n", " ")


def test_captions_hold_their_concepts(web: Web) -> None:
    """In languages with spaces as words of their own, but for case at a sentence's start and elision (un'arancia)."""
    held: Counter[bool] = Counter()
    for page, image in web.images:
        if image.kind not in ("caption", "label", "teaser", "world"):
            continue
        texts = " | ".join(text for _, text in image.texts)
        for concept in image.concepts:
            assert concept.lower() in texts.lower()
            if page.lang not in ("zh", "ja") and "." not in concept:
                held[f" {concept} " in prepared(texts)] += 1
    assert held[True] > 30 * held[False] > 0


def test_about_two_thirds_of_english_texts_match(web: Web) -> None:
    """Brute force, definition v1, on distinct texts per image; the rest is what the web's rest is."""
    padded = {f" {entry} ": entry for entry in starter_entries("en")}
    pairs = {
        (url, text)
        for page, url, _, source, text, *_ in web.candidates()
        if page.lang == "en" and source in ("alt", "title") and not url.endswith("spacer.gif")
    }  # fmt: skip
    counts: Counter[str] = Counter()
    matched = 0
    for _, text in pairs:
        ready = prepared(text)
        entries = [entry for pad, entry in padded.items() if pad in ready]
        counts.update(entries)
        matched += bool(entries)
    assert 0.5 < matched / len(pairs) < 0.7
    assert counts["photo"] > 150
    assert counts["dog"] > 100
    assert sum(count == 1 for count in counts.values()) > 150
    assert len(padded) - len(counts) > 500


# Pictures


@given(
    st.sampled_from([(lang, entry) for lang in starter_languages() for entry in starter_entries(lang)]),
    st.integers(1, 9999),
    st.sampled_from(["https://img.a.example{}", "https://cdn.b.test{}?w=640&q=80", "http://c.example.org/x{}#top"]),
)
def test_picture_of_undoes_path(concept: tuple[str, str], number: int, form: str) -> None:
    picture = Picture(concept[0], concept[1], number)
    assert picture_of(form.format(picture.path)) == picture


@pytest.mark.parametrize("url", ["https://cdn.pictures.example/assets/spacer.gif", "data:image/gif;base64,", ""])
def test_picture_of_others_is_none(url: str) -> None:
    assert picture_of(url) is None


def test_every_content_image_is_a_picture(web: Web) -> None:
    chrome = {"spacer", "logo", "pixel", "avatar"}
    for _, image in web.images:
        if image.url is not None:
            assert (picture_of(image.url) is None) == (image.kind in chrome)
