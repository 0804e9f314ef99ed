"""Models of transformers, by name or folder, on the device and in the precision that is asked for.

checkpoint = Checkpoint("openai/clip-vit-base-patch32", "image encoder")
model = checkpoint.model("AutoModel")

What goes wrong is one sentence: a missing extra, a model that is not there or of another kind, missing weights, no such
device. Code that comes with a model is never run.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from curation.errors import StageError

EXTRA: Final = "pip install 'curation[models]'"
_FAULTS: Final = (OSError, ValueError, ImportError, AttributeError, LookupError, TypeError, RuntimeError)
"""Of a name or files that are no model."""
_PACKAGES: Final = ("torch", "transformers", "PIL")
_DEVICES: Final = ("cuda", "mps")  # before cpu


def check_there(what: str, name: str) -> None:
    """Raises StageError where a package is missing that the model `name` needs; imports none."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise _missing(what, name, missing[0])


def _missing(what: str, name: str, package: str | None) -> StageError:
    return StageError(f"for the {what} {name} you need {package}: {EXTRA}")


def share_cores(tasks: int) -> None:
    """Threads of torch for one of so many processes that work side by side: more of them wait for each other.

    Without effect where torch is missing: who needs it says so.
    """
    with suppress(ImportError):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        import_module("torch").set_num_threads(max(1, cores // tasks))


class Checkpoint:
    """A saved model, and where it is to run. torch, transformers: the modules, imported only here."""

    def __init__(self, name: str, what: str, device: str = "auto", dtype: str = "auto") -> None:
        """name: as from_pretrained takes it; what: for messages; device: auto, cpu, cuda or mps; dtype: auto (float32
        on the cpu, else as it was saved), or one of torch's. Raises StageError.
        """
        self.name, self._what = name, what
        try:
            self.torch: Any = import_module("torch")
            self.transformers: Any = import_module("transformers")
            import_module("PIL")
        except ImportError as error:
            raise _missing(what, name, error.name) from None
        self.device = self._chosen(device)
        kept = "float32" if self.device == "cpu" else "auto"
        self._dtype = kept if dtype == "auto" else dtype

    def part(self, auto: str, **options: Any) -> Any:
        """What one of the Auto classes loads of it: AutoProcessor, AutoConfig ... Raises StageError."""
        try:
            kind = getattr(self.transformers, auto)
            return kind.from_pretrained(self.name, trust_remote_code=False, **options)
        except _FAULTS as error:
            words = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise StageError(f"the {self._what} {self.name} cannot be loaded: {words}") from None

    def model(self, auto: str, optional: str | None = None) -> Any:
        """The model, ready to be used. optional: in names of weights that it may lack; they are random then.

        `missing_optional` of it tells whether there are such. Raises StageError.
        """
        model, told = self.part(auto, output_loading_info=True, dtype=self._dtype)
        lacking = sorted(told["missing_keys"])
        if strange := [key for key in lacking if optional is None or optional not in key]:
            raise StageError(f"the {self._what} {self.name} lacks weights ({strange[0]} ...): give a complete one")
        model.missing_optional = bool(lacking)
        try:
            return model.eval().to(self.device)
        except RuntimeError as error:
            words = str(error).splitlines()[0]
            raise StageError(f"the {self._what} {self.name} cannot be put on {self.device}: {words}") from None

    def refuse(self, wanted: str) -> StageError:
        """For a model of another kind. wanted: what it should have been."""
        return StageError(f"the {self._what} {self.name} is none: give {wanted}")

    def _chosen(self, device: str) -> str:
        there = [name for name in _DEVICES if self._has(name)]
        if device == "auto":
            return there[0] if there else "cpu"
        if device != "cpu" and device not in there:
            found = ", ".join([*there, "cpu"])
            raise StageError(f"{self._what} {self.name}: no device {device} here, only {found}; set device to auto")
        return device

    def _has(self, device: str) -> bool:
        return bool(getattr(self.torch, device).is_available())
