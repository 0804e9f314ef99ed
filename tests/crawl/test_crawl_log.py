"""The log of one input file."""

from __future__ import annotations

from curation.crawl import ReadLog, Rejection
from curation.errors import Reason


def test_rejections_name_file_offset_and_reason_in_one_line() -> None:
    log = ReadLog("a.wat.gz")
    log.reject(7, Reason.BAD_JSON, "bad\nthing\ud800 " + "x" * 1000, id="m1")
    (rejection,) = log.rejections
    assert rejection.detail is not None
    assert rejection == Rejection("m1", "a.wat.gz", 7, Reason.BAD_JSON, rejection.detail)
    assert rejection.detail.startswith("bad thing? xxx")
    assert len(rejection.detail) == 300


def test_memory_is_bounded_but_nothing_is_uncounted() -> None:
    log = ReadLog("t.csv", stored_rejections=3)
    for row in range(10):
        log.reject(row, Reason.BAD_URL, None, count=2)
    assert [rejection.offset for rejection in log.rejections] == [0, 1, 2]
    assert log.counts == {"rejected:bad_url": 10, "rejected_texts": 20, "rejections_not_stored": 7}


def test_another_logs_rejections_are_taken_over_within_the_bound() -> None:
    log, other = ReadLog("t.csv", stored_rejections=3), ReadLog("t.csv")
    for offset in (1, 2):
        log.reject(offset, Reason.BAD_ROW, None)
        other.reject(10 + offset, Reason.BROKEN_GZIP, None)
    log.extend(other)
    assert [rejection.offset for rejection in log.rejections] == [1, 2, 11]
    assert log.counts == {"rejected:bad_row": 2, "rejected:broken_gzip": 2, "rejections_not_stored": 1}


def test_a_lost_row_is_seen() -> None:
    log = ReadLog("a.wat.gz")
    log.tally("texts", 10)
    log.tally("rows", 5)
    log.tally("skipped:bad_url", 2)
    log.tally("skipped:not_http", 0)
    log.reject(0, Reason.BAD_URL, None, count=2)
    log.tally("odd:alt")
    assert log.unaccounted() == 1
    assert "skipped:not_http" not in log.counts
