"""Where this machine keeps what can be made again: compiled kernels and compiled vocabularies."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).parent


def source_digest(*modules: str) -> str:
    """16 hex digits that change with the source of any of these modules, named as in "concepts/prepare".

    Raises OSError where they are no files, as in an archive that Python imports from.
    """
    digest = hashlib.sha256()
    for module in modules:
        source = (PACKAGE / f"{module}.py").read_bytes()
        digest.update(f"{module} {len(source)} ".encode() + source)
    return digest.hexdigest()[:16]


def user_folders(name: str) -> list[Path]:
    """`curation/NAME` in the user's cache folder, then one under the temporary directory, as far as there are such."""
    folders = []
    with suppress(RuntimeError, OSError):  # no home, or links in a circle
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folders.append(Path(base).resolve() / "curation" / name)
    with suppress(OSError):  # no temporary directory
        folders.append(Path(tempfile.gettempdir()) / f"curation-{name}-{os.getuid()}")
    return folders


def is_private(facts: os.stat_result) -> bool:
    """No link, this user's, and nobody else may write it: what programs load from the cache is trusted."""
    mode = facts.st_mode
    return not stat.S_ISLNK(mode) and facts.st_uid == os.getuid() and not mode & (stat.S_IWGRP | stat.S_IWOTH)


def make_private(folder: Path) -> bool:
    """Makes the folder, for this user alone, where it is not there yet; whether it is private and can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(folder.lstat()):
            return False
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
