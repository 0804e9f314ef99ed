"""Images, videos and recordings in JSON-LD and microdata: a plain walk over the page is the definition."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from curation.crawl.structured import MediaObject, Part, json_ld, microdata


def found_in(*scripts: object, odd: int = 0) -> list[MediaObject]:
    tallied: list[str] = []
    texts = [script if isinstance(script, str) else json.dumps(script) for script in scripts]
    result = json_ld(texts, tallied.append)
    assert tallied == ["odd:json_ld"] * odd
    return result


def one(**properties: object) -> MediaObject:
    (result,) = found_in({"@type": "VideoObject", "name": "n", **properties})
    return result


def marked_tree(tree: LexborHTMLParser, odd: int = 0) -> list[MediaObject]:
    tallied: list[str] = []
    result = microdata(tree, tallied.append)
    assert tallied == ["odd:microdata"] * odd
    return result


def marked_up(html: str) -> list[MediaObject]:
    return marked_tree(LexborHTMLParser(html))


def video(inner: str, attributes: str = "") -> str:
    return f'<div itemscope itemtype="https://schema.org/VideoObject" {attributes}>{inner}</div>'


# ------------------------------------------------------------------------------------------ the definition

_TYPES = {
    "VideoObject": "video",
    "http://schema.org/MusicVideoObject": "video",
    "https://schema.org/ImageObject": "image",
    "schema:AudioObject": "audio",
    "NewsArticle": None,
    "Clip": None,
    "VideoGame": None,
    "http://example.com/VideoObject": None,
}
_KEYS = st.sampled_from(["video", "@graph", "associatedMedia", "trailer", "x", "itemListElement"])


def _nodes(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    node = st.tuples(st.sampled_from(list(_TYPES)), st.booleans(), st.dictionaries(_KEYS, children, max_size=3))
    made = node.map(lambda n: {"@type": ["Thing", n[0]] if n[1] else n[0], **n[2]})
    return made | st.lists(children, max_size=3)


_DOCUMENTS = st.recursive(st.none() | st.integers() | st.text(max_size=5), _nodes, max_leaves=25)


def _number(value: Any, names: list[str]) -> None:
    """Gives every node a name of its own."""
    if isinstance(value, dict):
        value["name"] = names[0] = f"n{int(names[0][1:]) + 1}"
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _number(inner, names)


def _walk(value: Any) -> list[tuple[str, str]]:
    own = []
    if isinstance(value, dict):
        kind = _TYPES[value["@type"][-1] if isinstance(value["@type"], list) else value["@type"]]
        own = [(value["name"], kind)] if kind else []
        value = list(value.values())
    return own + [hit for inner in value for hit in _walk(inner)] if isinstance(value, list) else own


@settings(max_examples=150, deadline=None)
@given(st.lists(_DOCUMENTS, max_size=3))
def test_every_media_node_is_found_once_in_document_order(documents: list[Any]) -> None:
    _number(documents, ["n0"])
    result = found_in(*documents)
    # A script that names no media type is not decoded; what the definition finds always names one.
    assert [(media.name, media.modality) for media in result] == _walk(documents)


_TAGS = ["div", "span", "p", "section"]


@st.composite
def _pages(draw: st.DrawFn) -> str:
    """Elements in each other at random: scopes, properties, ids 0-5 and itemrefs to them, loops included."""
    ids = iter(range(6))

    def element(depth: int) -> str:
        attributes = ""
        scoped = draw(st.booleans())
        if scoped:
            kind = draw(st.sampled_from(["VideoObject", "ImageObject", "Article"]))
            attributes += f' itemscope itemtype="http://schema.org/{kind}"'
            if refs := draw(st.lists(st.integers(0, 6), max_size=2)):
                attributes += f' itemref="{" ".join(f"i{ref}" for ref in refs)}"'
        if draw(st.booleans()):
            attributes += f' itemprop="{draw(st.sampled_from(["keywords", "other keywords", "caption"]))}"'
        if draw(st.booleans()) and (number := next(ids, None)) is not None:
            attributes += f' id="i{number}"'
        inner = "".join(element(depth - 1) for _ in range(draw(st.integers(0, 3)))) if depth else ""
        tag = draw(st.sampled_from(_TAGS))
        text = f' content="v{draw(st.integers(0, 10**6))}"' if not scoped else ""
        return f"<div><{tag}{attributes}{text}>{inner}</{tag}></div>".replace("<p", "<div").replace("</p>", "</div>")

    return "".join(element(3) for _ in range(draw(st.integers(1, 3))))


def _crawl(tree: LexborHTMLParser, scope: LexborNode) -> list[LexborNode]:
    """The properties of an item as the HTML standard's algorithm finds them."""
    order = {node.mem_id: index for index, node in enumerate(tree.root.traverse())}  # type: ignore[union-attr]
    pending = [*scope.iter()]
    for ref in (scope.attributes.get("itemref") or "").split():
        pending += tree.css(f"#{ref}")[:1]
    memory, results = {scope.mem_id}, []
    while pending:
        node = pending.pop()
        if node.mem_id in memory:
            continue
        memory.add(node.mem_id)
        if "itemscope" not in node.attributes:
            pending += node.iter()
        if node.attributes.get("itemprop"):
            results.append(node)
    return sorted(results, key=lambda node: order[node.mem_id])


