"""Lists of refused hashes against a plain search, and the refusals they lead to."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.media.fingerprints import FLAT, hamming, phash
from curation.media.hash_lists import HashLists
from curation.media.image_decoding import decode
from curation.media.images import ImageProcessor
from curation.recipe import ImageSettings

HASHES = st.integers(0, 2**64 - 1)


def picture(seed: int = 7) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", cv2.resize(coarse, (80, 60)))[1].tobytes()


@given(st.lists(HASHES, max_size=20), HASHES, st.integers(0, 15), st.sets(st.integers(0, 63), max_size=17), st.data())
def test_nearest_is_that_of_a_plain_search(
    listed: list[int], value: int, reach: int, flips: set[int], data: st.DataObject
) -> None:
    if listed and data.draw(st.booleans()):  # near one of them
        value = data.draw(st.sampled_from(listed))
        for bit in flips:
            value ^= 1 << bit
    near = [other for other in listed if FLAT not in (value, other) and hamming(value, other) <= reach]
    expected = min(near, key=lambda other: (hamming(value, other), other), default=None)
    assert HashLists([], listed, reach).nearest(value) == expected


@given(st.lists(st.binary(min_size=32, max_size=32)), st.binary(min_size=32, max_size=32))
def test_files_are_found_by_all_their_bytes(listed: list[bytes], other: bytes) -> None:
    listed = [*listed, bytes(32), other[:31] + b"\0"]
    lists = HashLists(listed, [], 3)
    assert all(lists.has_file(digest.hex()) for digest in listed)
    assert lists.has_file(other.hex()) == (other in listed)


def test_files_of_hashes_are_read(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    digest = hashlib.sha256(b"x").hexdigest()
    first.write_bytes(b"\xef\xbb\xbf# taken down\r\n\r\n" + digest.upper().encode() + b"  # by request\r\n")
    second.write_text("00000000000000ff")
    lists = pickle.loads(pickle.dumps(HashLists.read([str(first), second.as_uri()], 2)))
    assert lists.has_pictures and lists.has_file(digest) and not lists.has_file("0" * 64)
    assert (lists.nearest(0xFC), lists.nearest(0xF8)) == (0xFF, None)
    assert not HashLists.read([str(first)], 2).has_pictures


@pytest.mark.parametrize("line", ["zz", "0" * 63, "0" * 17, "0x" + "0" * 16, "\x00", "é" * 64, "0" * 16 + " 1"])
def test_other_lines_are_named_by_their_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"# one\n{'0' * 16}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.txt, line 3: .* is no hash: write"):
        HashLists.read([str(path)], 3)


def test_bytes_of_any_kind_are_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "list.bin"
    path.write_bytes(np.random.default_rng(1).bytes(1 << 16))
    for location in (str(path), str(tmp_path / "missing"), str(tmp_path), "nonsense://x"):
        with pytest.raises(InputError):
            HashLists.read([location], 3)


@pytest.mark.parametrize("reach", [-1, 16])
def test_distance_is_bounded(reach: int) -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        HashLists([], [], reach)


@pytest.mark.parametrize("settings", [{}, {"keep_original": True}, {"disable_all_reencoding": True}])
def test_listed_media_are_refused(settings: dict[str, bool]) -> None:
    data = picture()
    digest, seen = hashlib.sha256(data).digest(), phash(decode(data))

    def refused(lists: HashLists) -> tuple[object, str]:
        found = ImageProcessor(ImageSettings(**settings), lists=lists)(data)
        assert found.sha256 == digest.hex() and (found.data is None) == (found.reason is not None)
        return found.reason, found.detail

    assert refused(HashLists([digest], [], 3)) == ("listed", "the SHA-256 of the file is on a list of refused ones")
    reason, detail = refused(HashLists([], [seen ^ 0b101], 2))
    assert reason == "listed" and detail.startswith("the picture is 2 bits from")
    assert refused(HashLists([], [seen ^ 0b101], 1)) == refused(HashLists([bytes(32)], [], 15)) == (None, "")


def test_a_listed_file_is_not_looked_into() -> None:
    lists = HashLists([hashlib.sha256(b"<html>").digest()], [], 0)
    assert ImageProcessor(ImageSettings(), lists=lists)(b"<html>").reason == "listed"
