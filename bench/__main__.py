"""python -m bench [ROW ...] [--rounds N] [--out FILE] [--readme]: runs the rows, all of them without names.

Real data is read where the variable CURATION_REAL_DATA points (default ../shared/data). Rows without theirs, or without
their peers, are left out; if one of them was named, the exit code is 1. Results go into bench/results.json and from
there into the README; with --readme alone nothing is run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.data import ROOT
from bench.harness import Result, measure, spread, store, with_table
from bench.rows import ROWS

RESULTS, README = ROOT / "bench" / "results.json", ROOT / "README.md"


def main() -> int:
    arguments = _arguments()
    if arguments.readme:
        _write_readme()
        return 0
    left_out = []
    for name in arguments.rows or ROWS:
        try:
            result = measure(ROWS[name], arguments.rounds, tell=print if arguments.verbose else lambda _: None)
        except (FileNotFoundError, ImportError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            left_out.append(name)
            continue
        print("\n".join(_said(result)))
        store([result], arguments.out)
        if arguments.out.resolve() == RESULTS:
            _write_readme()
    return 1 if arguments.rows and left_out else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--readme", action="store_true", help="run nothing, put bench/results.json into the README")
    parser.add_argument("--verbose", action="store_true", help="say what every run cost")
    arguments = parser.parse_args()
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: at least one round has to be measured")
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}: there are {', '.join(ROWS)}")
    return arguments


def _said(result: Result) -> list[str]:
    lines = []
    for peer in result.peers:
        ratio = spread(result.ratios(peer))
        lines.append(
            f"{result.row.name}: {peer} costs {ratio['median']:.2f} times what ours does "
            f"({ratio['min']:.2f} to {ratio['max']:.2f}; goal at least {result.row.goals[peer]:g})"
        )
    return lines


def _write_readme() -> None:
    page = README.read_text(encoding="utf-8")
    README.write_text(with_table(page, json.loads(RESULTS.read_text())), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
