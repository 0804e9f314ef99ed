"""Shrinking by area: the bytes of cv2's INTER_AREA, whatever the sizes, and cv2 where they could be others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media import area
from curation.media.area import shrink
from curation.media.resizing import PixelResizer


def expected(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def asked_of_cv2(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """The sizes that were handed to cv2."""
    asked: list[tuple[int, int]] = []
    resize = cv2.resize
    assert area._agrees()  # which asks cv2 once

    def counted(pixels: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
        asked.append(size)
        return resize(pixels, size, interpolation=interpolation)

    monkeypatch.setattr(cv2, "resize", counted)
    yield asked


@st.composite
def shrinkings(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    pixels = noise(height, width, draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        pixels[:] = draw(st.sampled_from([0, 1, 127, 254, 255]))
    elif draw(st.booleans()):
        pixels = (pixels > 127) * np.uint8(255)
    return pixels, draw(st.integers(1, width)), draw(st.integers(1, height))


@settings(max_examples=600, deadline=None)
@given(shrinkings())
@pytest.mark.slow
def test_shrunk_pictures_are_those_of_cv2(shrinking: tuple[np.ndarray, int, int]) -> None:
    assert np.array_equal(shrink(*shrinking), expected(*shrinking))


SIZES = [(1200, 900), (4000, 3000), (1080, 1920), (1023, 767), (640, 427), (257, 256), (3, 5000), (5000, 2)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("side", [1, 2, 255, 256])
def test_sizes_of_photographs(width: int, height: int, side: int, asked_of_cv2: list[tuple[int, int]]) -> None:
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = noise(height, width)
    ours = shrink(pixels, *size)
    whole = width % size[0] == height % size[1] == 0
    assert len(asked_of_cv2) == whole  # else nothing is compared
    assert np.array_equal(ours, expected(pixels, *size))


def test_real_photographs(real_data: Path) -> None:
    seen = 0
    for path in sorted((real_data / "media" / "images").rglob("*.[jp][pn]g")):
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            continue
        for width, height in ((97, 101), (256, 192), (192, 256)):
            assert np.array_equal(shrink(pixels, width, height), expected(pixels, width, height)), path.name
        seen += 1
    assert seen > 20


@pytest.mark.parametrize(
    "view",
    [
        lambda p: p[::2, 1::3],
        lambda p: p[::-1, ::-1],
        lambda p: p[..., ::-1],
        lambda p: p.transpose(1, 0, 2),
        np.asfortranarray,
        lambda p: p[5:-7, 9:-3],
    ],
)
def test_strided_views(view: object) -> None:
    pixels = view(noise(211, 173))  # type: ignore[operator]
    before = pixels.copy()
    assert np.array_equal(shrink(pixels, 31, 47), expected(np.ascontiguousarray(pixels), 31, 47))
    assert (pixels == before).all()


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        (noise(60, 80), (40, 20)),  # two whole scales
        (noise(60, 80), (80, 60)),
        (noise(60, 80), (90, 50)),
        (noise(60, 80), (70, 61)),
        (noise(60, 80)[..., 0], (33, 21)),
        (np.repeat(noise(60, 80), 2, axis=2)[..., :4], (33, 21)),
        (noise(60, 80).astype(np.uint16), (33, 21)),
        (noise(60, 80).astype(np.float32), (33, 21)),
    ],
)
def test_what_is_handed_to_cv2(pixels: np.ndarray, size: tuple[int, int], asked_of_cv2: list[tuple[int, int]]) -> None:
    pixels = np.ascontiguousarray(pixels)
    assert np.array_equal(shrink(pixels, *size), expected(pixels, *size))
    assert asked_of_cv2 == [size, size]


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_sizes_that_are_none_raise_as_cv2_does(size: tuple[int, int]) -> None:
    with pytest.raises(cv2.error):
        shrink(noise(9, 9), *size)


def test_no_rows_raise_as_cv2_does() -> None:
    with pytest.raises(cv2.error):
        shrink(noise(0, 9), 3, 3)


def test_another_opencv_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that computes otherwise, as with fused multiplications."""
    resize = cv2.resize
    monkeypatch.setattr(cv2, "resize", lambda *given, **more: resize(*given, **more) ^ 1)
    area._agrees.cache_clear()
    try:
        assert not area._agrees()
        assert np.array_equal(shrink(noise(60, 80), 33, 21), expected(noise(60, 80), 33, 21))
    finally:
        monkeypatch.undo()
        area._agrees.cache_clear()
    assert area._agrees()


@pytest.mark.parametrize("mode", ["keep_ratio", "center_crop", "border", "keep_ratio_largest"])
def test_the_resizer_shrinks_with_it(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr("curation.media.resizing.shrink", lambda *given: made.append(given[1:]) or shrink(*given))
    options = {"image_size": 50, "resize_mode": mode, "resize_only_if_bigger": False, "encode_format": "png"}
    resizer = PixelResizer(options | {"encode_quality": 1})
    stored, _, _ = resizer(noise(120, 170), [], None)
    size = (71, 50) if mode in ("keep_ratio", "center_crop") else (50, 35)
    assert made == [size]
    shrunk = expected(noise(120, 170), *size)
    found = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR)
    crops = {"center_crop": (slice(None), slice(10, 60)), "border": (slice(7, 42), slice(None))}
    if mode == "center_crop":
        assert np.array_equal(found, shrunk[crops[mode]])
    elif mode == "border":
        assert np.array_equal(found[crops[mode]], shrunk)
    else:
        assert np.array_equal(found, shrunk)


NO_FOLDER = """
import sys
import numpy as np
from curation import kernels
kernels._cache_folder = lambda source: None
from curation.media import area
assert not area._averaged.signatures, "compiled at import"
area.shrink(np.zeros((9, 9, 3), np.uint8), 4, 4)
assert area._averaged.signatures and area._agrees()
"""


@pytest.mark.slow
def test_nothing_is_compiled_at_import_and_no_cache_is_needed() -> None:
    root = Path(area.__file__).parents[2]
    subprocess.run([sys.executable, "-c", NO_FOLDER], check=True, env=os.environ | {"PYTHONPATH": str(root)})
