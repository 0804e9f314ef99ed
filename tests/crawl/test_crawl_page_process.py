"""The process that reads large pages: it says what read_html says, may die or hang, and never stays behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from curation.crawl import ReadLog, page_process, warc_batches
from curation.crawl.html import read_html
from curation.crawl.page_process import PageProcess, PageProcessError
from curation.testing import build_web

ROOT = Path(__file__).resolve().parents[2]
PAGE = b"<title>\xc3\xa4</title><a href=/><img src=a srcset='b 9w' alt=x>t</a><video src=v.mp4><track src=t></video>"
DEEP = b"<div>" * 400_000


@pytest.fixture
def processes() -> Iterator[PageProcess]:
    other = PageProcess()
    yield other
    other.stop()


def pid_of(processes: PageProcess) -> int:
    processes.read(PAGE, largest=True, seconds=30)
    assert processes._process is not None
    return processes._process.pid


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


def test_it_says_what_is_read_here(processes: PageProcess) -> None:
    pid = pid_of(processes)
    for largest in (True, False):
        assert processes.read(PAGE, largest=largest, seconds=30) == read_html(PAGE, largest=largest)
    assert processes.read(b"", largest=True, seconds=30) == read_html(b"")
    assert pid_of(processes) == pid


@pytest.mark.slow
def test_a_page_that_takes_too_long(processes: PageProcess) -> None:
    pid = pid_of(processes)
    with pytest.raises(PageProcessError, match=r"more than 0\.2 s") as caught:
        processes.read(DEEP, largest=True, seconds=0.2)
    assert caught.value.timed_out
    assert processes.read(PAGE, largest=True, seconds=30) == read_html(PAGE)
    assert pid_of(processes) != pid


@pytest.mark.slow
def test_a_process_that_hangs_before_it_takes_the_page(processes: PageProcess) -> None:
    os.kill(pid_of(processes), signal.SIGSTOP)
    with pytest.raises(PageProcessError) as caught:
        processes.read(b"x" * (4 << 20), largest=True, seconds=0.2)  # more than a pipe holds
    assert caught.value.timed_out
    assert processes.read(PAGE, largest=True, seconds=30) == read_html(PAGE)


def test_a_process_that_is_killed(processes: PageProcess) -> None:
    pid = pid_of(processes)
    os.kill(pid, signal.SIGSTOP)
    watcher = subprocess.Popen([sys.executable, "-c", f"import os; os.kill({pid}, 9)"])
    with pytest.raises(PageProcessError, match=r"ended its process \(-9\)") as caught:
        processes.read(PAGE, largest=True, seconds=60)
    watcher.wait()
    assert not caught.value.timed_out
    assert processes.read(PAGE, largest=True, seconds=30) == read_html(PAGE)
    os.kill(pid_of(processes), signal.SIGKILL)  # between two pages
    with suppress(PageProcessError):  # unless its end has been noticed
        processes.read(PAGE, largest=True, seconds=30)
    assert processes.read(PAGE, largest=True, seconds=30) == read_html(PAGE)


def test_a_page_that_says_too_much(processes: PageProcess) -> None:
    clip = b'{"@id":"c","@type":"Clip","name":"%s","startOffset":0}' % (b"n" * 200_000)
    video = b'{"@type":"VideoObject","contentUrl":"v.mp4","hasPart":[%s]}' % b",".join([b'{"@id":"c"}'] * 2000)
    html = b'<script type="application/ld+json">[%s,%s]</script>' % (clip, video)
    with pytest.raises(PageProcessError, match=r"ended its process \(1\)"):
        processes.read(html, largest=True, seconds=60)


@pytest.mark.slow
def test_its_memory_is_bounded(processes: PageProcess) -> None:
    soup = b"".join(b"<font id=%d><p>" % n for n in range(12_000))  # 70 million elements
    with pytest.raises(PageProcessError) as caught:
        processes.read(soup, largest=True, seconds=60)
    assert not caught.value.timed_out


def test_what_imports_write_to_stdout_does_not_matter(
    processes: PageProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('x' * 100_000)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert processes.read(PAGE, largest=True, seconds=30) == read_html(PAGE)


def test_a_process_that_does_not_start(processes: PageProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_process.sys, "executable", "/bin/false")
    with pytest.raises(OSError, match=r"cannot start .* it ended with 1"):
        processes.read(PAGE, largest=True, seconds=30)


@needs_proc
@pytest.mark.slow
def test_it_ends_with_its_parent() -> None:
    """Also while it is in the middle of a page: then a little after that page's time limit."""
    code = textwrap.dedent(
        f"""
        import os, threading
        from curation.crawl import page_process
        page_process._ORPHAN_SECONDS = 0
        other = page_process.PageProcess()
        other.read(b"<p>", largest=True, seconds=30)
        print(other._process.pid, flush=True)
        threading.Thread(target=lambda: (input(), os._exit(9)), daemon=True).start()
        BUSY and other.read(b"<div>" * {len(DEEP) // 5}, largest=True, seconds=2.0)
        threading.Event().wait()
        """
    )
    for busy in ("False", "True"):
        parent = subprocess.Popen(
            [sys.executable, "-c", code.replace("BUSY", busy)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert parent.stdin is not None and parent.stdout is not None
        pid = int(parent.stdout.readline())
        child = os.pidfd_open(pid)
        assert runs(pid)
        parent.stdin.write(b"\n")
        parent.stdin.close()
        parent.wait()
        parent.stdout.close()
        ended = select.select([child], [], [], 20.0)[0]
        os.close(child)
        assert ended, busy


def test_it_serves_one_archive_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.crawl.warc.MANY_TAGS", 10)
    monkeypatch.setattr(page_process, "_of_process", {})
    started: list[int] = []
    start = page_process._start

    def noted() -> object:
        found = start()
        started.append(found[0].pid)
        return found

    monkeypatch.setattr(page_process, "_start", noted)
    for path in build_web(tmp_path, pages=40, archives=2, damaged=False).warcs:
        log = ReadLog(str(path))
        for _ in warc_batches(str(path), log):
            pass
        assert log.counts["pages_apart"] > 10
    assert len(started) == 1
    page_process.shared_process().stop()
