"""The files of fetched videos: there, removed once their clips were cut, or missed."""

from __future__ import annotations

from curation.recipe import Fetch as FetchSection
from curation.storage import Store

_STATE = "_runs/fetch/sources"
_SOUGHT = 3
"""Runs that ask again for a video whose file is gone, and whose host no longer gives it."""


class Sources:
    """Whether the files of a unit's videos are there, as one small file in the work folder tells.

    What they are for is told by a kind: of the clips to be cut, or "" where they themselves are wanted. kinds: of which
    the clips were made before the files were removed. there: whether they were fetched again since. missing: by kind,
    how often a stage looked for a video's file in vain, and how often it was asked for since.
    """

    def __init__(self, store: Store, unit: str) -> None:
        self._store, self._path = store, f"{_STATE}/{unit}.json"
        told = store.read_json(self._path) or {}
        self._kinds: list[str] = told.get("kinds", [])
        self._there: bool = told.get("there", True)
        self._missing: dict[str, dict[str, list[int]]] = told.get("missing", {})

    def are_missed(self, wanted: str) -> bool:
        """Whether some have to be fetched again."""
        return self._all_missed(wanted) or bool(self._sought(wanted))

    def is_missed(self, media_id: str, wanted: str) -> bool:
        """Whether one that is not there has to be fetched again."""
        return self._all_missed(wanted) or media_id in self._sought(wanted)

    def _all_missed(self, wanted: str) -> bool:
        return not self._there and wanted not in self._kinds

    def _sought(self, wanted: str) -> set[str]:
        times = self._missing.get(wanted, {})
        return {media_id for media_id, (sought, asked) in times.items() if asked < sought <= _SOUGHT}

    def may_go(self, kind: str) -> bool:
        """Whether they lie there though clips of a kind are made of them."""
        return self._there or kind not in self._kinds

    def remove(self, paths: list[str], kind: str) -> None:
        """Removes them, of which the clips of a kind are made."""
        self._kinds, self._there = sorted({*self._kinds, kind}), False
        self._put()
        for path in paths:
            self._store.remove(path)

    def miss(self, media_id: str, wanted: str) -> None:
        """One is not there that should be: the next run fetches it again."""
        self._missing.setdefault(wanted, {}).setdefault(media_id, [0, 0])[0] += 1
        self._put()

    def fetched(self, wanted: str) -> None:
        """They are there again, as far as their hosts gave them."""
        if not self.are_missed(wanted):
            return
        self._there = self._there or self._all_missed(wanted)
        for times in self._missing.get(wanted, {}).values():
            times[1] = times[0]
        self._put()

    def _put(self) -> None:
        self._store.put_json(self._path, {"kinds": self._kinds, "there": self._there, "missing": self._missing})


def told_units(store: Store) -> set[str]:
    """Units of which something is told: of all others the files are there."""
    return {name.removesuffix(".json") for name in store.names(_STATE)}


def wanted_kind(section: FetchSection, clips: str | None) -> str:
    """What the sources are for: clips of this kind, or themselves ("")."""
    return "" if section.video.keep_source or clips is None else clips
