"""python -m bench.effect [--setting cpu|gpu] [--pilot] [--seeds N ...] [--pools N ...] [--processes N] [--report]

Runs every arm of every seed and pool that has no stored result, and tells the results in bench/effect/results.json,
results.svg and README.md once all that were asked for are there. --report runs nothing. --pilot runs the seed that is
none of the experiment's and reports nothing. Needs torch and matplotlib. What is stored lies in bench/out/effect.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys

from bench.effect import report, runs
from bench.effect.settings import PILOT_SEED, SEEDS, SETTINGS, Setting


def main() -> int:
    arguments = _arguments()
    setting = SETTINGS[arguments.setting]
    try:
        if not arguments.report:
            _check(setting)
            if arguments.worker:
                runs.run_pool(setting, *arguments.worker)
                return 0
            seeds = [PILOT_SEED] if arguments.pilot else arguments.seeds or SEEDS
            runs.run_all(setting, seeds, arguments.pools or setting.pools, arguments.processes)
        if not arguments.pilot:
            for line in report.write(setting):
                print(line)
    except (ImportError, RuntimeError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError:
        print("error: a run ended badly, see above; the same command continues", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="cpu")
    parser.add_argument("--seeds", type=int, nargs="+", choices=SEEDS, metavar="SEED", help=f"of {SEEDS}; default all")
    parser.add_argument("--pools", type=int, nargs="+", metavar="PAIRS", help="of the setting's; default all")
    parser.add_argument("--processes", type=int, default=1, help="pools at once, one core each")
    parser.add_argument("--pilot", action="store_true", help=f"seed {PILOT_SEED} instead of the experiment's")
    parser.add_argument("--report", action="store_true", help="run nothing, tell what is stored")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    known = SETTINGS[arguments.setting].pools
    if unknown := set(arguments.pools or ()) - set(known):
        parser.error(f"--pools {min(unknown)}: the setting {arguments.setting} has {', '.join(map(str, known))}")
    if arguments.processes < 1:
        parser.error(f"--processes {arguments.processes}: at least one")
    return arguments


def _check(setting: Setting) -> None:
    """Raises ImportError without torch or matplotlib, RuntimeError without the setting's device."""
    missing = [module for module in ("torch", "matplotlib") if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(f"no {' and no '.join(missing)}: pip install {' '.join(missing)}")
    import torch

    if setting.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"the setting {setting.name} needs a GPU that torch sees (CUDA), and there is none")


if __name__ == "__main__":
    raise SystemExit(main())
