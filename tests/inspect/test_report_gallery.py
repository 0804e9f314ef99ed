"""The gallery: which samples it shows, what of them, what it says where there is no picture, and hostile texts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from card_pools import STRANGE, make_pool, make_recipe, publish
from report_reading import Page

from curation.forget import Request, forget
from curation.inspect import report_gallery
from curation.inspect.report import report, write_report
from curation.inspect.report_gallery import SHOWN
from curation.inspect.report_markup import clipped, text
from curation.inspect.report_page import REPORT_HTML
from curation.inspect.report_thumbnails import SIDE, NoThumbnail, thumbnail
from curation.inspect.views import connect
from curation.schemas import MANIFEST
from curation.storage import Store
from curation.testing.manifests import manifest_table, write_manifest

Row = dict[str, Any]

HOSTILE = [
    "<script>document.title='owned'</script>",
    "</p></div></article><h1>owned</h1>",
    '"><img src=x onerror=alert(1)>',
    "<!-- <svg onload=alert(1)>",
    "</style><style>body{display:none}</style>",
    "\u202eReversed \u2066isolated\u2069",
    "\x1b[31mred\x1b[0m \x00 \x07 \x9b",
    "مرحبا بالعالم و English 123",
    "שלום <b>עולם</b>",
    "👩‍👩‍👧‍👦 🏳️‍🌈 " * 5,
    "Z\u0351\u0351\u0351\u0351\u0351\u0351\u0351alg" + "o\u0336" * 200,
    "x" * 50_000,
    "a\n\n\nb\tc\r\nd",
    "&lt;b&gt; &amp;amp; &#x3c;script&#x3e;",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    " \u00a0\u200b\ufeff ",
    "]]></title></textarea><iframe src=//evil.example>",
]
URLS = ["javascript:alert(1)", "data:text/html,<script>x</script>", "https://ok.example/\"><script>x</script>",
        "file:///etc/passwd", "//evil.example/x", "http://ok.example/a b<c>", "\x1b]8;;https://evil.ex"]  # fmt: skip


def hostile_rows(samples: int = 60, *, videos: float = 0.2) -> pa.Table:
    """A manifest in which every text, URL, licence and language is hostile."""
    rows = manifest_table(samples, seed=1, videos=videos).to_pylist()
    for place, row in enumerate(rows):
        evil = HOSTILE[place % len(HOSTILE)]
        row |= {"text": evil, "licence": evil, "text_kind": evil, "text_lang": evil, "platform": evil,
                "page_url": URLS[place % len(URLS)], "media_url": URLS[(place + 1) % len(URLS)]}  # fmt: skip
        for said in row["texts"]:
            said |= {"text": evil, "kind": evil, "captioner": evil, "lang": evil, "licence": evil}
    return pa.Table.from_pylist(rows, schema=MANIFEST.schema)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write_manifest(folder, hostile_rows(), with_bytes=True)
    return folder


@pytest.fixture(scope="module")
def tame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tame")
    write_manifest(folder, hostile_rows().num_rows, seed=1, with_bytes=True)
    return folder


def shape(html: str) -> set[str]:
    """Elements, classes and attributes that a page has."""
    tree = Page(html).tree
    found = {node.tag for node in tree.css("*")}
    found |= {f"{node.tag}[{name}]" for node in tree.css("*") for name in node.attributes}
    return found | {str(node.attributes["class"]) for node in tree.css("[class]")}


def test_no_element_comes_from_a_text(hostile: Path, tame: Path) -> None:
    allowed = {"code", "caption", "legend"}  # where URLs that are none are shown; where there are two kinds
    assert shape(report(hostile)) - shape(report(tame)) <= allowed
    tree = Page(report(hostile)).tree
    assert [node.text() for node in tree.css("h1")] == ["Training set"]
    assert not tree.css("script, iframe, b b, style + style, img:not([src^='data:image/jpeg;base64,'])")
    assert len(tree.css("style")) == 1


def test_hostile_texts_are_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_gallery, "SHOWN", len(HOSTILE))
    write_manifest(tmp_path, hostile_rows(len(HOSTILE), videos=0.0))
    said = {node.text() for node in Page(report(tmp_path)).tree.css("#gallery .said")}
    assert said == {unescaped(clipped(evil, 1200)) for evil in HOSTILE}
    assert any("50,000 characters" in words for words in said)


def unescaped(evil: str) -> str:
    from html import unescape

    return unescape(text(evil))


def test_only_web_addresses_are_links(hostile: Path) -> None:
    links = [str(node.attributes["href"]) for node in Page(report(hostile)).tree.css("#gallery a")]
    assert links and all(link.startswith(("http://ok.example/", "https://ok.example/")) for link in links)
    for node in Page(report(hostile)).tree.css("#gallery a"):
        assert set(str(node.attributes["rel"]).split()) >= {"noopener", "noreferrer"}


def test_texts_find_their_own_direction(hostile: Path) -> None:
    tree = Page(report(hostile)).tree
    assert all(node.attributes["dir"] == "auto" for node in tree.css("#gallery .said"))
    assert all(node.attributes.get("dir") == "auto" or node.parent.parent.attributes.get("class") == "entries"
               for node in tree.css("#gallery bdi"))  # fmt: skip
    assert not [node for node in tree.css("[lang]") if node.tag != "html"]  # hostile ones are no languages


def test_hostile_entries_and_notes(tmp_path: Path) -> None:
    pool = make_pool(1)
    publish(tmp_path, pool, make_recipe(pool))
    tree = Page(report(tmp_path)).tree
    assert not tree.css("script, em, a[href='http://x']")
    shown = {node.text() for node in tree.css("#gallery .entries bdi")}
    assert {unescaped(entry) for entry in STRANGE} & shown


def test_samples_at_random_are_the_first_by_a_hash(tame: Path) -> None:
    rows = manifest_table(hostile_rows().num_rows, seed=1).to_pylist()
    for modality in ("image", "video"):
        ids = sorted((row["sample_id"] for row in rows if row["modality"] == modality),
                     key=lambda id_: hashlib.md5(f"curation report{id_}".encode()).hexdigest())  # fmt: skip
        assert shown(report(tame), f"gallery-{modality}-random") == ids[:SHOWN]


def shown(html: str, heading: str) -> list[str]:
    """Ids of the samples below a heading."""
    node = Page(html).tree.css_first(f"#{heading}")
    while node.attributes.get("class") != "samples":
        node = node.next
    return [found.text() for found in node.css("article > .body > p:last-child > code")]


def rarest(folder: Path) -> dict[str, tuple[int, str]]:
    """By sample the texts of the pool that hold its rarest entry, and which that is."""
    with connect(folder) as database:
        pool = {(m, lang, entry): texts for m, lang, entry, texts in database.sql(
            "SELECT modality, vocabulary_lang, entry_id, pool_texts FROM entry_probabilities").fetchall()}  # fmt: skip
        rows = database.sql("SELECT sample_id, modality, vocabulary_lang, entry_ids FROM manifest").fetchall()
    return {id_: min((pool[m, lang, entry], f"{lang} {entry}") for entry in ids) for id_, m, lang, ids in rows}


def test_head_and_tail_hold_what_they_say(tmp_path: Path) -> None:
    write_manifest(tmp_path, 400, seed=2)
    found, html = rarest(tmp_path), report(tmp_path)
    for modality in ("image", "video"):
        head, tail, random = (shown(html, f"gallery-{modality}-{kind}") for kind in ("head", "tail", "random"))
        least = [min(found[id_][0] for id_ in ids) for ids in (head, random, tail)]
        most = [max(found[id_][0] for id_ in ids) for ids in (head, random, tail)]
        assert least[0] >= least[1] >= least[2] and most[0] >= most[1] >= most[2]
        assert most[2] < least[0]
        for ids in (head, tail):
            assert max([found[id_][1] for id_ in ids].count(found[id_][1]) for id_ in ids) <= 2
            assert len({id_.split("-")[0] for id_ in ids}) == len(ids)  # no two clips of a video


def test_what_is_said_of_a_sample(tmp_path: Path) -> None:
    write_manifest(tmp_path, 30, seed=4, videos=0.0, with_bytes=True)
    rows = {row["sample_id"]: row for row in manifest_table(30, seed=4, videos=0.0).to_pylist()}
    page = Page(report(tmp_path))
    for sample in page.samples():
        row = rows[sample.css_first(".body > p:last-child").text()]
        words = sample.text(separator=" ", strip=True)
        assert sample.css_first(".said").text() == row["text"]
        assert row["text_kind"] in words and (row["licence"] or "no licence known") in words
        assert [node.text() for node in sample.css("details bdi")] == [
            clipped(said["text"], 400) for said in row["texts"][1:]
        ]
        hrefs = [node.attributes["href"] for node in sample.css("a")]
        assert hrefs == [url for url in (row["page_url"], row["media_url"]) if url]
        assert len(sample.css(".entries li")) == len(row["entry_ids"])


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ((7.5, 0.25), "this text is kept at every t from 7.5 on; keep probability 0.25. The sample, by the best of all "
                      "texts of its media, is kept at every t from 3 on; keep probability 0.9"),
        ((3.0, 0.25), "this text is kept at every t from 3 on; keep probability 0.25. The sample, by the best of all "
                      "texts of its media, is kept at every t from 3 on; keep probability 0.9"),
        ((3.0, 0.9), "kept at every t from 3 on; keep probability 0.9"),
        ((None, None), "this text was not drawn by itself; the sample is kept at every t from 3 on; keep probability "
                       "0.9"),
    ],
)  # fmt: skip
def test_the_numbers_below_a_text_are_its_own(tmp_path: Path, own: tuple[Any, Any], told: str) -> None:
    rows = manifest_table(3, seed=4, videos=0.0).to_pylist()
    for row in rows:
        row |= {"critical_threshold": 3.0, "keep_probability": 0.9}
        row["texts"][0] |= {"critical_threshold": own[0], "keep_probability": own[1]}
    write_manifest(tmp_path, pa.Table.from_pylist(rows, schema=MANIFEST.schema), entries=False)
    for sample in Page(report(tmp_path)).samples():
        assert [node.text() for node in sample.css(".facts")][-2] == told


def picture(sample: Any) -> np.ndarray[Any, Any]:
    data = str(sample.css_first("img").attributes["src"]).removeprefix("data:image/jpeg;base64,")
    return np.asarray(cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR))


def test_every_sample_has_its_picture(tame: Path) -> None:
    samples = Page(report(tame)).samples()
    assert {sample.css_first("img").attributes["alt"].split(",")[0] for sample in samples} == {"image", "video"}
    for sample in samples:
        assert max(picture(sample).shape[:2]) in (48, 64)


def test_large_pictures_are_scaled_down(tmp_path: Path) -> None:
    pixels = np.zeros((600, 1200, 3), np.uint8)
    pixels[:, :600] = 255
    data = bytes(cv2.imencode(".png", pixels)[1])
    (tmp_path / "a.tar").write_bytes(b"before" + data)
    made = thumbnail(Store.at(tmp_path), of_image("a.tar", 6, len(data)))
    shown_pixels = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_COLOR)
    assert shown_pixels.shape == (SIDE // 2, SIDE, 3)
    assert shown_pixels[:, : SIDE // 2 - 8].min() > 240 and shown_pixels[:, SIDE // 2 + 8 :].max() < 15
    assert made[:2] == b"\xff\xd8" and b"Exif" not in made


def of_image(path: str, offset: int, size_bytes: int, **more: Any) -> Row:
    return {"modality": "image", "path": path, "offset": offset, "size_bytes": size_bytes, "extension": "jpg",
            "key_frame": None, **more}  # fmt: skip


def test_a_clip_shows_its_first_stored_still(tmp_path: Path) -> None:
    still = bytes(cv2.imencode(".jpg", np.full((40, 80, 3), 200, np.uint8))[1])
    (tmp_path / "a.tar").write_bytes(b"no video" + still)
    made = thumbnail(Store.at(tmp_path), of_image("a.tar", 0, 8, modality="video", key_frame=(8, len(still))))
    assert cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_COLOR).shape == (40, 80, 3)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.unlink(), "its bytes are gone (No such file or directory)"),
        (lambda file: file.write_bytes(file.read_bytes()[:100]), "its file ends before its bytes do"),
        (lambda file: file.write_bytes(b"\xff" * file.stat().st_size), "it cannot be decoded"),
    ],
)
@pytest.mark.slow
def test_without_bytes_there_is_a_reason(tmp_path: Path, damage: Callable[[Path], None], reason: str) -> None:
    write_manifest(tmp_path, 20, with_bytes=True)
    for tar in tmp_path.rglob("*.tar"):
        damage(tar)
    samples = Page(report(tmp_path)).samples()
    assert samples and not any(sample.css("img") for sample in samples)
    assert all(reason in sample.css_first(".thumb").text() for sample in samples)


def test_bytes_that_are_too_many_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(NoThumbnail, match="too large"):
        thumbnail(Store.at(tmp_path), of_image("a.tar", 0, 1 << 40))


def test_a_bomb_is_not_decoded(tmp_path: Path) -> None:
    """A header of 60,000 x 60,000 pixels: 10 GB."""
    small = bytearray(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    small[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    small[29:33] = zlib.crc32(bytes(small[12:29])).to_bytes(4, "big")
    (tmp_path / "a.tar").write_bytes(small)
    with pytest.raises(NoThumbnail, match=r"3,600,000,000 pixels are too many|cannot be decoded"):
        thumbnail(Store.at(tmp_path), of_image("a.tar", 0, len(small)))


def test_the_page_stays_small(tmp_path: Path) -> None:
    write_manifest(tmp_path, hostile_rows(500), with_bytes=True)
    assert write_report(tmp_path).size_bytes < 3_000_000


@pytest.mark.slow
def test_what_was_forgotten_is_shown_nowhere(tmp_path: Path) -> None:
    write_manifest(tmp_path, 40, seed=5, with_bytes=True)
    before = write_report(tmp_path)
    assert not before.notices
    forget(Store.at(tmp_path), Request(urls=("http://never.example/there.jpg",)))
    assert not write_report(tmp_path).notices  # it took nothing out
    gone = Page((tmp_path / REPORT_HTML).read_text()).samples()[0].css_first(".body > p:last-child").text()
    (row,) = [row for row in manifest_table(40, seed=5).to_pylist() if row["sample_id"] == gone]
    forget(Store.at(tmp_path), Request(media_ids=(row["media_id"],), copies="none"))
    assert not (tmp_path / REPORT_HTML).exists()  # it showed the picture
    written = write_report(tmp_path)
    html = (tmp_path / REPORT_HTML).read_text()
    assert gone not in html and row["media_url"] not in html
    assert "1 media were forgotten" in written.notices[0]
    left = sum(other["media_id"] != row["media_id"] for other in manifest_table(40, seed=5).to_pylist())
    assert Page(html).tiles()["samples"] == str(left)
