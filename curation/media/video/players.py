"""yt-dlp as a part of this: it knows sites, pages and playlists, and has no other way to the network than ours.

Nothing of the machine's or the user's is read (configuration, cookies, netrc, cache, proxies, plugins), no other
program is run, and nothing is tried again here. Importing this imports yt-dlp, 0.3 s with its list of sites.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

from yt_dlp import YoutubeDL
from yt_dlp.dependencies import Cryptodome
from yt_dlp.downloader.dash import DashSegmentsFD
from yt_dlp.downloader.fragment import FragmentFD
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.downloader.http import HttpFD
from yt_dlp.globals import plugin_dirs
from yt_dlp.plugins import load_all_plugins
from yt_dlp.utils import determine_protocol

from curation.captions.timed_text import is_webvtt, join_segments
from curation.media.outcomes import ErrorClass, FetchFaultError, printable
from curation.media.video.calls import READ_BYTES, Call
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.info import Subtitle
from curation.media.video.languages import is_language
from curation.media.video.line import Line, RulesRH, Track

if TYPE_CHECKING:
    from curation.recipe.video import VideoSettings

SLOW_BYTES: Final = 1 << 20
"""Of an encrypted segment where pycryptodomex is not installed: Python alone decrypts 0.1 MB/s, heedless of clocks."""
MAX_SEGMENTS: Final = 50_000
"""Of a playlist; 14 hours at 1 s each."""
MAX_TEXT_SEGMENTS: Final = 5000
"""Of a playlist of subtitles, each a request; 8 hours at 6 s each."""

plugin_dirs.value = []
load_all_plugins()  # none, once: otherwise each thread would see to it

_NATIVE = r"[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments)$']"
_KEYS = ("#EXT-X-KEY", "#EXT-X-SESSION-KEY")
_WITH_ATTRIBUTES = (*_KEYS, "#EXT-X-MAP")
_ATTRIBUTES = re.compile(r'(?:[A-Z0-9-]++=(?:"[^"]++"|[^",]++)(?:,|$))++').fullmatch
_OPEN = re.compile(r"(?:.*,)?METHOD=(?:NONE|AES-128)(?:,|$)").match
_SYSTEMS = re.compile(r'KEYFORMAT="(?!identity")').search
_UNREAD = {
    "#EXT-X-KEY": "its segments are encrypted",
    "#EXT-X-MAP": "its segments are MP4",
    "#EXT-X-BYTERANGE": "its segments are parts of a file",
}
_FORMATS = {"vtt": 0, "srt": 1, "ttml": 2, "srv3": 3, "json3": 4}


class _Silent:
    """Where yt-dlp's messages go: what matters comes as an error."""

    def debug(self, message: str) -> None:
        """Nothing."""

    info = warning = error = debug


_OPTIONS: Final[dict[str, Any]] = {
    "quiet": True, "no_warnings": True, "noprogress": True, "color": "never",
    "proxy": "", "cachedir": False, "js_runtimes": {}, "ffmpeg_location": "/dev/null/none", "http_headers": {},
    "retries": 0, "fragment_retries": 0, "extractor_retries": 0, "file_access_retries": 0,
    "skip_unavailable_fragments": False, "hls_prefer_native": True, "check_formats": False,
    "noplaylist": True, "playlist_items": "1", "geo_bypass": False, "updatetime": False,
    "buffersize": READ_BYTES, "noresizebuffer": True,
}  # fmt: skip


class Player(YoutubeDL):  # type: ignore[misc]
    """yt-dlp for one attempt at one video."""

    def __init__(self, line: Any, *, sites: bool) -> None:
        self.line = line
        height = line.video.max_height
        two = f"/bv{_NATIVE}+ba{_NATIVE}" if line.video.separate_streams else ""
        super().__init__(
            {
                **_OPTIONS,
                "logger": _Silent(),
                "format": f"b{_NATIVE}{two}/bv*{_NATIVE}",
                "format_sort": [f"res:{height}", "proto", "vcodec:h264"],
            },
            auto_init="no_verbose_header" if sites else False,
        )

    def build_request_director(self, handlers: object, preferences: object = None) -> Any:
        return super().build_request_director([partial(RulesRH, line=self.line)])

    def described(self, url: str) -> dict[str, Any]:
        """What yt-dlp makes of an address, forms chosen. Raises what yt-dlp raises, and RefusedVideo."""
        info = self.extract_info(url, download=False)
        for _ in range(8):
            if not info or info.get("_type", "video") == "video":
                break
            info = next((entry for entry in info.get("entries") or () if entry), None)
        if not info:
            raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, "no video was found there")
        return dict(info)

    def transfer(self, info: dict[str, Any], path: Path) -> None:
        """Brings one form to a file. Raises what yt-dlp raises, FetchFaultError and RefusedVideo."""
        line, protocol = self.line, determine_protocol(info)
        info = {**info, "http_headers": info.get("http_headers") or {}}
        part, memo = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.json")
        path.unlink(missing_ok=True)
        if protocol in ("http", "https"):
            line.track = Track(part, memo, info["url"])
            line.track.resume()
            ok, _ = HttpFD(self, self.params).download(str(path), info)
            line.track.forget()
        elif protocol in ("m3u8", "m3u8_native", "http_dash_segments"):
            is_hls = protocol != "http_dash_segments"
            info |= self._playlist(info) if is_hls else {"_digest": ""}
            for rest in path.parent.glob(f"{path.name}.part-Frag*"):
                rest.unlink()
            line.in_segments = True
            ok, _ = (_Hls if is_hls else _Dash)(self, self.params, line, info["_digest"]).download(str(path), info)
        else:
            raise RefusedVideo(VideoRefusal.UNSUPPORTED, f"sent by {protocol}, which is not spoken here")
        line.track, line.in_segments = None, False
        if not ok or not path.exists():
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, "an empty body", transient=False)

    def _playlist(self, info: dict[str, Any]) -> dict[str, Any]:
        text, url = self.line.text(info["url"])
        check_playlist(text, self.line.video)
        self.line.playlist_url = url
        if "METHOD=AES-128" in text and not Cryptodome.AES:
            self.line.segment_bytes = SLOW_BYTES
        return {"hls_media_playlist_data": text, "url": url, "_digest": sha256(text.encode()).hexdigest()}