@settings(max_examples=200, deadline=None)
@given(_pages())
def test_properties_of_an_item_are_those_of_the_standard(html: str) -> None:
    tree = LexborHTMLParser(html)
    expected = []
    for scope in tree.css("[itemscope]"):
        properties = _crawl(tree, scope)
        values = [
            node.attributes.get("content")
            for node in properties
            if "keywords" in (node.attributes["itemprop"] or "") and "itemscope" not in node.attributes
        ]
        if properties and "Article" not in (scope.attributes["itemtype"] or ""):
            expected.append(", ".join(value for value in values if value) or None)
    assert [media.keywords for media in marked_tree(tree)] == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999), st.sampled_from("TCSD"))
def test_durations(hours: int, minutes: int, seconds: int, ms: int, style: str) -> None:
    written = {
        "T": f"PT{hours}H{minutes}M{seconds}.{ms:03}S",
        "D": f"P0Y0M{hours // 24}DT{hours % 24}H{minutes}M{seconds},{ms:03}S",
        "C": f"{hours}:{minutes:02}:{seconds:02}.{ms:03}",
        "S": hours * 3600 + minutes * 60 + seconds + ms / 1000,
    }[style]
    expected = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
    assert one(duration=written).duration_ms == expected
    assert one(hasPart=[{"startOffset": written}]).parts == [Part(None, expected, None)]


_STRINGS = st.text(max_size=20).filter(lambda text: "&" not in text and "<" not in text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(_STRINGS, min_size=1, max_size=3),
    st.sampled_from(["", "\ufeff", "<!--\n", "//<![CDATA[\n", "/* <![CDATA[ */ ", " \n\ufeff<![CDATA["]),
    st.sampled_from(["", ";", "\n-->", "\n//]]>", " /* ]]> */", "]]>\n\x00"]),
)
def test_repairs_change_nothing_else(names: list[str], before: str, after: str) -> None:
    """Marks around, trailing commas, raw control characters, unknown escapes, values in a row."""
    nodes = [{"@type": "VideoObject", "name": name, "description": "a'b"} for name in names]
    ragged = "".join(json.dumps(node, ensure_ascii=False).replace("}", ", \n}").replace("'", "\\'") for node in nodes)
    for code, char in (("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r")):
        ragged = ragged.replace(code, char) if "\\\\" not in ragged else ragged
    expected = found_in(*nodes)
    if not any("}" in name or "'" in name for name in names):
        assert found_in(before + ragged + after) == expected


# ----------------------------------------------------------------------------------------------- JSON-LD


