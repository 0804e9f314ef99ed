"""The process in which yt-dlp reads pages: one that a page can keep busy, fill or break without harm to others.

yt-dlp looks at pages with thousands of patterns, some of which take hours on a page made for that, and nothing but
the end of its process stops Python's pattern matching. This process has no network of its own: what yt-dlp asks for is
asked of the process that started it (curation.media.video.pages), line by line of JSON.
"""

from __future__ import annotations

import base64
import io
import json
import os
import resource
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from curation.media.video.calls import NO_MEMORY, Call, fault_from, fault_to
from curation.media.video.facts import RefusedVideo
from curation.media.video.languages import is_language

if TYPE_CHECKING:
    from curation.recipe.video import VideoSettings  # pydantic takes longer to come than all else here

CPU_S: Final = 30
"""Seconds of processor time for one address; YouTube's pages take 2."""
MEMORY_BYTES: Final = 3 << 30
"""Of addresses, much of which is never touched; yt-dlp with all its sites holds 0.1 GB."""
ERROR_BYTES: Final = 1 << 20
"""Of what is printed about one address."""
KEPT: Final = (
    *("id", "title", "description", "chapters", "tags", "categories", "license", "uploader"),
    *("channel", "upload_date", "language", "extractor", "extractor_key", "webpage_url", "duration"),
    *("age_limit", "view_count", "like_count", "is_live", "live_status", "direct"),
    *("url", "ext", "protocol", "http_headers", "fragments", "fragment_base_url", "downloader_options", "request_data"),
    *("extra_param_to_segment_url", "extra_param_to_key_url", "hls_aes", "format_index", "container"),
)
"""Of what yt-dlp says about a video and its forms."""


def main() -> None:
    """Answers one line after the other until there are no more. Little memory or time ends the process.

    An answer says whether it was the last one ("worn"): where the user's own limit of processor time would end the
    next page before ours does.
    """
    reader, writer = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what prints, prints elsewhere
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_FSIZE, ERROR_BYTES)
    while line := reader.readline():
        _limit(resource.RLIMIT_CPU, _used_s() + CPU_S)
        order = json.loads(line)
        video = cast("VideoSettings", SimpleNamespace(**order["video"]))
        try:
            told = _described(_Asking(reader, writer, video), order["url"])
        except MemoryError:
            sys.exit(NO_MEMORY)
        _say(writer, {**told, "worn": not _limit(resource.RLIMIT_CPU, _used_s() + CPU_S)})


def _limit(what: int, wanted: int) -> bool:
    """Sets a limit, or what the user's own leaves of it; whether that is all of it."""
    most = resource.getrlimit(what)[1]
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, max(most - 1, 1))  # before the user's kills
    with suppress(OSError, ValueError):  # some systems know no limit of memory
        resource.setrlimit(what, (allowed, most))
    return allowed == wanted


def _used_s() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int(used.ru_utime + used.ru_stime)


class _Asking:
    """Takes the place of curation.media.video.line.Line."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO, video: VideoSettings) -> None:
        self._reader, self._writer = reader, writer
        self.video = video
        self.modified: list[str] = []
        """Last-Modified of what came: yt-dlp takes it for the day of the upload where nothing else is said."""

    def answer(self, call: Call) -> Any:
        from yt_dlp.networking.common import Response
        from yt_dlp.networking.exceptions import HTTPError

        body = None if call.body is None else base64.b64encode(call.body).decode()
        asked = {"url": call.url, "method": call.method, "headers": dict(call.headers), "body": body}
        _say(self._writer, {"ask": asked})
        try:
            told = json.loads(self._reader.readline())
        except MemoryError:
            sys.exit(NO_MEMORY)  # yt-dlp would take it for a fault of the network's
        self.modified += [value for name, value in told["headers"].items() if name.lower() == "last-modified"]
        fault = told["fault"] and fault_from(told["fault"])
        if fault and told["status"] is None:
            raise fault
        found = Response(io.BytesIO(base64.b64decode(told["body"])), told["url"], told["headers"], told["status"])
        if fault:
            error = HTTPError(found)
            error.fault = fault
            raise error
        return found


def _described(line: _Asking, url: str) -> dict[str, Any]:
    from yt_dlp.utils import YoutubeDLError

    from curation.media.video.line import causes, fault_of
    from curation.media.video.players import Player

    try:
        return {"info": _kept(Player(line, sites=True).described(url), line)}
    except RefusedVideo as error:
        return {"refused": error.reason, "words": str(error)}
    except YoutubeDLError as error:
        fault, behind = fault_of(error), list(causes(error))
        said = next((str(told) for one in behind if (told := getattr(one, "orig_msg", None))), str(error))
        names = [type(one).__name__ for one in behind]
        return {"fault": fault and fault_to(fault), "names": names, "words": said[:2000]}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a page may lead yt-dlp anywhere
        return {"fault": None, "names": [], "words": f"{type(error).__name__}: {error}"[:2000]}


def _kept(info: dict[str, Any], line: _Asking) -> dict[str, Any]:
    from yt_dlp import YoutubeDL
    from yt_dlp.utils import unified_timestamp

    plain = YoutubeDL.sanitize_info(info)
    kept = {name: plain[name] for name in KEPT if plain.get(name) is not None}
    if plain.get("requested_formats"):
        kept["requested_formats"] = [{name: form[name] for name in KEPT if form.get(name) is not None}
                                     for form in plain["requested_formats"]]  # fmt: skip
    if plain.get("timestamp") in map(unified_timestamp, line.modified):
        kept.pop("upload_date", None)
    for name in ("subtitles", "automatic_captions"):
        tracks = plain.get(name) or {}
        wanted = [key for key in tracks if any(is_language(key, one) for one in line.video.subtitles)]
        kept[name] = {key: tracks[key] for key in wanted}
    return kept


def _say(writer: BinaryIO, told: dict[str, Any]) -> None:
    writer.write(json.dumps(told).encode() + b"\n")
    writer.flush()


if __name__ == "__main__":
    main()
