"""One run at a time in a work folder, and one worker at a time for a unit that must not be done twice.

A process id lies: after a kill the number is reused, and the JVM lives on for seconds. So a run beats: it raises a
number in `_lease.json` every few seconds, and whoever finds a lease watches that number by its own clock. Clocks of
different machines are never compared.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from uuid import uuid4

from curation.errors import WorkFolderError
from curation.runner.units import worker_name
from curation.storage import Store, explain_os_error

RUN_FILE = "_lease.json"
BEAT_S = 2.0  # between two beats
DEAD_S = 8.0  # without a beat for so long, a run is taken for dead: four beats, so that a busy disk is no death


class Lease:
    """Held while a run changes the folder. Use as a context manager. file: what is held, below the folder."""

    def __init__(
        self,
        store: Store,
        file: str = RUN_FILE,
        *,
        beat_s: float = BEAT_S,
        dead_s: float = DEAD_S,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._store, self._file, self._beat_s, self._dead_s, self._say = store, file, beat_s, dead_s, say
        self._token = uuid4().hex
        self._beats = 0
        self._taken = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost: str | None = None

    def _content(self) -> bytes:
        return json.dumps({"token": self._token, "holder": worker_name(), "beat": self._beats}).encode()

    def _seen(self) -> bytes | None:
        try:
            return self._store.read(self._file)
        except FileNotFoundError:
            return None

    def _is_mine(self) -> bool:
        return _field(self._seen(), "token") == self._token

    @property
    def token(self) -> str:
        """Told apart from all other leases, of this folder or any."""
        return self._token

    def __enter__(self) -> Lease:
        if (holder := self.attempt()) is not None:
            raise WorkFolderError(
                f"another run ({holder}) is at work in {self._store.root}: wait for it or stop it, "
                "or choose another --work folder"
            )
        return self

    def attempt(self) -> str | None:
        """Takes the lease, once a holder that went silent is taken for dead; the name of one that proves alive."""
        while not self._taken and not self._store.create(self._file, self._content()):
            if (holder := self._living()) is not None:
                return holder
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return None

    def _living(self) -> str | None:
        """None once the present holder is gone; its name as soon as it proves alive."""
        first = self._seen()
        holder = _field(first, "holder")
        deadline = time.monotonic() + self._dead_s
        told = False
        while time.monotonic() < deadline:
            seen = self._seen()
            if seen is None or first is None:
                return None
            if seen != first:
                return holder
            if not told:
                self._say(f"a run ({holder}) left its lease; taking over if it stays silent for {self._dead_s:.0f} s")
                told = True
            self._stop.wait(min(0.25, self._beat_s / 4))
        if first is not None:
            self._take_over(first)
        return None

    def _take_over(self, dead: bytes) -> None:
        """Puts our own lease in the place of a dead one; of several that try, the last to write it has it."""
        if self._seen() != dead:
            return
        self._store.put(self._file, self._content())
        self._stop.wait(self._beat_s)  # until whoever else saw the same dead lease has written, too
        self._taken = self._is_mine()

    def _beat(self) -> None:
        """Beats until the end; a folder that cannot be written is lost once it would look dead to others."""
        failing_since: float | None = None
        while not self._stop.wait(self._beat_s):
            try:
                if not self._is_mine():
                    self.lost = f"another run took over {self._store.root}; this one stops"
                    return
                self._beats += 1
                self._store.put(self._file, self._content())
                failing_since = None
            except Exception as error:  # noqa: BLE001 - object stores raise what they like; none may end the beat unseen
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since >= self._dead_s - 2 * self._beat_s:
                    self.lost = _told(error, self._store.root)
                    return

    def check(self) -> None:
        """Raises WorkFolderError where the lease was lost: what follows must not be published."""
        if self.lost is None and not self._is_mine():
            self.lost = f"another run took over {self._store.root}; this one stops"
        if self.lost:
            raise WorkFolderError(self.lost)

    def __exit__(self, *exc: object) -> None:
        self.release()

    def release(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._is_mine():
            self._store.remove(self._file)


def _told(error: Exception, root: str) -> str:
    if isinstance(error, OSError):
        return explain_os_error(error, root)
    return f"the lease in {root} cannot be renewed: {' '.join(str(error).split())[:200]}"


def _field(lease: bytes | None, name: str) -> str:
    """A field of a lease's content; '?' where it is torn, which makes it nobody's."""
    try:
        return str(json.loads(lease or b"")[name])
    except (ValueError, KeyError, TypeError):
        return "?"