def test_every_field() -> None:
    (result,) = found_in(
        {
            "@context": "https://schema.org",
            "@type": "VideoObject",
            "contentUrl": "/v.mp4?a=1&amp;b=2&copy=3",
            "embedUrl": {"@id": "//player/1"},
            "url": [{"@value": "page"}],
            "thumbnailUrl": ["t.jpg", "u.jpg"],
            "name": " R&amp;D &lt;1&gt; &amp;amp; ",
            "description": "<p>One<br/>two <b>thr</b>ee</p>",
            "caption": "c",
            "transcript": {"@value": "spoken", "@language": "en"},
            "keywords": ["a", {"@type": "DefinedTerm", "name": "b"}, " ", "c, d"],
            "duration": {"@type": "Duration", "name": "PT1M33S"},
            "uploadDate": "2019-05-01T10:00:00Z",
            "license": {"@type": "CreativeWork", "url": "https://creativecommons.org/licenses/by/4.0/"},
            "width": "640px",
            "height": {"@type": "QuantitativeValue", "value": 360},
            "hasPart": {"@type": "Clip", "name": "Intro", "startOffset": "0:30", "endOffset": 95.5},
        }
    )
    assert result == MediaObject(
        modality="video",
        content_url="/v.mp4?a=1&b=2&copy=3",
        embed_url="//player/1",
        url="page",
        thumbnail_url="t.jpg",
        name="R&D <1> &amp;",
        description="One two three",
        caption="c",
        transcript="spoken",
        keywords="a, b, c, d",
        parts=[Part("Intro", 30_000, 95_500)],
        duration_ms=93_000,
        upload_date="2019-05-01T10:00:00Z",
        licence="https://creativecommons.org/licenses/by/4.0/",
        width=640,
        height=360,
    )


def test_names_may_be_iris_prefixed_or_of_another_case() -> None:
    node = {"@type": ["http://schema.org/VideoObject"], "http://schema.org/contentUrl": [{"@id": "v.mp4"}]}
    assert [media.content_url for media in found_in(node)] == ["v.mp4"]
    assert one(contentURL="v", **{"schema:thumbnailURL": "t"}).thumbnail_url == "t"
    assert found_in({"type": "ImageObject", "url": {"@set": [{"@list": ["u"]}]}})[0].url == "u"


def test_references_are_resolved_within_the_page_and_give_no_object_themselves() -> None:
    result = found_in(
        {"@type": "VideoObject", "thumbnail": {"@id": "#t"}, "hasPart": [{"@id": "#c"}, {"@id": "#gone"}]},
        {"@graph": [{"@id": "#t", "@type": "ImageObject", "url": "t.jpg"}, {"@type": "ImageObject", "@id": "#t"}]},
        {"about": "ImageObject", "x": {"@id": "#c", "@type": "Clip", "startOffset": 3, "name": "c"}},
    )
    assert [(media.modality, media.thumbnail_url, media.url) for media in result] == [
        ("video", "t.jpg", None),
        ("image", None, "t.jpg"),
    ]
    assert result[0].parts == [Part("c", 3000, None)]


