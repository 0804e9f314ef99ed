"""Work on the videos of one unit of fetch: on which files, and what becomes of those that end processes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from curation.errors import CurationError, StageError
from curation.machine_cache import make_private
from curation.media.journal import spooling
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.runner.stage import Manifest, Planning, Task
from curation.runner.units import Unit, UnitReport, report_name
from curation.stages.clip_settings import clips_kind
from curation.stages.following import FollowingStage
from curation.stages.video_sources import wanted_kind
from curation.storage import Store

Row = dict[str, Any]

MOST_ENDED = 3
"""Processes that ended at a video, after which no other is lost to it; a task has four attempts."""
FAILED_IN_PASSING = frozenset((str(VideoRefusal.TIMEOUT), str(VideoRefusal.CRASHED)))
SOURCE_GONE = "source_gone"
"""Error of a video whose file was removed (fetch.video.keep_source) before it was looked at."""


class SourceGoneError(Exception):
    """A file is not in the work folder."""


class VideoUnitStage(FollowingStage):
    """Work on the videos of a unit of fetch. What ends processes at a video is told, and refused at last."""

    def more(self, planning: Planning) -> dict[str, Any]:
        return {"wanted": wanted_kind(planning.recipe.fetch, clips_kind(planning.recipe))}

    def settle(self, planning: Planning, manifest: Manifest) -> None:
        """What killed attempts at units left that are done."""
        folder = f"_runs/{self.name}/begun"
        done = {report_name(Unit(name, {}, each.identity)) for name, each in manifest.reports.items()}
        for name in planning.store.names(folder):
            if f"{name}.json" in done:
                planning.store.remove_tree(f"{folder}/{name}")

    def committed(self, unit: Unit, task: Task, report: UnitReport) -> None:
        Attempts(task.store, self.name, unit).end()


@contextmanager
def refusing() -> Iterator[None]:
    """Whatever a file makes a library raise is its refusal, with the error's name: no file ends a run."""
    try:
        yield
    except (RefusedVideo, CurationError, OSError):
        raise
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise RefusedVideo(VideoRefusal.CORRUPT, words) from error


class Attempts:
    """What a unit is at, told in the work folder before a library opens a file: one that ends processes again and
    again, as a decoder may, is refused, so that it does not end every further attempt and run.
    """

    def __init__(self, store: Store, stage: str, unit: Unit) -> None:
        self.store, self._folder = store, f"_runs/{stage}/begun/{report_name(unit).removesuffix('.json')}"
        self._ended = Counter(name.rpartition("-")[0] for name in store.names(self._folder))

    @contextmanager
    def at(self, key: str) -> Iterator[None]:
        """key: of the file. Raises RefusedVideo, as `refusing` does."""
        if self._ended[key] >= MOST_ENDED:
            words = f"{self._ended[key]} processes ended while they looked at it"
            raise RefusedVideo(VideoRefusal.CRASHED, words)
        path = f"{self._folder}/{key}-{self._ended[key]}"
        self.store.put(path, b"")
        try:
            with refusing():
                yield
        finally:
            self.store.remove(path)

    def end(self) -> None:
        """Forgets it all, once the unit is done."""
        self.store.remove_tree(self._folder)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the time being. What processes left that were killed on this machine goes, too."""
    parent = private_folder("scratch")
    for entry in parent.iterdir():
        if not _is_alive(entry.name.partition("-")[0]):
            shutil.rmtree(entry, ignore_errors=True)
    with spooling():
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def private_folder(name: str) -> Path:
    """A folder of this user alone below the temporary one. Raises StageError where it is not, or cannot be written."""
    folder = Path(tempfile.gettempdir()) / f"curation-{name}-{os.getuid()}"
    if not make_private(folder):
        raise StageError(f"{folder} is not a private folder that can be written: remove it, or set TMPDIR")
    return folder


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def local_file(store: Store, path: str, offset: int = 0, size_bytes: int | None = None) -> Iterator[Path]:
    """A file of the work folder, or a part of one, as a local file. Raises SourceGoneError where there is none.

    Whole local files are used where they lie; others are copied, a piece at a time, to the temporary folder.
    """
    if store.is_local and size_bytes is None:
        place = Path(store.url(path))
        if not place.exists():
            raise SourceGoneError(path)
        yield place
        return
    with scratch_folder() as folder:
        if store.size(path) is None:
            raise SourceGoneError(path)
        copy = folder / path.rpartition("/")[2].replace(".tar", ".mp4")
        with fsspec.open(store.url(path), "rb") as source, spooling(), copy.open("wb") as target:
            source.seek(offset)
            left = size_bytes
            while left is None or left > 0:
                part = source.read(1 << 20 if left is None else min(left, 1 << 20))
                if not part:
                    break
                target.write(part)
                left = None if left is None else left - len(part)
        yield copy
