"""What `plan` found out, as lines for a terminal."""

from __future__ import annotations

from curation.inspect.estimate import Forecast, StageForecast
from curation.inspect.wording import duration, how_many, size


def plan_lines(forecast: Forecast) -> list[str]:
    """One line per stage with its units, estimates and reasons, and the whole run's time."""
    width = 1 + max((len(stage.stage) for stage in forecast.stages), default=0)
    lines = [line for stage in forecast.stages for line in _stage(stage, width)]
    if forecast.is_current:
        return [*lines, "nothing to do: everything is up to date"]
    return [*lines, _total(forecast)]


def _stage(stage: StageForecast, width: int) -> list[str]:
    head = f"{stage.stage:<{width}}"
    if stage.is_current:
        return [f"{head}up to date ({how_many(stage.units, 'unit')})"]
    if stage.to_do == 0:
        amount = f"nothing to redo ({how_many(stage.units, 'unit')} kept)"
    else:
        amount = f"{'' if stage.exact else 'at most '}{stage.to_do:,} of {how_many(stage.units, 'unit')} to do"
    lines = [f"{head}{amount}{_estimates(stage)}"]
    lines += [f"{'':<{width}}because: {reason}" for reason in stage.reasons]
    lines += [f"{'':<{width}}asks {cost}" for cost in stage.costs]
    return lines + [f"{'':<{width}}the time that models take is not in the estimate"] * bool(stage.costs)


def _estimates(stage: StageForecast) -> str:
    if not stage.to_do:
        return ""
    if stage.rows is None or stage.size_bytes is None or stage.core_s is None:
        return "; no estimate: the size of its input is not known"
    last = "" if stage.last_s is None else f"; it last took {duration(stage.last_s)}"
    return (f"; about {_rounded(stage.rows):,} rows, {size(stage.size_bytes)}, {duration(stage.core_s)} of one core "
            f"({stage.basis}{last})")


def _rounded(rows: int) -> int:
    """Two digits are all that an estimate deserves."""
    digits = max(0, len(str(rows)) - 2)
    return round(rows, -digits)


def _total(forecast: Forecast) -> str:
    core_s = sum(stage.core_s or 0.0 for stage in forecast.stages)
    unknown = any(stage.to_do and stage.core_s is None for stage in forecast.stages)
    line = f"in all {'at least ' if unknown else ''}{duration(core_s)} of one core"
    if forecast.work_s is not None and forecast.cores is not None:
        line += f", {duration(forecast.work_s)} on {how_many(forecast.cores, 'core')}"
    return f"{line}; starting Spark and handing out tasks comes on top"
