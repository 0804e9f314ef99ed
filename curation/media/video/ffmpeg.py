"""Runs the packaged FFmpeg: within a time limit, its last words kept, nothing of it left behind."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import IO

from curation.errors import StageError
from curation.media.journal import spooling

_LAST_LINES = 5
_LONGEST_LINE = 300  # bytes of a line that are kept
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")  # of what speaks, in this process
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_FULL = frozenset(256 - each for each in (errno.ENOSPC, errno.EDQUOT))  # exit status: the error, of 8 bits
_ENDED = frozenset((-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP))
"""What says something about the machine, not about the file."""
_PR_SET_PDEATHSIG = 1  # prctl(2)
_QUIET = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")


class FfmpegError(Exception):
    """FFmpeg failed, or took longer than its limit; one line says how."""


class FfmpegTimeoutError(FfmpegError):
    """It took longer than its limit."""


@cache
def executable() -> str:
    """The path of the binary that imageio-ffmpeg packages (or of $IMAGEIO_FFMPEG_EXE)."""
    from imageio_ffmpeg import get_ffmpeg_exe

    return str(get_ffmpeg_exe())


def run(arguments: Sequence[str], seconds: float) -> None:
    """Runs FFmpeg with these arguments, `seconds` long at most.

    Raises FfmpegError with the last lines it said, StageError for what is the machine's fault: a full disk, a signal.

    It is a process group of its own, which is killed as a whole, and (on Linux) dies with the thread that waits here: a
    worker that was killed leaves none behind that still writes to its files.
    """
    if seconds <= 0:
        raise FfmpegTimeoutError("no time was left")
    try:
        process = subprocess.Popen(
            [executable(), *_QUIET, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent if _LIBC else None,  # noqa: PLW1509 - one call into a library that is loaded
        )
    except OSError as error:
        raise StageError(f"ffmpeg cannot be started: {error.strerror} ({executable()})") from error
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    reader = Thread(target=_read, args=(process.stderr, lines), daemon=True)
    reader.start()
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise FfmpegTimeoutError(f"ffmpeg took longer than {seconds:.0f} s{_said(lines)}") from None
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join()
    if status in _FULL or any("No space left on device" in line for line in lines):
        with spooling():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if status in _ENDED:
        raise StageError(f"ffmpeg was ended by signal {-status}, not by us: is there memory enough? Run again")
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"failed ({status})"
        raise FfmpegError(f"ffmpeg {how}{_said(lines)}")


def _die_with_parent() -> None:
    """In the child, before it is FFmpeg."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _said(lines: deque[str]) -> str:
    return ": " + " | ".join(lines) if lines else ""


def _read(stream: IO[bytes] | None, lines: deque[str]) -> None:
    """Keeps the last lines; the pipe is read to its end, or FFmpeg would wait for us."""
    if stream is None:
        return
    with stream:
        while line := stream.readline(_LONGEST_LINE):
            if words := _ADDRESS.sub("", line.decode("utf-8", "replace")).strip():
                lines.append(words)