def check_playlist(text: str, video: VideoSettings) -> None:
    """Raises RefusedVideo for a playlist of media that is none, has no end, is too long or is locked."""
    lines = [line.strip() for line in text.splitlines()]
    if not lines or not lines[0].lstrip("\ufeff").startswith("#EXTM3U"):
        raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, "no playlist where one was promised")
    if any(line.startswith("#EXT-X-STREAM-INF") for line in lines):
        raise RefusedVideo(VideoRefusal.UNSUPPORTED, "a playlist of playlists of playlists")
    for line in lines:
        tag, _, attributes = line.partition(":")
        if tag in _WITH_ATTRIBUTES and not _ATTRIBUTES(attributes):  # yt-dlp would take for ever over some of those
            raise RefusedVideo(VideoRefusal.CORRUPT, f"a malformed {tag[1:]} in the playlist")
        locked = tag in _KEYS and (not _OPEN(attributes) or "skd://" in attributes or _SYSTEMS(attributes))
        if locked or tag == "#EXT-X-FAXS-CM":
            raise RefusedVideo(VideoRefusal.UNSUPPORTED, "the segments are locked (DRM)")
    if "#EXT-X-ENDLIST" not in lines:
        raise RefusedVideo(VideoRefusal.LIVE, "the playlist has no end")
    segments = sum(1 for line in lines if line and not line.startswith("#"))
    seconds = sum(map(_seconds, lines))
    if not segments:
        raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, "a playlist without segments")
    if segments > MAX_SEGMENTS or seconds > video.max_duration_s:
        told = f"{segments} segments of {seconds:.0f} s together"
        raise RefusedVideo(VideoRefusal.TOO_LONG, f"{told}, at most {video.max_duration_s:.0f} s are taken")


def _seconds(line: str) -> float:
    found = re.match(r"#EXTINF:\s*(\d{1,9}(?:\.\d{1,9})?)", line)
    return float(found[1]) if found else 0.0


class _Resumed(FragmentFD):  # type: ignore[misc]
    """Segments, continued after the last one that is surely on the disk, if the playlist is still the same.

    yt-dlp notes the segment after it was appended: killed between the two, it would append it twice.
    """

    def __init__(self, ydl: Player, params: dict[str, Any], line: Line, digest: str) -> None:
        super().__init__(ydl, params)
        self._line, self._digest = line, digest

    def _prepare_frag_download(self, ctx: dict[str, Any]) -> None:
        part, memo = Path(self.temp_name(ctx["filename"])), Path(self.ytdl_filename(ctx["filename"]))
        size = self._surely_there(part, memo)
        if size:
            with part.open("r+b") as file:
                file.truncate(size)
        else:
            part.unlink(missing_ok=True)
            memo.unlink(missing_ok=True)
        self._line.done_bytes += size
        super()._prepare_frag_download(ctx)
        ctx["extra_state"] = {"size": size, "playlist": self._digest}

    def _surely_there(self, part: Path, memo: Path) -> int:
        """Bytes of whole segments; 0: it has to begin anew."""
        try:
            state = json.loads(memo.read_text())["downloader"]["extra_state"]
            size = int(state["size"])
            same = bool(self._digest) and state["playlist"] == self._digest
            return size if same and part.stat().st_size >= size else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _append_fragment(self, ctx: dict[str, Any], frag_content: bytes) -> None:
        ctx["extra_state"]["size"] += len(frag_content)
        super()._append_fragment(ctx, frag_content)

    def _download_fragment(self, ctx: dict[str, Any], *more: Any) -> bool:
        self._line.where = f"segment {ctx['fragment_index']} of {ctx['total_frags']}"
        done: bool = super()._download_fragment(ctx, *more)
        self._line.where = ""
        return done