def test_cycles_of_references_end() -> None:
    node = {"@type": "VideoObject", "@id": "#v", "url": {"@id": "#v"}, "thumbnail": {"@id": "#w"}, "name": "x"}
    other = {"@id": "#w", "@type": "ImageObject", "url": {"@id": "#v"}, "hasPart": {"@id": "#w"}}
    assert [media.name for media in found_in([node, other])] == ["x", None]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("PT1M33S", 93_000),
        ("P0DT0H1M", 60_000),
        ("P1DT1S", 86_401_000),
        ("P1W", 604_800_000),
        ("PT90S", 90_000),
        ("T0H1M", 60_000),
        ("P3M5S", 185_000),
        ("pt2m", 120_000),
        ("1:33", 93_000),
        ("93", 93_000),
        (93.25, 93_250),
        (0, 0),
        (["soon", "PT1S"], 1000),
        *(
            (bad, None)
            for bad in ("P", "PT", "P1Y", "P2M1D1Y", "-5", -5, "1:2:3:4", True, "", None, {}, [], "1e3", 1e300)
        ),
        ("9" * 5000, None),
        ("PT" + "9" * 5000 + "S", None),
    ],
)
def test_duration(written: object, expected: int | None) -> None:
    assert one(duration=written).duration_ms == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2019-05-01", "2019-05-01"),
        ("20190501", "2019-05-01"),
        ("2019-05-01T10:00:00+0200", "2019-05-01T10:00:00+0200"),
        ("2019-05-01 10:00:00", "2019-05-01T10:00:00"),
        ("2019-05-01t10:00:00.000z", "2019-05-01T10:00:00.000Z"),
        *((bad, None) for bad in ("2019-13-01", "May 1, 2019", "2019-05-01T25:00", "٢٠١٩-05-01", 2019, "")),
    ],
)
def test_date(written: object, expected: str | None) -> None:
    assert one(uploadDate=written).upload_date == expected
    assert one(uploadDate="?", datePublished=written).upload_date == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *((640, 640), ("640", 640), ("640 PX", 640), (640.0, 640), ("640.5px", 640), ({"@value": "640"}, 640)),
        *((bad, None) for bad in ("100%", "auto", 0, -1, "9" * 12, True, {"value": []}, [[]])),
    ],
)
def test_size(written: object, expected: int | None) -> None:
    assert one(width=written).width == expected


def test_parts_need_a_start_and_end_after_it() -> None:
    clips = [
        {"name": "a", "startOffset": 5, "endOffset": 5},
        {"name": "b"},
        "c",
        {"name": ["d"], "startOffset": "1:00:00"},
    ]
    assert one(hasPart=clips).parts == [Part("a", 5000, None), Part("d", 3_600_000, None)]


def test_a_bare_image_counts_and_an_empty_node_does_not() -> None:
    assert found_in([{"@type": "ImageObject", "width": 1}, {"@type": "ImageObject"}]) == [
        MediaObject(modality="image", width=1)
    ]


def test_scripts_without_a_media_type_are_not_decoded() -> None:
    assert found_in("{ broken", "<!-- VideoGame -->") == []


@pytest.mark.parametrize("gap", ['"width": ,', '"width":}'])
def test_absent_values_are_null(gap: str) -> None:
    script = '{"@type":"ImageObject","url":"u",' + gap + ("" if gap[-1] == "}" else '"height":5}')
    assert found_in(script)[0].url == "u"


# --------------------------------------------------------------------------------------------- bad JSON


def test_what_precedes_a_fault_is_kept() -> None:
    assert [m.url for m in found_in('{"@type":"ImageObject","url":"u"} {"@type": "VideoObject", oops', odd=1)] == ["u"]


@pytest.mark.parametrize(
    "script",
    [
        '{"@type":"VideoObject","x":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"@type":"VideoObject","x":' * 100_000,
        '["VideoObject", "name": "say "hi" "]',
        '["VideoObject", ' + "1" * 6000 + "]",
        '"VideoObject',
        "VideoObject",
        "{&quot;@type&quot;:&quot;VideoObject&quot;}",
    ],
)
def test_odd_scripts_are_tallied(script: str) -> None:
    assert found_in(script, odd=1) == []


def test_lone_surrogates_and_nuls() -> None:
    for name in ('"a\\ud800b\\u0000"', '"a\ud800b\x00"'):
        (result,) = found_in('{"@type":"VideoObject","name":' + name + "}")
        assert result.name == "a\ufffdb\x00"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["#a", "PT", "<p"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["@id", "@value", "@list", "name", "url", "@type", "startOffset"]), inner)
    ),
    max_leaves=8,
)
_FIELDS = ["@id", "@type", "@graph", "url", "name", "keywords", "hasPart", "duration", "width", "uploadDate", "license"]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON), st.integers(0, 400), st.binary(max_size=3))
def test_any_value_anywhere_is_taken(node: dict[str, Any], at: int, junk: bytes) -> None:
    text = json.dumps([{"@type": "VideoObject", "width": 1}, {**node, "@type": ["ImageObject", node.get("@type")]}])
    tallied: list[str] = []
    assert len(json_ld([text], tallied.append)) >= 1
    for media in json_ld([text[:at] + junk.decode("latin-1") + text[at:]], tallied.append):
        assert "".join(filter(None, (media.name, media.url, media.keywords))).encode() is not None


