"""One way to compile the hot loops: numba, releasing the GIL, with a machine-code cache that always finds a place.

numba renews a cached kernel when its own file changes, not when the file of a kernel that it calls does. So the cache
is a folder named by a digest of all modules that compiled code is made of: any change begins a new one. It lies in
`__pycache__` beside the source, else in the user's cache folder, else in a private folder under the temporary
directory; where none can be written (or the source lies in an archive) every process compiles for itself.

Give a kernel arrays from `readonly`, so that Arrow buffers and fresh arrays share one compilation.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from curation.machine_cache import make_private, source_digest, user_folders

SOURCES = (
    "kernels",
    "balance/_kernels",
    "concepts/_intrinsics",
    "concepts/_sorting",
    "concepts/_symbols",
    "concepts/_token_kernels",
    "concepts/_trie_arrays",
    "concepts/_white_space",
    "concepts/prepare",
    "media/area",
    "media/video/content",
)
"""All modules with kernels, and all whose functions or constants end up in them."""

_KEPT = 4
"""Folders of other sources that are left in one place: a few releases or checkouts may share a home."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound=np.generic)

_decorating = threading.Lock()


def kernel(function: F) -> F:
    """Compiles `function` at its first call (nogil, strict IEEE arithmetic); later processes load it from the cache."""
    folder = _cache_folder(Path(function.__code__.co_filename))
    if folder is None:
        return _compiled(function, cache=False)
    settings: Any = numba.config
    with _decorating:  # numba reads its setting while decorating only
        before = settings.CACHE_DIR
        settings.CACHE_DIR = str(folder)
        try:
            return _compiled(function, cache=True)
        except RuntimeError:  # numba: "cannot cache function: no locator available"
            return _compiled(function, cache=False)
        finally:
            settings.CACHE_DIR = before


def readonly(values: npt.NDArray[T]) -> npt.NDArray[T]:
    """A contiguous read-only view (a copy only where `values` has gaps): numba compiles by mutability and layout."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def _compiled(function: F, *, cache: bool) -> F:
    return cast(F, numba.njit(function, cache=cache, nogil=True))


@cache
def _cache_folder(source: Path) -> Path | None:
    """Where kernels of this file are cached, in a folder only this user can write: cached kernels are code."""
    if not source.is_file():
        return None
    try:
        name = f"kernels-{source_digest(*SOURCES)}"
    except OSError:
        return None
    settings: Any = numba.config
    chosen = settings.CACHE_DIR
    first = Path(chosen) if chosen else source.parent / "__pycache__"
    for place in chain([first], filter(make_private, user_folders("kernels"))):
        if make_private(place / name):
            _remove_old(place, name)
            return place / name
    return None


def _remove_old(place: Path, name: str) -> None:
    """Leaves this folder and the newest others; a process that still uses one that goes makes it again."""
    with suppress(OSError):  # another process removes them, too
        others = [folder for folder in place.glob("kernels-*") if folder.name != name]
        for folder in sorted(others, key=lambda folder: folder.stat().st_mtime)[:-_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)
