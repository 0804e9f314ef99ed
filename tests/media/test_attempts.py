"""When to try again and when to stop, against the definitions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.media.attempts import STORM_CLASSES, Storm, backoff_s, not_done, unsettled
from curation.media.outcomes import ErrorClass, FetchFaultError, FetchStormError
from curation.media.politeness import Manners
from curation.media.video.facts import VideoRefusal
from curation.recipe.network import FetchSettings

_NOT_ASKED = {ErrorClass.HOST_DOWN, ErrorClass.DEADLINE, ErrorClass.CANCELLED, ErrorClass.BAD_URL}
_ERRORS = [None, ErrorClass.DNS, ErrorClass.HTTP_4XX, ErrorClass.HOST_DOWN, VideoRefusal.NOT_A_VIDEO]


@given(st.lists(st.sampled_from(_ERRORS), max_size=60), st.integers(1, 8), st.sampled_from([0.5, 0.75, 0.99]))
@example([ErrorClass.DNS, ErrorClass.HOST_DOWN, ErrorClass.DNS], 2, 0.5)
def test_a_storm_is_one_class_that_fills_the_last_outcomes(
    errors: list[ErrorClass | None], window: int, share: float
) -> None:
    storm = Storm(FetchSettings(storm_window=window, storm_share=share))
    asked: list[ErrorClass | None] = []
    for error in errors:
        asked += [error] if error not in _NOT_ASKED else []
        last = asked[-window:]
        full = len(last) == window and Counter(last)[error] > share * window
        if error in STORM_CLASSES and full:
            with pytest.raises(FetchStormError, match=f"{last.count(error)} of the last {window} URLs") as caught:
                storm.note(error, "gone")
            assert caught.value.error is error
        else:
            storm.note(error, "gone")


@given(st.integers(1, 2000), st.text(alphabet="ab/.:", max_size=20))
def test_waits_double_up_to_a_most_and_are_spread(attempts: int, url: str) -> None:
    settings = FetchSettings(backoff_s=0.5, max_backoff_s=30.0)
    middle = 0.5 * 2 ** (attempts - 1) if attempts < 7 else 30.0
    wait_s = backoff_s(settings, attempts, url)
    assert 0.5 * middle <= wait_s < 1.5 * middle
    assert wait_s == backoff_s(settings, attempts, url) != backoff_s(settings, attempts, f"{url}x")


@given(st.lists(st.booleans(), max_size=40))
def test_each_request_without_an_outcome_is_named_once(done: list[bool]) -> None:
    settled, found = bytearray(done), []
    for number in unsettled(settled):
        settled[number] = 1
        found.append(number)
    assert found == [number for number, is_done in enumerate(done) if not is_done]


def test_what_is_left_says_why() -> None:
    faults = [not_done(error) for error in (ErrorClass.DEADLINE, ErrorClass.CANCELLED)]
    assert [(fault.error, fault.detail, fault.transient) for fault in faults] == [
        (ErrorClass.DEADLINE, "not done when the time was over", True),
        (ErrorClass.CANCELLED, "not done when the run stopped", True),
    ]


def _fault(error: ErrorClass, retry_after_s: float | None = None, *, transient: bool = True) -> FetchFaultError:
    return FetchFaultError(error, "", transient=transient, retry_after_s=retry_after_s)


def test_a_host_is_left_alone_as_long_as_it_asks() -> None:
    settings = FetchSettings(max_retry_after_s=60.0, host_down_after=3)
    host = Manners()
    assert host.note(_fault(ErrorClass.HTTP_5XX), 5.0, settings, 100.0) == "" and host.not_before == 0.0
    assert host.note(_fault(ErrorClass.TOO_MANY_REQUESTS), 5.0, settings, 100.0) == "" and host.not_before == 105.0
    assert host.note(None, 0.0, settings, 101.0) == "" and (host.troubles, host.not_before) == (0, 105.0)
    assert host.note(_fault(ErrorClass.HTTP_5XX, 30.0), 5.0, settings, 100.0) == "" and host.not_before == 130.0
    assert host.note(_fault(ErrorClass.HTTP_5XX, 1.0), 5.0, settings, 100.0) == "" and host.not_before == 130.0
    assert host.note(_fault(ErrorClass.HTTP_4XX, transient=False), 5.0, settings, 0.0) == "" and host.troubles == 0
    words = [host.note(_fault(ErrorClass.CONNECT), 0.0, settings, 0.0) for _ in range(3)]
    assert words == ["", "", "3 transient failures in a row, the last connect"]
    asked = _fault(ErrorClass.TOO_MANY_REQUESTS, 61.0)
    assert host.note(asked, 5.0, settings, 0.0) == "it asks not to be asked for 61 s"
