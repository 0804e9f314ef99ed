"""Every real caption file against its language's vocabulary: exactly what pyahocorasick finds, as MetaCLIP uses it."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path

import ahocorasick
import pyarrow as pa
import pytest

from curation.concepts import Matcher, Vocabulary, pad, prepare

TRANSLATED = "xflickrco_iglue_test_8lang.jsonl.gz"
FILES = [
    ("flickr8k.token.txt.gz", "en"), ("mscoco_karpathy_val.json.gz", "en"),
    *((f"multi30k_train.{lang}.txt.gz", lang) for lang in ("de", "en", "fr")),
    *((TRANSLATED, lang) for lang in ("de", "en", "es", "id", "ja", "ru", "tr", "zh")),
]  # fmt: skip


def captions(folder: Path, name: str, lang: str) -> list[str]:
    text = gzip.decompress((folder / "captions" / name).read_bytes()).decode()
    if name.endswith(".json.gz"):
        return [said for row in json.loads(text) for said in row["captions"]]
    lines = text.splitlines()
    if name == TRANSLATED:
        return [said for row in map(json.loads, lines) if row["lang"] == lang for said in row["sentences"]]
    return [line.partition("\t")[2] for line in lines] if name.startswith("flickr8k") else lines


@lru_cache(maxsize=2)
def vocabulary(folder: Path, lang: str, definition: str) -> tuple[Vocabulary, ahocorasick.Automaton]:
    location = str(folder / "vocab" / "union_real_vocab.tsv.gz") if lang == "en" else f"starter:{lang}"
    words = Vocabulary.load(location, lang, definition=definition)  # type: ignore[arg-type]
    ids: dict[str, list[int]] = {}
    for entry_id, entry in enumerate(words.entries.to_pylist()):
        ids.setdefault(pad(entry, words.definition), []).append(entry_id)
    automaton = ahocorasick.Automaton()
    for form, entry_ids in ids.items():
        automaton.add_word(form, entry_ids)
    automaton.make_automaton()
    return words, automaton


@pytest.mark.slow
@pytest.mark.parametrize("definition", ["v1", "v2"])
@pytest.mark.parametrize(("name", "lang"), sorted(FILES, key=lambda file: file[1]))
def test_pyahocorasick_finds_the_same(real_data: Path, name: str, lang: str, definition: str) -> None:
    words, automaton = vocabulary(real_data, lang, definition)
    texts = captions(real_data, name, lang)
    expected = [
        sorted({entry_id for _, ids in automaton.iter(prepare(text, words.definition)) for entry_id in ids})
        for text in texts
    ]
    assert Matcher(words).match(pa.array(texts)).to_pylist() == expected
    assert len(texts) >= 1000
    assert sum(map(len, expected)) > 0 or (lang, definition) == ("ja", "v1")  # which has no blanks to match between
