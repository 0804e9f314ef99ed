"""The generated web, whose facts say what is on its pages, read from WARC and from WAT files: nothing more or less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.crawl import ReadLog, read_warc, read_wat
from curation.testing import Candidate, Web, build_web

Key = tuple[Any, ...]
NAMES = [name for name in Candidate._fields if name != "page"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    return build_web(tmp_path_factory.mktemp("web"))


def key(row: dict[str, Any]) -> Key:
    """A row as its page and the columns that a Candidate has."""
    row = {**row, "robots": tuple(row["robots"]), "tracks": tuple(tuple(track.values()) for track in row["tracks"])}
    return row["page_url"], *(row[name] for name in NAMES)


def expected(candidates: Iterable[Candidate]) -> Counter[Key]:
    return Counter((candidate.page.url, *candidate[1:]) for candidate in candidates)


def found_in(paths: Iterable[Path], read: Any) -> Iterator[tuple[Path, ReadLog, list[dict[str, Any]]]]:
    for path in paths:
        log = ReadLog(str(path))
        yield path, log, list(read(str(path), log=log))


def test_warcs_say_what_the_facts_say(web: Web) -> None:
    found: Counter[Key] = Counter()
    for _, log, rows in found_in(web.warcs, read_warc):
        assert (log.rejections, log.unaccounted()) == ([], 0)
        found.update(map(key, rows))
    difference(found, expected(web.warc_candidates()))


def test_wats_say_what_the_facts_say(web: Web) -> None:
    found: Counter[Key] = Counter()
    for path, log, rows in found_in(web.wats, read_wat):
        assert len(log.rejections) == (web.damage is not None and path == web.damage.path)
        assert log.unaccounted() == 0
        found.update(map(key, rows))
    difference(found, expected(web.candidates()))


def difference(found: Counter[Key], wanted: Counter[Key]) -> None:
    missing, unwanted = wanted - found, found - wanted
    assert sum(wanted.values()) > 1000
    assert not missing and not unwanted, (
        f"{missing.total()} missing: {sorted(missing, key=str)[:3]}, "
        f"{unwanted.total()} unwanted: {sorted(unwanted, key=str)[:3]}"
    )
