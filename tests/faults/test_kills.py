"""kill -9 of the driver, the JVM, a Python worker and an executor, each in three stages, and what comes after it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Pool, Reference
from faults_harness import CLUSTER, LOCAL, Job, Underway, curation, kill, started, underway, versions, wait_until
from faults_reading import Witness, fingerprints

pytestmark = pytest.mark.slow

STAGES = ("extract", "pairs", "match")
