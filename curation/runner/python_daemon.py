"""Spark's daemon of Python workers, in silence about a JVM that closed its connection.

The JVM does that when a task fails or is cancelled. The workers it had then end, as they should, but Spark's daemon
prints each one's stack trace, on the user's terminal where Spark is local, above the one line that says what to do.
"""

import sys
import traceback
from typing import Any

from pyspark import daemon


class _Traceback:
    """The traceback module, but for what print_exc says of broken connections."""

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)

    @staticmethod
    def print_exc() -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            traceback.print_exc()


if __name__ == "__main__":
    vars(daemon)["traceback"] = _Traceback()
    daemon.manager()
