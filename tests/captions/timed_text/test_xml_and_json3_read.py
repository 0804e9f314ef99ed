"""TTML, YouTube's XML and json3, SubStation: times and words by their rules."""

from __future__ import annotations

import json

import pytest

from curation.captions.timed_text import Cue, Word, read_cues, read_track

NS = 'xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter"'


def ttml(body: str, attributes: str = "") -> str:
    head = "<head><metadata><title>no</title></metadata></head>"
    return f'<?xml version="1.0" encoding="UTF-16"?>\n<tt {NS} {attributes}>{head}{body}</tt>'


def spans(body: str, attributes: str = "") -> list[tuple[int, int, str]]:
    return [(cue.start_ms, cue.end_ms, cue.text) for cue in read_cues(ttml(body, attributes))]


def one(begin: str, attributes: str = "") -> int:
    """Milliseconds of a time expression."""
    return spans(f'<body><div><p begin="{begin}" end="900h">a</p></div></body>', attributes)[0][0]


@pytest.mark.parametrize(
    ("begin", "attributes", "moment"),
    [
        ("01:02:03", "", 3_723_000),
        ("01:02:03.25", "", 3_723_250),
        ("02:03.5", "", 123_500),
        ("00:00:01:15", "", 1500),  # 30 frames a second where nothing is said
        ("00:00:01:15", 'ttp:frameRate="25"', 1600),
        ("00:00:01:12", 'ttp:frameRate="24" ttp:frameRateMultiplier="1000 1001"', 1500 + 0),
        ("00:00:01:10.1", 'ttp:frameRate="20" ttp:subFrameRate="2"', 1525),
        ("00:00:01:14.1", "", 1500),
        ("50f", 'ttp:frameRate="25"', 2000),
        ("20000000t", 'ttp:tickRate="10000000"', 2000),
        ("7t", "", 7000),
        ("100t", 'ttp:frameRate="25" ttp:subFrameRate="2"', 2000),
        ("1.5h", "", 5_400_000),
        ("2m", "", 120_000),
        ("2.5s", "", 2500),
        ("250ms", "", 250),
        ("3.5", "", 3500),
    ],
)
def test_time_expressions(begin: str, attributes: str, moment: int) -> None:
    assert abs(one(begin, attributes) - moment) <= (1 if "Multiplier" in attributes else 0)


@pytest.mark.parametrize("begin", ["", "soon", "-1s", "1e9s", "٣s", "1x", "999999999999999h", "00:00:01:"])
def test_times_that_cannot_be_read_are_counted(begin: str) -> None:
    body = f'<body><div><p begin="{begin}" end="9h">a</p><p begin="1s" end="2s">b</p></div></body>'
    assert read_track(ttml(body)) == ([Cue(1000, 2000, "b")], "ttml", 1)


def test_times_are_relative_to_what_is_around() -> None:
    body = """<body begin="10s"><div begin="5s" end="20s">
      <p begin="1s" end="3s">a<br/> b  <span>c</span></p><p begin="1s" dur="2s">d</p>
      <p begin="4s" dur="2s" end="5s">e</p>
      <p begin="10s" end="90s">cut</p><p begin="30s" end="31s">never</p></div></body>"""
    assert spans(body) == [
        (16_000, 18_000, "a\nb c"),
        (16_000, 18_000, "d"),
        (19_000, 20_000, "e"),
        (25_000, 30_000, "cut"),
    ]


def test_words_have_no_times_where_spans_have_none() -> None:
    assert read_cues(ttml('<body><p begin="0s" end="2s">a <span>b</span></p></body>')) == [Cue(0, 2000, "a b")]


def test_empty_paragraphs_are_not_missed() -> None:
    body = '<body><p> </p><p begin="1s" end="2s"> <br/> </p><p begin="2s" end="2s">no length</p></body>'
    assert read_track(ttml(body)) == ([], "ttml", 1)


def test_one_after_the_other() -> None:
    body = '<div begin="1s" dur="2s"><p>a</p></div><div begin="1s" dur="2s"><p>b</p></div>'
    assert spans(f"<body>{body}</body>") == [(1000, 3000, "a"), (1000, 3000, "b")]
    untimed = f'<body timeContainer="seq"><div/>{body}</body>'
    assert spans(untimed) == [(1000, 3000, "a"), (4000, 6000, "b")]
    assert spans(f'<body timeContainer="seq">{body}</body>') == [(1000, 3000, "a"), (4000, 6000, "b")]


def test_times_of_words_in_spans() -> None:
    body = '<body><p begin="1s" end="9s"><span begin="0s">one</span> <span begin="2s">two</span> three</p></body>'
    cue = read_cues(ttml(body))[0]
    assert (cue.text, cue.words) == ("one two three", (Word(1000, "one"), Word(3000, "two"), Word(3000, "three")))


