"""One way to compile the hot loops: numba, releasing the GIL, with a machine-code cache that always finds a place.

numba caches next to the source file, else in the user's cache folder, and raises where neither can be written (a
read-only installation under a read-only home). A kernel must still work there, and preferably without compiling in
every worker process, so it falls back to a folder of this user under the temporary directory.

Kernels that call each other belong in one module: numba renews a cached kernel when its own file changes, not when
a callee's does. Give a kernel arrays from `readonly`, so that Arrow buffers and fresh arrays share one compilation.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound=np.generic)


def kernel(function: F) -> F:
    """Compiles `function` at its first call (nogil, strict IEEE arithmetic); later processes load it from the cache."""
    try:
        return _compiled(function, cache=True)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        return _cached_in(_private_folder(), function)


def readonly(values: npt.NDArray[T]) -> npt.NDArray[T]:
    """A contiguous read-only view (a copy only where `values` has gaps): numba compiles by mutability and layout."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def _compiled(function: F, *, cache: bool) -> F:
    return cast(F, numba.njit(function, cache=cache, nogil=True))


def _cached_in(folder: Path | None, function: F) -> F:
    if folder is None:
        return _compiled(function, cache=False)
    settings: Any = numba.config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(folder)  # read while decorating only
    try:
        return _compiled(function, cache=True)
    except RuntimeError:  # the source lies in an archive, or the temporary directory is read-only too
        return _compiled(function, cache=False)
    finally:
        settings.CACHE_DIR = before


def _private_folder() -> Path | None:
    """A folder only this user can write, or None: cached kernels are code, and the temporary directory is shared."""
    folder = Path(tempfile.gettempdir()) / f"curation-kernels-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return None
    trusted = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022
    return folder if trusted else None
