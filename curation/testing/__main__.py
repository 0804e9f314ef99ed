"""The demo's web and the server of its images.

python -m curation.testing FOLDER               writes the web there
python -m curation.testing serve -- COMMAND...  runs a command, with {mirror} in its arguments replaced by the server's
                                                host:port; both end together, with the command's exit code
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from curation.testing.mirror import Mirror
from curation.testing.web import build_web

_USAGE = "usage: python -m curation.testing FOLDER\n       python -m curation.testing serve -- COMMAND...\n"


def main() -> int:
    """Returns the exit code."""
    arguments = sys.argv[1:]
    if arguments[:2] == ["serve", "--"] and len(arguments) > 2:
        return serve(arguments[2:])
    if len(arguments) != 1 or arguments == ["serve"]:
        sys.stderr.write(_USAGE)
        return 2
    web = build_web(Path(arguments[0]))
    sys.stdout.write(
        f"a web of {len(web.pages)} pages in {len(web.wats)} WARC and {len(web.wats)} WAT files "
        f"(one damaged on purpose): {web.folder}\n"
    )
    return 0


def serve(command: Sequence[str]) -> int:
    """Runs a command beside the server and returns its exit code; 128 + n where signal n ended it, as shells do.

    Ctrl-C reaches the command by itself, and is waited for; SIGTERM is passed on.
    """
    signal.signal(signal.SIGINT, lambda number, frame: None)  # not inherited: the command has its own
    with Mirror() as mirror:
        try:
            process = subprocess.Popen([argument.replace("{mirror}", mirror.address) for argument in command])
        except OSError as error:
            sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
            return 127
        signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
        code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
