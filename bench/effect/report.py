"""Stored runs to results.json, the figure, and the Results section of README.md: all of it, whatever it says."""

from __future__ import annotations

import json
import math
import platform
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.effect.runs import stored
from bench.effect.settings import FOLDER, SEEDS, SHARES, Setting, arm_names, percent
from bench.effect.statistics import GROUPS, Difference, differences

README = FOLDER / "README.md"
BEGIN, END = "<!-- results: made by python -m bench.effect --report -->", "<!-- /results -->"
Runs = Mapping[tuple[int, str], Mapping[str, Any]]
"""(seed, arm) -> its run, of one pool."""
_KEPT = ("seed", "arm", "pairs", "repetition", "t", *GROUPS, "loss", "wall_s")


def write(setting: Setting) -> list[str]:
    """Writes the three files (of the setting gpu beside those of cpu) and gives the verdicts in words.

    Raises FileNotFoundError where no seed's arms are all stored.
    """
    pools = {size: _runs(setting, size) for size in setting.pools}
    if not any(pools.values()):
        raise FileNotFoundError(f"no whole seed of the setting {setting.name} is stored: run python -m bench.effect")
    found = {size: differences(runs) for size, runs in pools.items()}
    suffix = "" if setting.name == "cpu" else f"-{setting.name}"
    path = FOLDER / f"results{suffix}.json"
    _replace(path, json.dumps(_facts(setting, pools, found), indent=1) + "\n")
    from bench.effect.figure import draw

    seen = {size: _repetitions(runs) for size, runs in pools.items() if runs}
    draw(found, seen, setting, FOLDER / f"results{suffix}.svg")
    if setting.name == "cpu":
        _replace(README, with_results(README.read_text(encoding="utf-8"), section(pools, found)))
    return [_said(size, difference) for size in pools for difference in found[size]]


def _runs(setting: Setting, size: int) -> Runs:
    """Of whole seeds: those of which every arm of this pool is there."""
    found = {seed: stored(setting, seed, size) for seed in SEEDS}
    whole = {seed: runs for seed, runs in found.items() if len(runs) == len(arm_names())}
    return {(seed, arm): run for seed, runs in whole.items() for arm, run in runs.items()}


def _facts(setting: Setting, pools: Mapping[int, Runs], found: Mapping[int, list[Difference]]) -> dict[str, Any]:
    return {
        "setting": setting.to_json(),
        "machine": {"cpu": platform.processor() or platform.machine(), "python": platform.python_version()},
        "torch": sorted({run["torch"] for runs in pools.values() for run in runs.values()}),
        "pools": {
            str(size): {
                "runs": [{key: _rounded(run[key]) for key in _KEPT} for run in runs.values()],
                "differences": [difference.to_json() for difference in found[size]],
            }
            for size, runs in pools.items()
        },
    }


def _repetitions(runs: Runs) -> dict[float, float]:
    """Tail share -> times that a pair of its balanced arm was seen, mean over seeds."""
    return {
        share: statistics.fmean(run["repetition"] for (_, arm), run in runs.items() if arm == _balanced(share))
        for share in SHARES
    }


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _said(size: int, difference: Difference) -> str:
    return (
        f"pool {size:,}, tail share {percent(difference.share)}%, against {difference.against}, {difference.group}: "
        f"{_interval(difference)}: {difference.verdict}"
    )


def _interval(difference: Difference) -> str:
    width = difference.half_width
    return f"{difference.mean:+.1f} ± {width:.1f}" if math.isfinite(width) else f"{difference.mean:+.1f}, one seed"


def with_results(page: str, lines: list[str]) -> str:
    """The page with these lines between its marks. Raises ValueError where the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END}: put them back")
    return "\n".join([before + begin, *lines, end + after])


def section(pools: Mapping[int, Runs], found: Mapping[int, list[Difference]]) -> list[str]:
    """Markdown: arms and differences of every pool."""
    lines = []
    for size, runs in pools.items():
        if runs:
            lines += ["", f"### Pool of {size:,}", "", *_arms(runs), "", *_table(runs, found[size])]
    total = sum(map(len, pools.values()))
    of = len(pools) * len(SEEDS) * len(arm_names())
    done = f"{total} of {of} runs are done and told here: seeds with all their arms. Differences are drawn in"
    return [f"{done} [results.svg](results.svg).", *lines, ""]


def _arms(runs: Runs) -> Iterator[str]:
    yield "| arm | t | pairs | seen | overall % | head % | tail % | seeds |"
    yield "|---|---|---|---|---|---|---|---|"
    for arm in arm_names():
        own = [run for (_, name), run in runs.items() if name == arm]
        if not own:
            continue
        t = f"{statistics.fmean(run['t'] for run in own):.0f}" if own[0]["t"] else ""
        pairs = statistics.fmean(run["pairs"] for run in own)
        scores = " | ".join(_spread([run[group] for run in own]) for group in GROUPS)
        yield f"| {arm} | {t} | {pairs:,.0f} | {_seen(own)} | {scores} | {len(own)} |"


def _spread(values: list[float]) -> str:
    deviation = f" (sd {statistics.stdev(values):.1f})" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{deviation}"


def _seen(own: list[Mapping[str, Any]]) -> str:
    return f"{statistics.fmean(run['repetition'] for run in own):.1f} times"


def _table(runs: Runs, found: list[Difference]) -> Iterator[str]:
    yield "| tail share | seen, balanced | against | seen | overall | head | tail |"
    yield "|---|---|---|---|---|---|---|"
    for share, against in dict.fromkeys((difference.share, difference.against) for difference in found):
        cells = [
            f"{_interval(difference)} **{difference.verdict}**"
            for difference in found
            if (difference.share, difference.against) == (share, against)
        ]
        other = against if against == "matched" else f"random-{percent(share)}"
        seen = [_seen([run for (_, arm), run in runs.items() if arm == name]) for name in (_balanced(share), other)]
        yield f"| {percent(share)}% | {seen[0]} | {against} | {seen[1]} | {' | '.join(cells)} |"


def _balanced(share: float) -> str:
    return f"balanced-{percent(share)}"


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
