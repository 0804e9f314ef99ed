"""The process that reads pages: what ends it, and whom that is told of."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.errors import StageError
from curation.media.outcomes import FetchRequest
from curation.media.video.calls import Call
from curation.media.video.downloads import fetch_videos
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.pages import PageReaders
from curation.media.video.transfer import VideoOutcome, VideoRules
from curation.media.video.turns import Clock
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings

_PAGE = b'<html><title>A film</title><video src="/1.mp4"></video></html>'
_ROOT = str(Path(__file__).parents[3])


@pytest.fixture
def readers() -> Iterator[PageReaders]:
    made = PageReaders()
    yield made
    made.close()


def _described(readers: PageReaders) -> dict[str, Any]:
    def ask(call: Call) -> tuple[int, str, dict[str, str], bytes, None]:
        return 200, call.url, {"Content-Type": "text/html"}, _PAGE, None

    clock = Clock(time.monotonic() + 40, time.monotonic() + 40, threading.Event())
    return readers.described("http://a.test/watch", VideoSettings(), ask, clock)


def _instead(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """Puts a program of ours in the place of yt-dlp's part that reads pages."""
    package = folder / "yt_dlp"
    package.mkdir()
    (package / "__init__.py").write_text(lines)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_program_that_cannot_start_is_no_fault_of_the_pages(
    readers: PageReaders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _instead(tmp_path, monkeypatch, "raise ImportError('yt-dlp is not for this Python')")
    with pytest.raises(StageError, match=r"ended with 1: ImportError: yt-dlp is not for this Python$"):
        _described(readers)
    outcomes: list[VideoOutcome] = []
    rules = VideoRules(FetchSettings(), VideoSettings(), tmp_path / "videos")
    with pytest.raises(StageError, match="ImportError"):
        fetch_videos([FetchRequest("1", "http://a.test/")], rules, on_done=outcomes.append, deadline_s=30)
    assert outcomes == []


@pytest.mark.parametrize(
    "lines",
    [
        "import sys; sys.stderr.write('x' * 900_000 + '\\n' + 'y' * 900_000); sys.exit('the last words')",
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "raise MemoryError",
    ],
)
def test_what_ends_before_any_page_was_seen_concerns_them_all(
    readers: PageReaders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    _instead(tmp_path, monkeypatch, lines)
    with pytest.raises(StageError, match="pages of videos cannot be read") as caught:
        _described(readers)
    assert len(str(caught.value)) <= 200


_PAST_ONE_PAGE = """
import json, os, signal, sys
print(json.dumps({{"ask": {{"url": "http://a.test/", "method": "GET", "headers": {{}}, "body": None}}}}), flush=True)
sys.stdin.readline(), sys.stdin.readline()
{end}
"""


@pytest.mark.parametrize(
    ("end", "is_of_the_page"),
    [
        ("os.kill(os.getpid(), signal.SIGXCPU)", True),
        ("os.kill(os.getpid(), signal.SIGKILL)", True),
        ("sys.exit(3)", True),
        ("raise KeyError('x')", False),
        ("sys.exit(0)", False),
    ],
)
def test_a_page_answers_for_time_and_memory_only(
    readers: PageReaders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, is_of_the_page: bool
) -> None:
    program = tmp_path / "reader"
    program.write_text(f"#!{sys.executable}\n" + _PAST_ONE_PAGE.format(end=end))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(RefusedVideo if is_of_the_page else StageError) as caught:
        _described(readers)
    assert getattr(caught.value, "reason", None) == (VideoRefusal.TIMEOUT if is_of_the_page else None)


@pytest.mark.parametrize("where", ["Player.described", "_Asking.answer"])
def test_a_page_that_takes_all_memory_is_left(
    readers: PageReaders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """yt-dlp's own patterns may want any amount; so may the answer that it reads."""
    lines = {
        "Player.described": "import yt_dlp.extractor.generic as it\n"
        "it.GenericIE._real_extract = lambda self, url: (self._download_webpage(url, 'x'), bytearray(1 << 40))",
        "_Asking.answer": "import json as it\nreal = it.loads\n"
        "it.loads = lambda text: bytearray(1 << 40) if b'status' in text else real(text)",
    }[where]
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Late:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'curation.media.video.players':\n            sys.meta_path.remove(self)\n"
        f"            exec({lines!r}, globals())\n"
        "sys.meta_path.insert(0, Late())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RefusedVideo, match="too much time or memory") as caught:
        _described(readers)
    assert caught.value.reason is VideoRefusal.TIMEOUT


_LIMITED = """
import ctypes, resource, sys, threading, time
ctypes.CDLL(None).prctl(24, 24, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_RESOURCE: as for anyone but root
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), int(sys.argv[1])))
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
from curation.media.video.pages import PageReaders
from curation.media.video.turns import Clock
from curation.recipe.video import VideoSettings
readers = PageReaders()
for _ in range(2):
    clock = Clock(time.monotonic() + 40, time.monotonic() + 40, threading.Event())
    page = b'<title>A film</title><video src="/1.mp4"></video>'
    answer = {"Content-Type": "text/html"}, page, None
    told = readers.described("http://a.test/watch", VideoSettings(), lambda call: (200, call.url, *answer), clock)
    print(told["title"])
for reader in readers._idle:
    pid = reader._process.pid
    print(*resource.prlimit(pid, resource.RLIMIT_AS), *resource.prlimit(pid, resource.RLIMIT_CPU)[1:])
readers.close()
"""


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of other processes are seen on Linux only")
@pytest.mark.parametrize(("seconds", "left"), [(3600, [f"{3 << 30} {8 << 30} 3600"]), (25, [])])
@pytest.mark.slow
def test_the_users_own_limits_stay(seconds: int, left: list[str]) -> None:
    """A process whose time may not last for another page is not used for one."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(seconds)],
        env={**os.environ, "PYTHONPATH": _ROOT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["A film (1)", "A film (1)", *left], done.stderr[-2000:]
