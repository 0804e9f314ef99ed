"""What stands for a URL, a file or a text when two sets are compared: 128 bits each, equal where these are the same.

    url      media_id of its comparable form: a player's URL in its canonical form (curation.crawl.players), scheme and
             host in lower case, no fragment, at least / as path
    sha256   the first 128 bits of it
    text     xxh3 of its letters and digits alone, after NFKC and case folding

That two different ones of 10**9 share a key has a chance below 10**-10 (media_id has 96 bits; the others less still).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha224
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from curation.crawl.players import canonical
from curation.crawl.urls import HTTP_URL
from curation.filters.urls import normal_url
from curation.text.arrays import as_strings

Keys = npt.NDArray[np.uint64]
"""(n, 2)."""

MEDIA_ID = r"^[0-9a-fA-F]{24}$"
SHA256 = r"^[0-9a-fA-F]{64}$"
URL = "^" + HTTP_URL
"""What can be compared looks like this (RE2)."""

_NO_LETTERS = re.compile(r"[\W_]+")
_MEDIA_ID_BYTES = 12  # 24 hex digits
_NIBBLES = np.full(256, 255, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)
_NIBBLES[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16, dtype=np.uint8)


class KeySet:
    """Distinct keys: 16 bytes each; a binary search to find one."""

    def __init__(self, parts: Iterable[Keys]) -> None:
        keys = np.concatenate([np.zeros((0, 2), np.uint64), *parts])
        keys = keys[np.lexsort((keys[:, 1], keys[:, 0]))]
        first = np.ones(len(keys), bool)
        first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        self._high, self._low = (np.ascontiguousarray(keys[first, half]) for half in (0, 1))

    def __len__(self) -> int:
        return len(self._high)

    def has(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of (n, 2) keys are among them."""
        found = np.zeros(len(keys), bool)
        if not len(self) or not len(keys):
            return found
        order = np.argsort(keys[:, 0])  # asked in order, the search stays in cache
        high, low = keys[order, 0], keys[order, 1]
        at = np.searchsorted(self._high, high)
        open_ = np.arange(len(keys))
        while len(open_):  # once, but where two keys share their first 64 bits
            inside = at[open_] < len(self)
            open_ = open_[inside]
            open_ = open_[self._high[at[open_]] == high[open_]]
            same = self._low[at[open_]] == low[open_]
            found[order[open_[same]]] = True
            open_ = open_[~same]
            at[open_] += 1
        return found

    def content(self) -> bytes:
        """The keys as bytes, for a digest."""
        return self._high.tobytes() + self._low.tobytes()


def comparable_url(url: str) -> str:
    """The form in which the URLs of two sets are compared."""
    url = url.strip()
    player = canonical(url)
    return normal_url(url if player is None else player.url)


def url_keys(urls: pa.Array) -> Keys:
    """Keys of absolute URLs, none null."""
    forms = (comparable_url(url).encode(errors="surrogatepass") for url in as_strings(urls).to_pylist())
    return _of_digests([sha224(form).digest()[:_MEDIA_ID_BYTES] for form in forms])


def media_id_keys(media_ids: pa.Array) -> Keys:
    """Keys of ids of 24 hex digits, none null: that of a URL is the same where its comparable form is as it stands."""
    digits = _hex_bytes(media_ids, 2 * _MEDIA_ID_BYTES)
    return _of_bytes(np.pad(digits, ((0, 0), (0, 16 - _MEDIA_ID_BYTES))))


def sha256_keys(hashes: pa.Array) -> Keys:
    """Keys of SHA-256 of 64 hex digits, none null."""
    return _of_bytes(_hex_bytes(hashes, 64)[:, :16])


def comparable_text(text: str) -> str:
    """The letters and digits of a text, in lower case: what whole texts are compared by."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _NO_LETTERS.sub("", folded)


def comparable_texts(texts: pa.Array) -> pa.StringArray:
    """`comparable_text` of each text, none null; ASCII, which is most, without a Python object."""
    texts = as_strings(texts)
    plain = pc.string_is_ascii(texts)
    short = pc.replace_substring_regex(pc.ascii_lower(texts.filter(plain)), "[^a-z0-9]+", "")
    if len(short) == len(texts):
        return short
    others = pa.array(map(comparable_text, texts.filter(pc.invert(plain)).to_pylist()), pa.string())
    both = pa.concat_arrays([short, others])
    places = np.argsort(~np.asarray(plain), kind="stable")  # of each in `both`
    return both.take(pa.array(np.argsort(places, kind="stable")))


def text_keys(texts: pa.Array) -> Keys:
    """Keys of comparable texts, none null."""
    return _of_digests([xxhash.xxh3_128_digest(text) for text in texts.cast(pa.binary()).to_pylist()])


def _of_digests(digests: list[bytes]) -> Keys:
    size = len(digests[0]) if digests else 16
    found = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), size)
    return _of_bytes(np.pad(found, ((0, 0), (0, 16 - size))))


def _of_bytes(found: npt.NDArray[np.uint8]) -> Keys:
    return np.ascontiguousarray(found).view(np.dtype(">u8")).astype(np.uint64)


def _hex_bytes(column: pa.Array, digits: int) -> npt.NDArray[np.uint8]:
    """Texts of `digits` hex digits each, none null, as (n, digits / 2) bytes. Raises ValueError for others."""
    column = as_strings(column)
    if pc.any(pc.not_equal(pc.binary_length(column), digits), min_count=0).as_py():
        raise ValueError(f"an id does not have {digits} hex digits")
    if not len(column):
        return np.zeros((0, digits // 2), np.uint8)
    _, offsets, data = column.buffers()
    start = int(np.frombuffer(offsets, np.int32)[column.offset])
    signs: Any = np.frombuffer(data, np.uint8)[start : start + digits * len(column)]
    halves = _NIBBLES[signs].reshape(len(column), digits)
    if (halves == 255).any():
        raise ValueError(f"an id does not have {digits} hex digits")
    packed: npt.NDArray[np.uint8] = halves[:, ::2] << 4 | halves[:, 1::2]
    return packed