class _Hls(_Resumed, HlsFD):  # type: ignore[misc]
    @classmethod
    def can_download(cls, *_: object) -> bool:
        return True  # check_playlist has looked; what is not for us goes to no other program


class _Dash(_Resumed, DashSegmentsFD):  # type: ignore[misc]
    pass


def subtitles(line: Line, info: dict[str, Any], had: Collection[str] = ()) -> tuple[list[Subtitle], list[str]]:
    """The tracks that the recipe wants, and which of them did not come and why. had: languages that are there already.

    The track made by hand comes first; where it fails, the automatic one is as good as none having failed.
    """
    found, missing = list[Subtitle](), list[str]()
    for wanted in line.video.subtitles:
        if any(is_language(language, wanted) for language in had):
            continue
        failed: list[str] = []
        for automatic in (False, True)[: 1 + line.video.automatic_subtitles]:
            offered = info.get("automatic_captions" if automatic else "subtitles") or {}
            names = (name for name in sorted(offered, key=str.lower) if is_language(name, wanted))
            language = next((name for name in names if offered[name]), None)
            if language is None:
                continue
            form = min(offered[language], key=lambda one: _FORMATS.get(one.get("ext"), len(_FORMATS)))
            try:
                text = _track(line, form)
                found.append(Subtitle(language, automatic, str(form.get("ext") or "vtt")[:16], text))
                break
            except FetchFaultError as fault:
                failed.append(printable(f"{language}: {fault}"))
        else:
            missing += failed or [f"{wanted}: not offered"]
    return found, missing


def _track(line: Line, form: dict[str, Any]) -> str:
    if isinstance(form.get("data"), str):
        return str(form["data"][: line.video.page_bytes])
    protocol = determine_protocol(form)
    if protocol in ("m3u8", "m3u8_native"):
        return _joined(line, form["url"])
    if protocol not in ("http", "https"):
        raise _bad(f"it is sent by {protocol}")
    return line.text(form["url"])[0]


def _joined(line: Line, url: str) -> str:
    """The WebVTT that a playlist's segments are together. Raises FetchFaultError."""
    playlist, base = line.text(url)
    addresses = _text_segments(playlist, line.video)
    texts: dict[str, str] = {}
    left = line.video.page_bytes
    for number, address in enumerate(addresses, 1):
        if address in texts:
            continue
        try:
            texts[address], size = _segment(line, urljoin(base, address))
        except (FetchFaultError, ValueError) as fault:  # ValueError: what urljoin takes for no address
            raise _bad(f"segment {number} of {len(addresses)}: {fault}") from None
        left -= size
        if left < 0:
            raise FetchFaultError(ErrorClass.TOO_LARGE, f"more than {line.video.page_bytes} bytes", transient=False)
    if not any(map(is_webvtt, texts.values())):
        raise _bad("its segments are no WebVTT")
    return join_segments(list(texts.values()))


def _text_segments(playlist: str, video: VideoSettings) -> list[str]:
    try:
        check_playlist(playlist, video)
    except RefusedVideo as refused:
        raise _bad(str(refused)) from None
    lines = [line.strip() for line in playlist.splitlines()]
    for tag, words in _UNREAD.items():
        if any(line.startswith(tag) and "METHOD=NONE" not in line for line in lines):
            raise _bad(words)
    addresses = [line for line in lines if line and not line.startswith("#")]
    if len(addresses) > MAX_TEXT_SEGMENTS:
        raise _bad(f"it is in {len(addresses)} segments, at most {MAX_TEXT_SEGMENTS} are asked for")
    return addresses


def _segment(line: Line, url: str) -> tuple[str, int]:
    """The text, and how many bytes it was. Not one of the pages that lead to a video: neither counted nor kept."""
    pages, size = line.pages, line.page_bytes
    _, final, _, body, fault = line.page(Call(url))
    line.pages, line.page_bytes = pages, size
    for address in (url, final):
        line.kept.pop(address, None)
    if fault is not None:
        raise fault
    return body.decode("utf-8", "replace"), len(body)


def _bad(words: str) -> FetchFaultError:
    return FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)


def is_live(info: dict[str, Any]) -> bool:
    """Whether a page says so. Of a playlist it is seen in itself: yt-dlp takes one without segments for live, too."""
    if all(determine_protocol(form).startswith("m3u8") for form in formats_of(info)):
        return False
    return bool(info.get("is_live")) or info.get("live_status") in ("is_live", "is_upcoming")


def formats_of(info: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chosen forms: one, or picture and sound."""
    for one in info.get("requested_formats") or [info]:
        yield {"id": info.get("id"), **one, "is_live": False}
