"""Pictures of a sample: stored bytes to RGB pixels, an image being a clip of one frame."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.media.image_decoding import decode
from curation.media.image_facts import RefusedImage
from curation.training.faults import Fault, SampleFaultError

Pixels = npt.NDArray[np.uint8]

IMAGES: Final = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif"})
VIDEOS: Final = frozenset({"mp4", "m4v", "mov", "webm", "mkv", "avi", "ogv", "ts", "mpg", "mpeg", "flv", "wmv", "3gp"})
"""Extensions."""

SECONDS: Final = 60.0
"""That decoding one clip may take."""


def media_of(parts: Mapping[str, bytes]) -> tuple[str, list[bytes]]:
    """(extension, files) of a sample: one image, one video, or the frames of a clip as images (000.jpg, 001.jpg ...).

    Raises SampleFaultError where it has none.
    """
    frames = sorted(ext for ext in parts if ext.partition(".")[0].isdigit() and ext.rpartition(".")[2] in IMAGES)
    if frames:
        return frames[0].rpartition(".")[2], [parts[ext] for ext in frames]
    for ext, data in parts.items():
        if ext in IMAGES or ext in VIDEOS:
            return ext, [data]
    raise SampleFaultError.of(Fault.NO_MEDIA, f"no picture and no clip among {', '.join(parts) or 'no files'}")


def pictures(parts: Mapping[str, bytes], count: int, size: int | None) -> list[Pixels]:
    """Of an image its one picture; of a clip `count` frames at even distances, or all where it has fewer.

    Each (height, width, 3) RGB, upright; (size, size, 3) where a size is given. Raises SampleFaultError.
    """
    ext, files = media_of(parts)
    if ext in VIDEOS:
        frames = clip_frames(files[0], count, size)
        return frames if size is None else [square(frame, size) for frame in frames]
    chosen = [files[place] for place in spread(len(files), count)]
    return [_image(data, size) for data in chosen]


def formed(frames: list[Pixels], form: str, *, as_video: bool) -> Any:
    """As Reading.picture wants them: one, or all of them."""
    if form == "pil":
        image = import_module("PIL.Image")
        drawn = [image.fromarray(pixels) for pixels in frames]
        return drawn if as_video else drawn[0]
    if as_video and len({pixels.shape for pixels in frames}) > 1:
        raise SampleFaultError.of(Fault.UNDECODABLE, "a clip whose frames differ in size")
    pixels = np.stack(frames) if as_video else frames[0]
    if form == "array":
        return pixels
    tensor = import_module("torch").from_numpy(pixels)
    return tensor.permute(0, 3, 1, 2) if as_video else tensor.permute(2, 0, 1)


def spread(length: int, count: int) -> list[int]:
    """Places of the middles of `count` equal parts of so many things; all of them where there are not more."""
    if length <= count:
        return list(range(length))
    return [(2 * number + 1) * length // (2 * count) for number in range(count)]


def clip_frames(data: bytes, count: int, size: int | None = None) -> list[Pixels]:
    """Frames of a video file as players show them: (height, width, 3) RGB, upright, pixels square.

    size: pixels to which the shorter side is scaled. A frame that cannot be decoded is the one before it. Raises
    SampleFaultError.
    """
    from curation.media.video.facts import RefusedVideo  # PyAV's libraries: only where they are needed
    from curation.media.video.picking import read_frames
    from curation.media.video.sources import read_source

    deadline = time.monotonic() + SECONDS
    with tempfile.NamedTemporaryFile(prefix="curation-clip-") as file:
        file.write(data)
        file.flush()
        try:
            times, shape = (found := read_source(Path(file.name), None, deadline)).times, found.size
            if size is not None:
                shape = _scaled(shape, size)
            read = read_frames(file.name, spread(len(times), count), times, shape, deadline)
            frames = [pixels for _, pixels in read]
        except RefusedVideo as refused:
            raise SampleFaultError.of(Fault.UNDECODABLE, f"a clip: {refused}") from None
    sound = [pixels for pixels in frames if pixels is not None]
    if not sound:
        raise SampleFaultError.of(Fault.UNDECODABLE, "a clip of which no frame can be decoded")
    last, filled = sound[0], []
    for pixels in frames:
        last = last if pixels is None else pixels
        filled.append(last)
    return filled


def _image(data: bytes, size: int | None) -> Pixels:
    try:
        pixels = decode(data)
    except RefusedImage as refused:
        raise SampleFaultError.of(Fault.UNDECODABLE, f"an image: {refused}") from None
    if size is not None:
        pixels = square(pixels, size)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB), np.uint8)


def square(pixels: Pixels, size: int) -> Pixels:
    """Scaled until the shorter side has `size` pixels, and cut to a square from the middle."""
    width, height = _scaled((pixels.shape[1], pixels.shape[0]), size)
    if (height, width) != pixels.shape[:2]:
        shrinks = width < pixels.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)
    top, left = (height - size) // 2, (width - size) // 2
    return pixels[top : top + size, left : left + size]


def _scaled(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """(width, height) whose shorter side has so many pixels."""
    share = size / min(shape)
    return max(size, round(shape[0] * share)), max(size, round(shape[1] * share))
