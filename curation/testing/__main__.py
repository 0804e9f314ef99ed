"""python -m curation.testing FOLDER: writes the demo's web there."""

from __future__ import annotations

import sys
from pathlib import Path

from curation.testing.web import build_web


def main() -> int:
    """Returns the exit code."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m curation.testing FOLDER\n")
        return 2
    web = build_web(Path(sys.argv[1]))
    sys.stdout.write(
        f"a web of {len(web.pages)} pages in {len(web.wats)} WARC and {len(web.wats)} WAT files "
        f"(one damaged on purpose): {web.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
