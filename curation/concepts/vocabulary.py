"""A vocabulary: the ordered list of entries of one language that texts are matched against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts.vocabulary_files import read_entries
from curation.errors import VocabularyError
from curation.recipe import Definition

MAX_ENTRIES = 2**31
"""entry_id is an int32 that counts from 0."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Entries in order; an entry's id is its position.

    entries: pa.StringArray without nulls. definition: how an entry is padded, see `curation.concepts.prepare`.
    duplicates_dropped: repeated entries that `load` left out.
    """

    entries: pa.StringArray
    lang: str
    definition: Definition
    duplicates_dropped: int = 0

    @classmethod
    def from_entries(cls, entries: Iterable[str], lang: str = "en", *, definition: Definition = "v1") -> Vocabulary:
        """Keeps every entry where it stands, repeated ones too, so that ids are the caller's positions.

        Raises VocabularyError for no entries, more than 2**31, anything that is no string, a wrong definition.
        """
        return cls(_string_array(entries, f"vocabulary {lang!r}"), lang, _checked(definition))

    @classmethod
    def load(cls, location: str, lang: str, *, definition: Definition = "v1") -> Vocabulary:
        """Reads .txt, .tsv, .json (each also .gz) or .parquet, local or by fsspec URL, `starter:LANG` or `demo:LANG`.

        What the formats hold: see `curation.concepts.vocabulary_files`. Of repeated entries the first is kept.
        Raises VocabularyError where the file is missing, unreadable, malformed or without entries.
        """
        _checked(definition)
        found, ids_are_fixed = read_entries(location)
        entries = _string_array(found, f"vocabulary {location}")
        distinct = entries.unique()
        dropped = len(entries) - len(distinct)
        if dropped and ids_are_fixed:
            raise VocabularyError(
                f"vocabulary {location}: {dropped} repeated entries, but its entry_id column fixes every id: "
                "drop the repeated rows and number the rest anew"
            )
        return cls(distinct, lang, definition, dropped)

    @classmethod
    def starter(cls, lang: str, *, definition: Definition = "v1") -> Vocabulary:
        """The starter vocabulary that comes with the package; sources and licences: metadata/README.md.

        Raises VocabularyError, which names the languages there are, for another one.
        """
        return cls.load(f"starter:{lang}", lang, definition=definition)

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that change with the language, the definition or any entry."""
        head = json.dumps([self.lang, self.definition, len(self.entries)]).encode()
        lengths = pc.binary_length(self.entries).to_numpy(zero_copy_only=False)
        text = pc.binary_join(pa.ListArray.from_arrays([0, len(self.entries)], self.entries), "")[0].as_buffer()
        digest = hashlib.sha256(head)
        digest.update(lengths.astype("<i4").tobytes())
        digest.update(text)
        return digest.hexdigest()[:32]


def _checked(definition: Definition) -> Definition:
    if definition not in get_args(Definition):
        raise VocabularyError(f"unknown definition {definition!r}: choose one of {', '.join(get_args(Definition))}")
    return definition


def _string_array(entries: Iterable[str] | pa.Array | pa.ChunkedArray, name: str) -> pa.StringArray:
    if isinstance(entries, str):
        raise VocabularyError(f"{name}: got one string, not a list of entries: put it into a list")
    if isinstance(entries, pa.Array | pa.ChunkedArray):
        array = _cast(entries, name)
    else:
        listed = list(entries)
        for position, entry in enumerate(listed):
            if not isinstance(entry, str):
                raise VocabularyError(f"{name}: entry {position} is {entry!r:.60}, not a string: write it as one")
        try:
            array = pa.array(listed, pa.string())
        except UnicodeEncodeError as error:
            raise VocabularyError(f"{name}: {error.object!r:.60} holds half a character: repair the list") from None
    if not isinstance(array, pa.StringArray):
        raise VocabularyError(f"{name}: more than 2 GiB of text: split the list")
    if len(array) == 0:
        raise VocabularyError(f"{name} has no entries: give at least one")
    if len(array) > MAX_ENTRIES:
        raise VocabularyError(f"{name} has {len(array)} entries, ids reach {MAX_ENTRIES}: shorten it")
    return array


def _cast(entries: pa.Array | pa.ChunkedArray, name: str) -> pa.Array:
    kind = entries.type.value_type if pa.types.is_dictionary(entries.type) else entries.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise VocabularyError(f"{name}: entries are {entries.type}, not strings: write them as strings")
    if entries.null_count:
        raise VocabularyError(f"{name}: {entries.null_count} entries are null: remove them")
    try:
        chunks = entries.chunks if isinstance(entries, pa.ChunkedArray) else [entries]
        return pa.concat_arrays([pa.array([], pa.string()), *(chunk.cast(pa.string()) for chunk in chunks)])
    except pa.ArrowInvalid as error:
        raise VocabularyError(f"{name}: entries cannot be held as strings ({error}): split the list") from None
