"""Peak memory of one process that fetches a unit: ours beside img2dataset's, and beside our own for a smaller unit.

Both read the list of bench.fetching from its server and write the same tars; imports and start are counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.data import ROOT
from bench.fetching import PEER, clean_work, serving
from bench.harness import OURS, Cost, Row

IMAGES = 8000
FEWER = 2000
SMALLER = f"{OURS} at {FEWER:,}"


def _run(side: str, port: str, count: int) -> None:
    """Does one side's work and says this process's peak in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        obtained = clean_work(side, port, folder, count)()
    if obtained != count:
        raise RuntimeError(f"{side} obtained {obtained} of {count} images")
    # not ru_maxrss, which begins with what the parent had when it started this process
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    sys.stdout.write(f"{int(peak) * 1024}\n")


def _peak(name: str, side: str, port: str, count: int) -> float:
    command = [sys.executable, "-m", "bench.fetching_memory", side, port, str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    peak = float(done.stdout.split()[-1])
    ROW.notes[name] = f"{peak / 1e6:.0f} MB"
    return peak


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    with serving() as port:
        yield {
            OURS: partial(_peak, OURS, OURS, port, IMAGES),
            PEER: partial(_peak, PEER, PEER, port, IMAGES),
            SMALLER: partial(_peak, SMALLER, OURS, port, FEWER),
        }


ROW = Row(
    "fetch-memory",
    f"peak memory of a process that fetches {IMAGES:,} photographs of 50 to 150 kB",
    "bytes",
    {PEER: 1, SMALLER: 0.83},
    _sides,
    1,
)
"""Flat, that is at most a fifth more for four times the unit, is a ratio of at least 1 / 1.2 to the smaller unit."""

if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
