"""Reads pages in a process of its own, which can be stopped: the HTML standard's algorithm is not linear.

Parsing goes through C code that nothing in this process can interrupt, and takes quadratic time for elements nested a
hundred thousand deep (measured with lexbor: 80 kB of <div> 0.35 s, 1 MB more than two minutes). So pages that are
large, or have many tags, go to the other process, and only they pay for the way there and back.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from socket import socket, socketpair
from struct import Struct
from time import monotonic
from typing import BinaryIO

import msgspec

from curation.crawl.html import read_html
from curation.crawl.page import Page

MEMORY_BYTES = 4 << 30
"""Address space of the process: a page of 8 MiB takes a few hundred MiB, at worst 1.3 GiB."""
START_SECONDS = 120.0
"""A process that is not ready after so long will not be."""
REPLY_BYTES = 64 << 20
"""What one page may say at most; the largest of real pages says a few hundred kB."""
_ORPHAN_SECONDS = 10  # a process whose parent is gone ends so long after the time limit of its page

_REQUEST = Struct("=?dq")  # whether images are the largest; time limit in seconds; bytes of HTML that follow
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
        self._connection: socket | None = None

    def read(self, html: bytes, *, largest: bool, seconds: float) -> Page:
        """As curation.crawl.html.read_html. Raises PageProcessError where that fails or takes longer."""
        process, connection = self._started()
        end = monotonic() + seconds
        try:
            connection.settimeout(seconds)
            connection.sendall(_REQUEST.pack(largest, seconds, len(html)) + html)
            return msgspec.msgpack.decode(_reply(connection, end), type=Page)
        except TimeoutError:
            self.stop()
            raise PageProcessError(f"reading the page took more than {seconds:g} s", timed_out=True) from None
        except (ConnectionError, EOFError):
            code = process.wait()
            self.stop()
            raise PageProcessError(f"reading the page ended its process ({code})", timed_out=False) from None

    def stop(self) -> None:
        """Ends the process, if it runs."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def _started(self) -> tuple[subprocess.Popen[bytes], socket]:
        if self._process is None or self._connection is None or self._process.poll() is not None:
            self.stop()
            self._process, self._connection = _start()
            try:
                _reply(self._connection, monotonic() + START_SECONDS)
            except (TimeoutError, ConnectionError, EOFError):
                self._process.kill()
                code = self._process.wait()
                self.stop()
                raise OSError(f"cannot start {sys.executable} -m {__name__}: it ended with {code}") from None
        return self._process, self._connection


_of_process: dict[int, PageProcess] = {}


def shared_process() -> PageProcess:
    """The page process of this one, kept for the next archive: starting takes half a second. It ends with this one."""
    if os.getpid() not in _of_process:  # a fork has one of its own
        _of_process[os.getpid()] = PageProcess()
        atexit.register(_of_process[os.getpid()].stop)
    return _of_process[os.getpid()]


def _start() -> tuple[subprocess.Popen[bytes], socket]:
    """The process, and the way to it: a socket, not stdin and stdout, as any import may write to stdout."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ours, theirs = socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=(theirs.fileno(),),
            )
        except OSError:
            ours.close()
            raise
    return process, ours


def _reply(connection: socket, end: float) -> bytearray:
    (size,) = _REPLY.unpack(_exactly(connection, _REPLY.size, end))
    return _exactly(connection, size, end)


def _exactly(connection: socket, size: int, end: float) -> bytearray:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        connection.settimeout(max(end - monotonic(), 0.001))
        part = connection.recv_into(view[got:])
        if not part:
            raise EOFError
        got += part
    return data


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answers requests until there are no more. Raises ValueError for a page that says more than REPLY_BYTES."""
    reply = b""
    while True:
        replies.write(_REPLY.pack(len(reply)) + reply)
        replies.flush()
        header = requests.read(_REQUEST.size)
        if not header:
            return
        largest, seconds, size = _REQUEST.unpack(header)
        html = requests.read(size)
        signal.setitimer(signal.ITIMER_REAL, seconds + _ORPHAN_SECONDS)
        reply = msgspec.msgpack.encode(read_html(html, largest=largest))
        signal.setitimer(signal.ITIMER_REAL, 0)
        if len(reply) > REPLY_BYTES:
            raise ValueError(f"the page says {len(reply)} bytes, above {REPLY_BYTES}")


if __name__ == "__main__":
    with suppress(ValueError, OSError):  # a lower limit is set already, or the system knows none
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever C code it is in
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    with socket(fileno=int(sys.argv[1])) as parent:
        serve(parent.makefile("rb"), parent.makefile("wb"))