# -------------------------------------------------------------------------------------------- microdata


def test_values_by_element() -> None:
    (result,) = marked_up(
        video(
            """
            <meta itemprop="name" content=" The name ">
            <a itemprop="url" href="page.html">not this</a>
            <source itemprop="contentUrl" src="v.mp4">
            <iframe itemprop="embedUrl" src="/embed/1"></iframe>
            <link itemprop="license" href="https://creativecommons.org/licenses/by/4.0/">
            <time itemprop="uploadDate" datetime="2019-05-01">yesterday</time>
            <data itemprop="width" value="640">wide</data><meter itemprop="height" value="360">x</meter>
            <p itemprop="description caption">Some <b>bold</b> text &amp; <i>more</i></p>
            <span itemprop="duration" content="PT5S">five</span>
            <div><div itemprop="keywords">a</div><div itemprop="keywords">b</div></div>
            <div itemprop="thumbnail" itemscope itemtype="http://schema.org/ImageObject">
              <img itemprop="contentUrl" src="t.jpg"><meta itemprop="name" content="no"></div>
            <div itemprop="hasPart" itemscope itemtype="http://schema.org/Clip">
              <b itemprop="name">Intro</b><time itemprop="startOffset">0:30</time></div>
            <div itemscope><b itemprop="transcript">of another item</b></div>
            """
        )
    )[:1]
    assert result == MediaObject(
        modality="video",
        content_url="v.mp4",
        embed_url="/embed/1",
        url="page.html",
        thumbnail_url="t.jpg",
        name="The name",
        description="Some bold text & more",
        caption="Some bold text & more",
        keywords="a, b",
        parts=[Part("Intro", 30_000, None)],
        duration_ms=5000,
        upload_date="2019-05-01",
        licence="https://creativecommons.org/licenses/by/4.0/",
        width=640,
        height=360,
    )


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ('<object itemprop="url" data="d"></object>', "d"),
        ('<img itemprop="url" content="c" src="s">', "s"),
        ('<img itemprop="url" content="c">', "c"),
        ('<a itemprop="url">text is no link</a>', None),
        ('<video itemprop="url"><source src="x"></video>', None),
        ('<meta itemprop="url">', None),
        ('<span itemprop="http://schema.org/url">u</span>', "u"),
        ('<span itemprop="@id @type @list url">u</span>', "u"),
    ],
)
def test_value_of(element: str, expected: str | None) -> None:
    assert [media.url for media in marked_up(video(element + '<b itemprop="name">n</b>'))] == [expected]


def test_itemref_reaches_outside_and_loops_end() -> None:
    html = video('<b itemprop="name">n</b>', 'id="v" itemref="far v gone"')
    html += '<p id="far"><i itemprop="keywords">k</i><a itemprop="url" href="u" id="deep"></a></p>'
    assert [(m.name, m.keywords, m.url) for m in marked_up(html)] == [("n", "k", "u")]
    loop = video("", 'itemprop="hasPart" id="a" itemref="b"') + video("", 'itemprop="hasPart" id="b" itemref="a"')
    assert [media.parts for media in marked_up(loop)] == [[], []]


def test_pages_without_media_types_cost_one_look() -> None:
    assert marked_up('<div itemscope itemtype="http://schema.org/Article"><b itemprop="name">n</b></div>') == []
    assert marked_up("<div itemscope itemtype><b itemprop></b></div>") == []


