"""Matching by a trie over tokens, or over characters: two probes of one cache line for most symbols of a text.

A form with a space at both ends is in the prepared text exactly where its tokens, parted at single spaces, follow each
other among the text's tokens; any other form is where its characters do. Preparing happens on the way, over Arrow's
own buffers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.concepts._trie_arrays import PADDING, Ids, Ints, Texts, Trie


class TokenTrie:
    """Kernel of `curation.concepts.Matcher`, of forms that are tokens or (`characters`) any. Releases the GIL."""

    def __init__(self, trie: Trie, *, characters: bool, strip: bool) -> None:
        self._trie = trie
        self._characters = characters
        self._strip = strip

    def match(self, texts: pa.StringArray) -> tuple[Ints, Ids]:
        """See `curation.concepts.matcher.Kernel`."""
        from curation.concepts._token_kernels import scan

        counts = np.zeros(len(texts), np.int64)
        if len(texts) == 0:
            return counts, np.zeros(0, np.int32)
        data, offsets = _padded(texts)
        return counts, scan(Texts(data, offsets, self._strip), self._characters, self._trie, counts)


def _padded(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Arrow's own bytes and offsets where PADDING bytes follow the last text, else a copy where they do."""
    from curation.kernels import readonly

    _, offset_buffer, buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(buffer or b"", np.uint8)
    if len(data) < int(offsets[-1]) + PADDING:
        data = np.concatenate([data[offsets[0] : offsets[-1]], np.zeros(PADDING, np.uint8)])
        offsets = offsets - offsets[0]
    return readonly(data), readonly(offsets)
