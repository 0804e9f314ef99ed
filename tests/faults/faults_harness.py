"""Runs `curation` as a process of its own, watches what it publishes, and kills parts of it at chosen moments."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyspark

ROOT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
LOCAL = "local[2,4]"
CLUSTER = "local-cluster[2,1,2048]"
POLL_S = 0.01

# What a run says on its way. Any other line on stderr is an error or noise.
_STATUS = re.compile(
    r"(extract|pairs|match|count|draw|balance) +[\d,]+ \w+|[\d,]+ units done in|nothing to do: |"
    r"a run \(.*\) left its lease; taking over| +note: "
)


class Waited(AssertionError):
    """What was waited for did not come."""


def wait_until[T](condition: Callable[[], T | None], timeout_s: float, what: str, poll_s: float = POLL_S) -> T:
    """The first value of `condition` that is neither None nor False; polls, within bounds."""
    deadline = time.monotonic() + timeout_s
    never = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Waited(f"{what}: not within {timeout_s:.0f} s")
        never.wait(poll_s)
    return value
