"""Runs the packaged FFmpeg: within a time limit, its last words kept, nothing of it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import IO

_LAST_LINES = 5
_LONGEST_LINE = 300  # bytes of a line that are kept
_QUIET = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")


class FfmpegError(Exception):
    """FFmpeg failed, or took longer than its limit; one line says how."""


@cache
def executable() -> str:
    """The path of the binary that imageio-ffmpeg packages (or of $IMAGEIO_FFMPEG_EXE)."""
    from imageio_ffmpeg import get_ffmpeg_exe

    return str(get_ffmpeg_exe())


def run(arguments: Sequence[str], seconds: float) -> None:
    """Runs FFmpeg with these arguments, `seconds` long at most. Raises FfmpegError with the last lines it said.

    It is a process group of its own, which is killed as a whole; a limit of CPU time of its own ends one that outlives
    us.
    """
    if seconds <= 0:
        raise FfmpegError("no time was left")
    command = [executable(), *_QUIET, "-timelimit", str(int(8 * seconds) + 10), *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    reader = Thread(target=_read, args=(process.stderr, lines), daemon=True)
    reader.start()
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise FfmpegError(f"ffmpeg took longer than {seconds:.0f} s{_said(lines)}") from None
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join()
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"failed ({status})"
        raise FfmpegError(f"ffmpeg {how}{_said(lines)}")


def _said(lines: deque[str]) -> str:
    return ": " + " | ".join(lines) if lines else ""


def _read(stream: IO[bytes] | None, lines: deque[str]) -> None:
    """Keeps the last lines; the pipe is read to its end, or FFmpeg would wait for us."""
    if stream is None:
        return
    with stream:
        while line := stream.readline(_LONGEST_LINE):
            if words := line.decode("utf-8", "replace").strip():
                lines.append(words)
