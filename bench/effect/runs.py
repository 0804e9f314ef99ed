"""Runs of arms, each kept in a file of its own, so that a killed experiment continues."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.data import ROOT
from bench.effect.settings import OUT, Setting, arm_names


def folder_of(setting: Setting, seed: int, size: int) -> Path:
    return OUT / setting.name / f"seed-{seed}" / f"pool-{size}"


def stored(setting: Setting, seed: int, size: int) -> dict[str, dict[str, Any]]:
    """Arm -> its finished run under just this setting."""
    found = {}
    for arm in arm_names():
        path = folder_of(setting, seed, size) / f"{arm}.json"
        if path.exists():
            run = json.loads(path.read_text(encoding="utf-8"))
            if run["setting"] == setting.to_json():
                found[arm] = run
    return found


def run_pool(setting: Setting, seed: int, size: int) -> None:
    """All arms of one seed and pool that are not stored yet, in this process."""
    missing = [arm for arm in arm_names() if arm not in stored(setting, seed, size)]
    if not missing:
        return
    import torch

    from bench.effect.selection import select
    from bench.effect.training import Task, train

    torch.set_num_threads(1 if setting.device == "cpu" else torch.get_num_threads())
    folder = folder_of(setting, seed, size)
    folder.mkdir(parents=True, exist_ok=True)
    task = Task.make(setting, seed, size)
    selection = select(task.pool, folder)
    for arm in missing:
        rows = selection.rows[arm]
        run = {
            "setting": setting.to_json(),
            "seed": seed,
            "pool": size,
            "arm": arm,
            "pairs": len(rows),
            "repetition": setting.samples / len(rows),
            "t": selection.thresholds.get(arm),
            "torch": torch.__version__,
            **train(task, rows),
        }
        _store(run, folder / f"{arm}.json")
        print(_line(run), flush=True)


def _line(run: dict[str, Any]) -> str:
    return (
        f"seed {run['seed']} pool {run['pool']:,} {run['arm']}: {run['pairs']:,} pairs seen {run['repetition']:.1f} "
        f"times, accuracy {run['overall']:.1f}% (head {run['head']:.1f}%, tail {run['tail']:.1f}%), "
        f"{run['wall_s']:.0f} s"
    )


def _store(run: dict[str, Any], path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def run_all(setting: Setting, seeds: Sequence[int], pools: Sequence[int], processes: int) -> None:
    """Every seed and pool in a process of its own, so many at once, whole seeds first.

    Raises CalledProcessError where one ends badly, after the others that had begun.
    """

    def one(seed: int, size: int) -> None:
        command = [sys.executable, "-m", "bench.effect", "--setting", setting.name, "--worker", str(seed), str(size)]
        subprocess.run(command, check=True, cwd=ROOT)

    with ThreadPoolExecutor(processes) as workers:
        waiting = [workers.submit(one, seed, size) for seed in seeds for size in pools]
        try:
            for done in waiting:
                done.result()
        finally:
            workers.shutdown(cancel_futures=True)
