"""One Arrow type for texts, whatever a file or an engine delivers."""

from __future__ import annotations

import pyarrow as pa


def as_strings(texts: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """The same texts as one string array.

    texts: string, large_string, string_view, null, a dictionary of these, or chunks of these; other types raise
    TypeError.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    kind = texts.type
    if pa.types.is_string(kind):
        return texts
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return texts.cast(pa.string())
    raise TypeError(f"texts are {kind}, not strings: cast them to pa.string() first")
