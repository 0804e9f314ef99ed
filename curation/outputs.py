"""Where commands put what a user asked for: never into what they read, and in folders that are made for it."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from curation.errors import InputError


def keep_out(flag: str, to: str, *read: str, allowed: str | None = None) -> None:
    """Raises InputError where `to` is one of the folders or files that a command reads, or lies in one.

    Both may be local or URLs. allowed: the name of the one file directly in these folders that may be written.
    """
    for place in read:
        named, real = _place(to), _place(to, follow=True)
        root = _place(place, follow=True)
        if allowed is not None and named == f"{root}/{allowed}":
            continue  # it is replaced by its name, wherever a link of that name leads
        if any(f"{at}/".startswith(f"{root.rstrip('/')}/") for at in (named, real)):
            raise InputError(
                f"{flag} {to} lies in {place}, which this command only reads: name another place with {flag}"
            )


def _place(location: str, *, follow: bool = False) -> str:
    """The one name of a place. follow: a link's last part, too."""
    text = location.removeprefix("file://")
    if "://" in text:
        protocol, _, path = text.partition("://")
        return f"{protocol}://{posixpath.normpath(path)}"
    path_ = Path(text).expanduser().absolute()
    return str(path_.resolve() if follow or path_.name == ".." else path_.parent.resolve() / path_.name)


@contextmanager
def folders_above(file: Path) -> Iterator[None]:
    """Makes the folders above a local file; where the block fails, those that were made and are empty go again.

    Raises OSError where they cannot be made.
    """
    made = missing_above(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # says less than that a file is no folder
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(file)) from None
    try:
        yield
    except BaseException:
        remove_empty(made)
        raise


def missing_above(file: Path) -> list[Path]:
    """Folders above a local file that are not there, the deepest first."""
    return [above for above in file.parents if not above.exists()]


def remove_empty(folders: list[Path]) -> None:
    """Removes those of some folders that are empty, the deepest first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
