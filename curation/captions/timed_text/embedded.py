"""Subtitles inside of video files, as WebVTT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, NamedTuple

from av.container import InputContainer
from av.stream import Discard

from curation.captions.timed_text.arrows import lines_of
from curation.captions.timed_text.cues import LONGEST_MS, TimedTextError
from curation.captions.timed_text.subrip import plain_subrip
from curation.captions.timed_text.substation import dialogue
from curation.captions.timed_text.webvtt import write_webvtt
from curation.captions.timed_text.xml_cues import read_xml
from curation.media.video.facts import check_deadline
from curation.media.video.probe import open_video

MAX_BYTES: Final = 32 << 20
"""Of all tracks of a file together, with PACKET_BYTES for each packet. Two hours of speech are 0.2 MB."""
PACKET_BYTES: Final = 200
UNTOLD_MS: Final = 5000
"""How long a text is shown, at most, whose file does not say it."""

_PICTURES: Final = frozenset({"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub"})
_BOXES: Final = frozenset({b"vttc", b"vtte", b"vtta"})
_Shown = tuple[int, int, str]
_Texts = Callable[[int, int, bytes], list[_Shown]]
"""What a packet shows: begin and end in milliseconds, bytes -> begin, end, WebVTT's markup."""


class EmbeddedTrack(NamedTuple):
    """A track of text. lang: as its file writes it (eng), None where it does not. text: WebVTT, its times from the
    begin of the video; None where it cannot be had, and why it is missing.
    """

    lang: str | None
    codec: str
    text: str | None
    missing: str = ""


def embedded_tracks(path: str | Path, *, deadline: float | None = None) -> list[EmbeddedTrack]:
    """The tracks of subtitles of a file, in its order: SubRip, SubStation, MP4's own, WebVTT and TTML.

    All packets are read, none is decoded. deadline: by time.monotonic(). Raises RefusedVideo for a file that cannot be
    read, and OSError.
    """
    with open_video(path, deadline=deadline) as container:
        streams = container.streams.subtitles
        codecs = {stream.index: _codec(stream) for stream in streams}
        texts = {index: _TEXTS[codec] for index, codec in codecs.items() if codec in _TEXTS}
        shown = _packets(container, texts, deadline) if texts else {}
        return [_track(stream, codecs[stream.index], shown.get(stream.index)) for stream in streams]


def _codec(stream: Any) -> str:
    """FFmpeg's name of what it can decode; TTML is what it knows and cannot."""
    return "ttml" if stream.codec_context is None else str(stream.codec_context.codec.canonical_name)


def _track(stream: Any, codec: str, shown: list[_Shown] | None) -> EmbeddedTrack:
    lang = stream.metadata.get("language")
    lang = None if lang in (None, "", "und") else lang[:16]
    if codec in _PICTURES:
        return EmbeddedTrack(lang, codec, None, "pictures of text, which are not read")
    if codec not in _TEXTS:
        return EmbeddedTrack(lang, codec, None, f"{codec} is not read")
    if shown is None:
        return EmbeddedTrack(lang, codec, None, f"more than {MAX_BYTES} bytes of text in the file")
    if codec == "ttml" and not shown:
        return EmbeddedTrack(lang, codec, None, "neither TTML nor known")
    return EmbeddedTrack(lang, codec, write_webvtt(shown))


def _packets(container: InputContainer, texts: dict[int, _Texts], deadline: float | None) -> dict[int, list[_Shown]]:
    """What each stream shows, by index; none where it is too much."""
    for stream in container.streams:
        if stream.index not in texts:
            stream.discard = Discard.all
    found: dict[int, list[tuple[int, int, bytes]]] = {index: [] for index in texts}
    room = MAX_BYTES
    start = Fraction(container.start_time or 0, 1_000_000)
    with suppress(IndexError):  # PyAV, at the end, where a stream began late in the file
        for packet in container.demux([container.streams[index] for index in texts]):
            check_deadline(deadline, "reading the subtitles")
            index = packet.stream.index
            if index not in found or not packet.size or packet.pts is None:
                continue
            room -= packet.size + PACKET_BYTES
            if room < 0:
                del found[index]
                continue
            unit = packet.time_base or Fraction(1, 1000)
            begin, length = 1000 * (packet.pts * unit - start), 1000 * (packet.duration or 0) * unit
            found[index].append((round(begin), round(length), bytes(packet)))
    return {index: list(_shown(packets, texts[index])) for index, packets in found.items()}


def _shown(packets: list[tuple[int, int, bytes]], texts: _Texts) -> Iterator[_Shown]:
    nexts = [begin for begin, _, _ in packets[1:]]
    for (begin, length, data), after in zip_longest(packets, nexts):
        end = begin + (length or min(max((after or begin) - begin, 0) or UNTOLD_MS, UNTOLD_MS))
        for start, stop, payload in texts(begin, end, data):
            lines = [line for line in payload.split("\n") if line.strip()]
            if lines and max(start, 0) < stop < LONGEST_MS:
                yield max(start, 0), stop, "\n".join(lines)


def _marked_up(text: str) -> str:
    """Plain text as WebVTT."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _decoded(data: bytes) -> str:
    is_wide = data.startswith((b"\xfe\xff", b"\xff\xfe"))
    return lines_of(data.decode("utf-16" if is_wide else "utf-8", "replace"))


def _subrip(start: int, end: int, data: bytes) -> list[_Shown]:
    return [(start, end, _marked_up(plain_subrip(_decoded(data))))]


def _substation(start: int, end: int, data: bytes) -> list[_Shown]:
    """Nine fields (Matroska): ReadOrder, Layer, Style, Name, three margins, Effect, Text."""
    return [(start, end, _marked_up(dialogue(_decoded(data).split(",", 8)[-1])))]


def _mov_text(start: int, end: int, data: bytes) -> list[_Shown]:
    """Two bytes for the length of the text; behind it its styles (3GPP TS 26.245)."""
    return [(start, end, _marked_up(_decoded(data[2 : 2 + int.from_bytes(data[:2])])))]


def _webvtt(start: int, end: int, data: bytes) -> list[_Shown]:
    """As it is (Matroska), or in boxes, which may be several or say nothing (ISO/IEC 14496-30)."""
    if data[4:8] not in _BOXES:
        return [(start, end, _decoded(data).replace("-->", "--&gt;"))]
    inner = [body for kind, cue in _boxes(data) if kind == b"vttc" for kind, body in _boxes(cue) if kind == b"payl"]
    return [(start, end, _decoded(body).replace("-->", "--&gt;")) for body in inner]


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        size = max(int.from_bytes(data[place : place + 4]), 8)
        yield data[place + 4 : place + 8], data[place + 8 : place + size]
        place += size


def _ttml(start: int, end: int, data: bytes) -> list[_Shown]:
    """A document whose times are those of the video, not of the packet (ISO/IEC 14496-30)."""
    try:
        return [(cue.start_ms, cue.end_ms, _marked_up(cue.text)) for cue in read_xml(_decoded(data)).cues]
    except TimedTextError:
        return []


_TEXTS: Final[dict[str, _Texts]] = {
    **dict.fromkeys(("subrip", "srt", "text"), _subrip),
    **dict.fromkeys(("ass", "ssa"), _substation),
    "mov_text": _mov_text, "webvtt": _webvtt, "ttml": _ttml,
}
