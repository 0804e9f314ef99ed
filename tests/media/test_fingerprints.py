"""Perceptual hashes against the textbook transform, bands against their guarantee."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.fingerprints import FLAT, bands, hamming, luminance, phash, phash_of_luminance
from curation.media.image_decoding import decode
from curation.media.image_facts import RefusedImage

HASHES = st.integers(0, 2**64 - 1)


def test_bits_are_those_of_the_textbook_transform() -> None:
    luminances = np.random.default_rng(1).integers(0, 256, (20, 32, 32), dtype=np.uint8)
    for values, found in zip(luminances, phash_of_luminance(luminances), strict=True):
        waves = cv2.dct(values.astype(np.float64))  # scaled by axis, which is undone where it differs
        waves[0] *= np.sqrt(2)
        waves[:, 0] *= np.sqrt(2)
        places = sorted(((u, v) for u in range(11) for v in range(11) if u + v), key=lambda at: (sum(at), at))[:64]
        chosen = np.array([waves[place] for place in places])
        expected = "".join("01"[int(value > np.median(chosen))] for value in chosen)
        assert hamming(int(expected, 2), int(found)) <= 1  # rounded cosines may swap two neighbours of the median


def test_golden_vectors() -> None:
    y, x = np.mgrid[:32, :32]
    pictures = [
        ((x * y) // 4).clip(0, 255),
        (((x - 16) ** 2 + (y - 16) ** 2) // 3).clip(0, 255),
        (x * 37 + y * 91) % 256,
    ]
    found = [f"{phash(picture.astype(np.uint8)):016x}" for picture in pictures]
    assert found == ["102805400aa00155", "ecc6183030180600", "86ab944ee8a3fe05"]


@pytest.mark.parametrize("grey", [0, 127, 255])
def test_one_colour_is_flat_even_with_noise(grey: int) -> None:
    picture = np.full((300, 200, 3), grey, np.uint8)
    picture[10:40, 10:40] ^= 1
    assert phash(picture) == FLAT


def test_grey_and_colour_agree_and_aspect_does_not_count() -> None:
    grey = np.random.default_rng(2).integers(0, 256, (64, 64), dtype=np.uint8)
    assert phash(cv2.merge([grey] * 3)) == phash(grey) == phash(np.repeat(grey, 2, axis=1)) != FLAT
    assert luminance(grey).shape == (32, 32)


@given(HASHES, st.sets(st.integers(0, 63), max_size=8), st.integers(2, 16))
def test_few_differing_bits_leave_a_shared_band(one: int, flips: set[int], count: int) -> None:
    other = one
    for bit in flips:
        other ^= 1 << bit
    assert hamming(one, other) == len(flips)
    if len(flips) < count and FLAT not in (one, other):
        assert set(bands(one, count)) & set(bands(other, count))


@given(HASHES.filter(bool), st.integers(2, 16))
def test_bands_hold_the_whole_hash_and_never_collide(one: int, count: int) -> None:
    keys = bands(one, count)
    assert [key >> 32 for key in keys] == list(range(count))
    widths = [64 * (band + 1) // count - 64 * band // count for band in range(count)]
    bits = "".join(f"{key & 0xFFFFFFFF:0{width}b}" for key, width in zip(keys, widths, strict=True))
    assert int(bits, 2) == one and len(bits) == 64


def test_flat_has_no_band_and_numbers_of_bands_are_bounded() -> None:
    assert bands(FLAT) == []
    for count in (1, 17):
        with pytest.raises(ValueError, match="2 to 16"):
            bands(5, count)


def changed(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Copies that people make of a picture."""
    height, width = picture.shape[:2]
    low = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_UNCHANGED)
    return {
        "re-encoded": low,
        "half": cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA),
        "brighter": np.clip(picture * 1.1, 0, 255).astype(np.uint8),
        "cropped": np.ascontiguousarray(picture[height // 40 : -(height // 40), width // 40 : -(width // 40)]),
    }


def test_copies_of_real_pictures_are_near_and_other_pictures_are_not(real_data: Path) -> None:
    pictures = []
    for path in sorted((real_data / "media" / "images").rglob("*.*")):
        try:
            picture = decode(path.read_bytes())
        except RefusedImage:
            continue
        if min(picture.shape[:2]) >= 100:
            pictures.append(picture)
    hashes = [phash(picture) for picture in pictures]
    assert len(hashes) >= 30 and FLAT not in hashes
    assert min(hamming(one, other) for one, other in combinations(hashes, 2)) > 14
    assert not any(set(bands(one)) & set(bands(other)) for one, other in combinations(hashes, 2))
    least = {"re-encoded": 0.95, "half": 1.0, "brighter": 1.0, "cropped": 0.85}
    for name, share in least.items():
        near = [hamming(phash(changed(p)[name]), own) <= 8 for p, own in zip(pictures, hashes, strict=True)]
        assert np.mean(near) >= share, name


@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_luminances_are_the_exact_means_by_area(height: int, width: int, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    fine = np.repeat(np.repeat(grey, 32, axis=0), 32, axis=1).reshape(32, height, 32, width).astype(np.int64)
    assert (luminance(grey) == (2 * fine.sum(axis=(1, 3)) + grey.size) // (2 * grey.size)).all()


def test_luminances_of_a_large_picture_are_opencvs_by_area() -> None:
    colours = cv2.resize(np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8), (1201, 803))
    peer = cv2.resize(cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(luminance(colours).astype(int) - peer).max() <= 1  # it rounds as it goes
    assert luminance(np.full((5, 70_000), 255, np.uint8)).min() == 255
