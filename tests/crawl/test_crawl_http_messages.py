"""HTTP messages: what was put into a response comes out, whatever codings it names and whether it still has them."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable
from functools import cache

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl.http_messages import MAX_CHUNKS, MAX_CODINGS, BodyTooLargeError, parse_response, warc_headers

LIMIT = 1 << 22
NO_BLANK = "no blank line after the header"
PAGE = b"<!DOCTYPE html>\n<title>p\xc3\xa4ge</title>\r\n\r\n" + b"".join(b"<p>%d</p>" % (n * n) for n in range(9000))


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%X;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": bare_deflate,
    "br": lambda body: brotli.compress(body, quality=4),
    "chunked": chunked,
    "identity": bytes,
}


def response(body: bytes, *fields: str, newline: str = "\r\n") -> bytes:
    return newline.join(["HTTP/1.1 200 OK", *fields, "", ""]).encode("latin-1") + body


def body_of(block: bytes, limit: int = LIMIT) -> tuple[bytes, str | None]:
    message = parse_response(block, limit)
    return message.body, message.problem


# ------------------------------------------------------------------------------------------ properties

_NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True).filter(lambda name: "ncoding" not in name.lower())
_VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f\x85\xa0"), max_size=20)


_FIELDS = st.lists(st.tuples(_NAME, _VALUE), max_size=8)


@settings(max_examples=100, deadline=None)
@given(_FIELDS, st.binary(max_size=400), st.sampled_from(["\r\n", "\n"]), st.integers(100, 599))
def test_fields_and_body_come_out_as_they_went_in(
    fields: list[tuple[str, str]], body: bytes, newline: str, status: int
) -> None:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields), "", ""]
    message = parse_response(newline.join(lines).encode("latin-1") + body, LIMIT)
    assert (message.status, message.body, message.problem) == (status, body, None)
    expected: dict[str, list[str]] = {}
    for name, value in fields:
        expected.setdefault(name.lower(), []).append(value)
    assert message.headers == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(sorted(CODINGS)), max_size=MAX_CODINGS), st.binary(max_size=3000), st.integers(1, 700))
def test_any_stack_of_codings_is_undone(names: list[str], noise: bytes, size: int) -> None:
    body = encoded = b"<html>" + noise
    for name in names:
        encoded = chunked(encoded, size) if name == "chunked" else CODINGS[name](encoded)
    assert body_of(response(encoded, f"Content-Encoding: {', '.join(names)}")) == (body, None)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(sorted(CODINGS)), min_size=1, max_size=3), st.text(max_size=600), st.booleans())
def test_text_that_was_decoded_before_it_was_stored_stays(names: list[str], text: str, renamed: bool) -> None:
    body = b"<html>" + text.translate(dict.fromkeys(range(32))).encode()
    field = "X-Crawler-Content-Encoding" if renamed else "Content-Encoding"
    assert body_of(response(body, f"{field}: {', '.join(names)}")) == (body, None)


@cache
def _packed(name: str) -> bytes:
    return CODINGS[name](PAGE)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gzip", "deflate", "Deflate", "br", "chunked"]), st.data())
def test_a_stream_that_is_cut_off_keeps_its_beginning(name: str, data: st.DataObject) -> None:
    encoded = _packed(name)
    cut = data.draw(st.integers(len(encoded) // 4, len(encoded) - 8))
    body, problem = body_of(response(encoded[:cut], f"Content-Encoding: {name}"))
    assert PAGE.startswith(body)
    assert len(body) > len(PAGE) // 10
    assert "cut off" in str(problem)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["", *CODINGS, "gzip, br", "zstd"]), st.booleans())
def test_no_block_raises(noise: bytes, coding: str, headed: bool) -> None:
    block = response(noise, f"Content-Encoding: {coding}", f"Transfer-Encoding: {coding}") if headed else noise
    message = parse_response(block, LIMIT)
    assert isinstance(message.body, bytes)


# ------------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("block", "status", "fields", "body", "problem"),
    [
        (b"HTTP/1.0  404\r\nA:b\r\n\r\n<p>", 404, {"a": ["b"]}, b"<p>", None),
        (b"\r\nhttp/2 200 fine\nA : b \n\r\n<p>", 200, {"a": ["b"]}, b"<p>", None),
        (b"ICY 200 OK\r\n\r\n", 200, {}, b"", None),
        (b"HTTP/1.1 200 OK\r\nA: b,\r\n\t c\r\nno field\r\nA: \xe9\r\n\r\n", 200, {"a": ["b, c", "\xe9"]}, b"", None),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n<p>\n\n</p>", 200, {"a": ["b"]}, b"<p>\n\n</p>", NO_BLANK),
        (b"HTTP/1.1 200 OK\r\nA: b", 200, {"a": ["b"]}, b"", NO_BLANK),
        (b"A: b\r\n\r\n<p>", 0, {"a": ["b"]}, b"<p>", "no status"),
        (b"HTTP/1.1 OK\r\nA: b\r\n\r\n<p>", 0, {"a": ["b"]}, b"<p>", "no status"),
        (b"<p>a: b</p>\r\n\r\n", 0, {}, b"<p>a: b</p>\r\n\r\n", "no HTTP header"),
        (b"", 0, {}, b"", "no HTTP header"),
    ],
)
def test_odd_headers(block: bytes, status: int, fields: dict[str, list[str]], body: bytes, problem: str) -> None:
    message = parse_response(block, LIMIT)
    assert (message.status, message.headers, message.body, message.problem) == (status, fields, body, problem)


def test_warc_headers_are_those_of_the_record() -> None:
    header = "WARC/1.0\r\nWARC-Type: response \r\nX: a\r\n b\r\nX: c\r\nWARC-Target-URI: <http://é.example/?a:b>\r\nno"
    expected = {"warc-type": "response", "x": "a b", "warc-target-uri": "http://é.example/?a:b"}
    assert warc_headers(header.encode()) == expected
    assert warc_headers(header.replace("\r\n", "\n").encode()) == expected


# -------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
def test_a_broken_stream_keeps_what_came_before_the_damage(name: str) -> None:
    rng = random.Random(0)
    noise = b"".join(b"<p>%d</p>" % rng.randrange(1 << 60) for _ in range(9000))
    encoded = bytearray(CODINGS[name](noise))
    middle = len(encoded) // 2
    encoded[middle : middle + 64] = b"\xff" * 64
    body, problem = body_of(response(bytes(encoded), f"Content-Encoding: {name}"))
    same = next((at for at, (one, other) in enumerate(zip(body, noise, strict=False)) if one != other), len(body))
    assert same > len(noise) // 3
    assert f"the {name} stream is broken" == problem


def test_bytes_after_the_stream_are_ignored() -> None:
    for name in ("gzip", "deflate", "Deflate", "br"):
        assert body_of(response(CODINGS[name](PAGE) + b"\0junk", f"Content-Encoding: {name}")) == (PAGE, None)


def test_chunks_that_are_none() -> None:
    for body in (b"12\nno chunk of this size\n", b"zz\r\n", b"", b"<html>", b"-1\r\na\r\n"):
        assert body_of(response(body, "Transfer-Encoding: chunked")) == (body, None)
    assert body_of(response(b"3\r\nabc\r\n2\r\nabc\r\n", "Transfer-Encoding: chunked")) == (b"abcab", "a broken chunk")
    many = b"1\na\n" * (MAX_CHUNKS + 9)
    body, problem = body_of(response(many, "Transfer-Encoding: chunked"), 1 << 23)
    assert (body == b"a" * MAX_CHUNKS, problem) == (True, "the chunks are cut off")


def test_unknown_codings_and_too_many_of_them() -> None:
    assert body_of(response(b"\x28\xb5\x2f\xfd\0", "Content-Encoding: zstd")) == (
        b"\x28\xb5\x2f\xfd\0",
        "unknown coding 'zstd'",
    )
    assert body_of(response(PAGE, "Content-Encoding: utf-8")) == (PAGE, None)
    assert "codings" in str(body_of(response(PAGE, "Content-Encoding: " + "gzip," * 10_000))[1])


@pytest.mark.parametrize("names", [["gzip"], ["deflate"], ["Deflate"], ["br"], ["gzip", "gzip"], ["br", "gzip"]])
def test_bombs_are_refused_at_the_limit(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    body = bytes(9 << 20)
    for name in names:
        body = CODINGS[name](body)
    made: list[int] = []
    from curation.crawl import http_messages

    for decoder in (http_messages._Deflate, http_messages._Brotli):
        original = decoder.feed
        monkeypatch.setattr(decoder, "feed", _counted(original, made))
    with pytest.raises(BodyTooLargeError, match="more than 1048576 bytes"):
        parse_response(response(body, f"Content-Encoding: {', '.join(names)}"), 1 << 20)
    assert sum(made) < 3 << 20


def _counted(feed: Callable[..., bytes], made: list[int]) -> Callable[..., bytes]:
    def counting(decoder: object, data: bytes, room: int) -> bytes:
        part = feed(decoder, data, room)
        made.append(len(part))
        return part

    return counting


def test_the_limit_is_exact() -> None:
    for name, encode in CODINGS.items():
        if name != "chunked":  # whose framing counts before it is undone
            assert body_of(response(encode(PAGE), f"Content-Encoding: {name}"), len(PAGE)) == (PAGE, None)
        with pytest.raises(BodyTooLargeError):
            body_of(response(encode(PAGE), f"Content-Encoding: {name}"), len(PAGE) - 1)
    for block in (PAGE, response(PAGE)):
        with pytest.raises(BodyTooLargeError):
            body_of(block, len(PAGE) - 1)


@pytest.mark.parametrize("filler", [b"a:\n", b" ", b"\r\n ", b"\r", b"\n\t", b"A", b"a: \r\n\t"])
def test_endless_headers_take_no_time_to_speak_of(filler: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nA:"):
        message = parse_response(start + filler * (5_000_000 // len(filler)), 1 << 23)
        assert sum(len(value) for values in message.headers.values() for value in values) <= 300_000
