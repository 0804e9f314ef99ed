"""python -m bench [ROW ...] [--rounds N] [--out bench/results.json]: runs the rows, all of them without names.

Real data is read where the variable CURATION_REAL_DATA points (default ../shared/data); rows without theirs are left
out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.harness import measure, spread, store
from bench.rows import ROWS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--out", type=Path, default=Path("bench/results.json"))
    parser.add_argument("--verbose", action="store_true", help="say what every run cost")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}: there are {', '.join(ROWS)}")
    for name in arguments.rows or ROWS:
        try:
            result = measure(ROWS[name], arguments.rounds, tell=print if arguments.verbose else lambda _: None)
        except (FileNotFoundError, ImportError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        for peer in result.peers:
            ratio = spread(result.ratios(peer))
            print(
                f"{name}: {ratio['median']:.2f} times better than {peer} ({ratio['min']:.2f} to {ratio['max']:.2f}; "
                f"goal {result.row.goals[peer]:g})"
            )
        store([result], arguments.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