def test_spans_with_times_in_a_paragraph_without() -> None:
    body = '<body><p><span begin="1s" end="2s">a</span> <span begin="3s" end="4s">b</span></p><p>lost</p></body>'
    assert read_track(ttml(body)) == ([Cue(1000, 2000, "a"), Cue(3000, 4000, "b")], "ttml", 1)


def test_of_a_document_that_breaks_off_what_was_whole() -> None:
    text = ttml('<body><p begin="1s" end="2s">a</p><p begin="3s" end="4s">b</p></body>')
    assert read_cues(text[: text.index(">b")]) == [Cue(1000, 2000, "a")]


def test_metadata_is_not_said() -> None:
    body = '<body><p begin="1s" end="2s"><metadata><desc>no</desc></metadata>a</p></body>'
    assert spans(body) == [(1000, 2000, "a")]


SRV3 = """<?xml version="1.0" encoding="utf-8" ?><timedtext format="3">
<head><pen id="1" fc="#E5E5E5"/></head>
<body><w t="0" id="1" wp="1" ws="1"/>
<p t="80" d="4719" w="1"><s ac="248">hello</s><s t="320" ac="248"> there</s></p>
<p t="2470" d="2329" w="1" a="1">
</p>
<p t="5000" d="1000">Jack &amp; Jill<br/>went</p><p t="6000">no end</p>
<p t="7000" d="0">no length</p><p t="0" d="1">a</p><p t="-5" d="9">no begin</p>
</body></timedtext>"""


def test_srv3() -> None:
    hello = Cue(80, 4799, "hello there", (Word(80, "hello"), Word(400, "there")))
    assert read_track(SRV3) == ([hello, Cue(5000, 6000, "Jack & Jill\nwent"), Cue(0, 1, "a")], "srv", 3)


def json3(*events: object) -> str:
    return json.dumps({"wireMagic": "pb3", "events": events})


def test_json3() -> None:
    text = json3(
        {"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wsWinStyleId": 1},
        {"tStartMs": 80, "dDurationMs": 4719, "wWinId": 1, "segs": [
            {"utf8": "hello", "acAsrConf": 0}, {"utf8": " there", "tOffsetMs": 320},
            {"utf8": " you all", "tOffsetMs": 99999}]},
        {"tStartMs": 2470, "dDurationMs": 2329, "wWinId": 1, "aAppend": 1, "segs": [{"utf8": "\n"}]},
        {"tStartMs": 5000, "dDurationMs": 1000, "segs": [{"utf8": "Jack & Jill\nwent"}]},
    )  # fmt: skip
    heard = (Word(80, "hello"), Word(400, "there"), Word(4799, "you"), Word(4799, "all"))
    said = [Cue(80, 4799, "hello there you all", heard), Cue(5000, 6000, "Jack & Jill\nwent")]
    assert read_track(text) == (said, "json3", 0)


@pytest.mark.parametrize(
    "event",
    [
        *(3, "x", None, [], {"segs": 3}, {"segs": [3]}, {"segs": [{"utf8": 3}]}, {"tStartMs": "1", "segs": []}),
        {"segs": [{"utf8": "a"}]},
        {"tStartMs": 1, "segs": [{"utf8": "a"}]},
        {"tStartMs": 1, "dDurationMs": 0, "segs": [{"utf8": "a"}]},
        {"tStartMs": 10**30, "dDurationMs": 1, "segs": [{"utf8": "a"}]},
        {"tStartMs": 10**17, "dDurationMs": 1, "segs": [{"utf8": "a"}]},
    ],
)
def test_broken_events_are_counted(event: object) -> None:
    good = {"tStartMs": 1, "dDurationMs": 2, "segs": [{"utf8": "ok"}]}
    assert read_track(json3(good, event)) == ([Cue(1, 3, "ok")], "json3", 1)


ASS = """[Script Info]
Title: x

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Text
Dialogue: 0,0:00:01.50,0:00:02.00,Default,{\\i1}Hello{\\i0}, {you\\Nthere\\hnow
Comment: 0,0:00:01.50,0:00:02.00,Default,no
Dialogue: 0,0:00:03.00,0:00:04.00,Default,{\\p1}m 0 0 l 9 9{\\p0}after
Dialogue: 0,soon,0:00:04.00,Default,bad
Dialogue:
[Fonts]
Dialogue: 0,0:00:05.00,0:00:06.00,Default,no
"""


def test_substation() -> None:
    assert read_track(ASS) == ([Cue(1500, 2000, "Hello, {you\nthere now"), Cue(3000, 4000, "after")], "ass", 2)
