"""Reads pages in a process of its own, which can be stopped: the HTML standard's algorithm is not linear.

Parsing goes through C code that nothing in this process can interrupt, and takes quadratic time for elements nested a
hundred thousand deep (measured with lexbor: 80 kB of <div> 0.35 s, 1 MB more than two minutes). Pages with that many
tags are rare (1 in 400 has more than 10,000), so only they pay for the way to the other process and back.
"""

from __future__ import annotations

import os
import resource
import select
import subprocess
import sys
from contextlib import suppress
from struct import Struct
from typing import BinaryIO

import msgspec

from curation.crawl.html import read_html
from curation.crawl.page import Page

MEMORY_BYTES = 4 << 30
"""Address space of the process: a page of 8 MiB takes a few hundred MiB."""
START_SECONDS = 120.0
"""A process that is not ready after so long will not be."""

_REQUEST = Struct("=?q")  # whether images are the largest; bytes of HTML that follow
_REPLY = Struct("=q")  # bytes of the page as MessagePack that follow


class PageProcessError(Exception):
    """The page could not be read; `timed_out`: not in time."""

    def __init__(self, detail: str, *, timed_out: bool) -> None:
        super().__init__(detail)
        self.timed_out = timed_out


class PageProcess:
    """The other process: started when it is first needed, and again after it was stopped."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, html: bytes, *, largest: bool, seconds: float) -> Page:
        """As curation.crawl.html.read_html. Raises PageProcessError where that fails or takes longer."""
        process = self._started()
        try:
            _pipe(process.stdin).write(_REQUEST.pack(largest, len(html)) + html)
            _pipe(process.stdin).flush()
            return msgspec.msgpack.decode(self._reply(process, seconds), type=Page)
        except (BrokenPipeError, EOFError):
            code = process.wait()
            self.stop()
            raise PageProcessError(f"reading the page ended its process ({code})", timed_out=False) from None

    def stop(self) -> None:
        """Ends the process, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(BrokenPipeError):
                    _pipe(pipe).close()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            command = [sys.executable, "-m", __name__]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
            try:
                self._reply(self._process, START_SECONDS)
            except EOFError:
                raise OSError(f"cannot start {' '.join(command)}: it ended with {self._process.wait()}") from None
        return self._process

    def _reply(self, process: subprocess.Popen[bytes], seconds: float) -> bytes:
        pipe = _pipe(process.stdout)
        ready, _, _ = select.select([pipe], [], [], seconds)
        if not ready:
            self.stop()
            raise PageProcessError(f"reading the page took more than {seconds:g} s", timed_out=True)
        (size,) = _REPLY.unpack(_exactly(pipe, _REPLY.size))
        return _exactly(pipe, size)


def _pipe(pipe: object) -> BinaryIO:
    return pipe  # type: ignore[return-value]  # Popen cannot know that all of them are pipes


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answers requests until there are no more."""
    reply = b""
    while True:
        replies.write(_REPLY.pack(len(reply)) + reply)
        replies.flush()
        header = requests.read(_REQUEST.size)
        if not header:
            return
        largest, size = _REQUEST.unpack(header)
        reply = msgspec.msgpack.encode(read_html(requests.read(size), largest=largest))


if __name__ == "__main__":
    with suppress(ValueError, OSError):  # a lower limit is set already, or the system knows none
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    serve(sys.stdin.buffer, sys.stdout.buffer)