# --------------------------------------------------------------------------------------- time is linear

_N = 10_000
_LONG = "n&amp;" * 50_000


def _json_nodes(node: str, *more: str) -> str:
    return "[" + ",".join([*more, *[node] * _N]) + "]"


@pytest.mark.parametrize(
    "script",
    [
        '["VideoObject","' + '\\"' * 500_000,
        '["VideoObject"' + "," * 500_000,
        '["VideoObject"' + ",\n" * 200_000 + " " * 300_000 + "x",
        "<!--" * 200_000 + "VideoObject",
        '{"@type":"VideoObject","description":"' + "<" * 500_000 + "&" * 300_000 + '"}',
        '{"@type":"VideoObject","description":"' + "<a " * 300_000 + '"}',
        '{"@type":"VideoObject","duration":"P' + "0" * 900_000 + '"}',
        _json_nodes('{"@type":"VideoObject","hasPart":{"@id":"#x"},"url":{"@id":"#x"},"keywords":{"@id":"#x"}}',
                    f'{{"@id":"#x","name":"{_LONG}","startOffset":1,"url":"{_LONG}"}}'),
    ],
)  # fmt: skip
def test_hostile_json_takes_linear_time(script: str) -> None:
    started = time.process_time()
    json_ld([script], lambda name: None)
    assert time.process_time() - started < 10  # about 1 s; anything quadratic takes minutes


_SCOPE = '<div itemprop=hasPart itemscope itemtype="http://schema.org/VideoObject"'


@pytest.mark.parametrize(
    ("html", "odd"),
    [
        (f"{_SCOPE} itemref=far></div>" * _N + "<p id=far>" + "<b itemprop=keywords>word</b>" * _N, 1),
        (f"{_SCOPE} itemref=far></div>" * _N + f"<p id=far itemprop=description>{'x ' * 200_000}</p>", 1),
        (f'{_SCOPE} itemref=far></div>' * _N + f'<p id=far itemprop="{"keywords " * 50_000}">x</p>', 1),
        (f"{_SCOPE}><p itemprop=name>text" * 3000 + "x" * 500_000, 1),
        ("".join(f"{_SCOPE} id=a{n} itemref=a{n + 1}></div>" for n in range(_N)), 0),
        ("<b>" * 3000 + "<a itemprop=name></a>" * _N + f"{_SCOPE}></div>", 0),
    ],
)  # fmt: skip
def test_hostile_microdata_takes_linear_time(html: str, odd: int) -> None:
    tree = LexborHTMLParser(html)
    started = time.process_time()
    marked_tree(tree, odd)
    assert time.process_time() - started < 10


# ------------------------------------------------------------------------------------------- real pages


def test_real_pages(real_data: Path) -> None:
    """As counted with extruct 0.18, its twins of items with two itemprop names and its empty nodes taken off, and the
    CDATA-wrapped scripts and the one absent value that it refuses added."""
    counts: Counter[tuple[str, str]] = Counter()
    odd: list[str] = []
    for path in sorted((real_data / "crawl").glob("repackaged-*.warc.gz")):
        archive = gzip.decompress(path.read_bytes())
        for record in archive.split(b"\r\nWARC-Type: response\r\n")[1:]:
            tree = LexborHTMLParser(record.split(b"\r\n\r\n", 2)[-1].decode("utf-8", "replace"))
            scripts = [script.text() for script in tree.css('script[type="application/ld+json" i]')]
            counts.update(("json-ld", media.modality) for media in json_ld(scripts, odd.append))
            counts.update(("microdata", media.modality) for media in microdata(tree, odd.append))
    assert odd == ["odd:json_ld"]  # unescaped quotes within a string
    assert counts == {
        ("json-ld", "image"): 150,
        ("json-ld", "video"): 9,
        ("json-ld", "audio"): 5,
        ("microdata", "image"): 81,
        ("microdata", "video"): 5,
        ("microdata", "audio"): 1,
    }
