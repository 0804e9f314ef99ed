"""Text classifiers: fastText models by name, which refuse texts or are required to hold for them."""

from __future__ import annotations

from itertools import repeat

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import InputError
from curation.filters.files import Digest, local_copy
from curation.filters.models import NoModelError, read_labels
from curation.recipe.filters import Classifier

_BLOCK = 256  # texts whose predictions are Python objects at the same time: few, so that they stay in cache
_ALL_LABELS = -1
_END = "</s>"
_BREAKS = rf"[\n\r]|{_END}"


class TextClassifier:
    """One model with what the recipe asks of it."""

    def __init__(self, settings: Classifier, digest: Digest) -> None:
        """Raises InputError for a file that is missing or no whole supervised model, and for labels it has not."""
        self._required = settings.refuse is None
        self._labels = frozenset(settings.refuse or settings.require or ())
        self._min_score = settings.min_score
        self.verdict = f"classifier:{settings.name}"
        with local_copy(settings.model, digest) as path:
            try:
                known = read_labels(path)
                model = fasttext.load_model(path)
            except (NoModelError, ValueError, RuntimeError, OSError, MemoryError) as error:
                raise InputError(f"cannot use the model {settings.model}: {error}") from None
        if missing := sorted(self._labels - set(known)):
            some = ", ".join(sorted(known)[:20])
            raise InputError(f"classifier {settings.name}: its model has no label {missing[0]!a}; it has {some}")
        # The binding below Python's wrapper, one text a call: its batch call gives labels without scores.
        self._predict = model.f.predict

    def refused(self, texts: pa.StringArray) -> npt.NDArray[np.bool_]:
        """Which of some texts without nulls are refused. A text's answer depends on that text alone."""
        # fastText reads one line and needs its end; a written end mark would hide what follows it.
        lines = pc.binary_join_element_wise(pc.replace_substring_regex(texts, _BREAKS, " "), "\n", "")
        holds = np.zeros(len(lines), np.bool_)
        for start in range(0, len(lines), _BLOCK):
            block = lines.slice(start, _BLOCK).to_pylist()
            found = map(self._predict, block, repeat(_ALL_LABELS), repeat(self._min_score), repeat("replace"))
            holds[start : start + len(block)] = [
                any(label in self._labels for _, label in predictions) for predictions in found
            ]
        return ~holds if self._required else holds
