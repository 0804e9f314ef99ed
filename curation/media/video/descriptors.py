"""What a frame looks like, as a vector: near vectors, like pictures.

    extractor = loaded_features("colour_edges")
    pieces = split(shots, settings, frame_features(path, shots.times_ms, extractor))

Panda-70M's thresholds are distances of ImageBind-huge's features (unit vectors, 1,024 numbers). An extractor's `scale`
brings its own distances near that scale, so that the published numbers keep their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from curation.errors import RecipeError, StageError
from curation.media.video.picking import read_frames
from curation.pretrained import Checkpoint

Frames = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

COLOUR_EDGES: Final = "colour_edges"
ENCODER: Final = "transformers:"
"""Before the name, or the folder, of an image encoder."""

_BATCH = 16


class FeatureExtractor(Protocol):
    """Pictures to vectors. Equal pictures give equal vectors, whatever else is in the batch, but for rounding."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in which it wants frames: it sees no more than that."""
        ...

    @property
    def scale(self) -> float:
        """What its distances are multiplied by."""
        ...

    def __call__(self, frames: Frames) -> Vectors:
        """(N, height, width, 3) RGB to (N, D)."""
        ...


def frame_features(
    path: str | Path,
    times_ms: Sequence[int] | npt.NDArray[np.int64],
    extractor: FeatureExtractor,
    deadline: float | None = None,
) -> Callable[[Sequence[int]], list[Vectors | None]]:
    """Asks for the features of a video's frames, scaled: indexes, ascending, to one vector each, None: unreadable.

    A batch of frames is held at a time, and what was asked for. The callable raises what read_frames raises.
    """

    def features(indexes: Sequence[int]) -> list[Vectors | None]:
        found: list[Vectors | None] = []
        frames = read_frames(path, indexes, times_ms, extractor.size, deadline)
        for batch in _batches(frames):
            seen = [pixels for _, pixels in batch if pixels is not None]
            vectors = iter(extractor(np.stack(seen)) * np.float32(extractor.scale) if seen else ())
            found += [None if pixels is None else next(vectors) for _, pixels in batch]
        return found

    return features


def _batches(frames: Iterator[tuple[int, Frames | None]]) -> Iterator[list[tuple[int, Frames | None]]]:
    while batch := list(islice(frames, _BATCH)):
        yield batch


@lru_cache(maxsize=2)
def loaded_features(name: str) -> FeatureExtractor:
    """The extractor of this name: colour_edges, or transformers:NAME-OR-FOLDER. Loaded once per process.

    Raises RecipeError for other names, StageError where transformers is missing or the model cannot be loaded.
    """
    if name == COLOUR_EDGES:
        return ColourEdges()
    if name.startswith(ENCODER):
        try:
            checkpoint = Checkpoint(name.removeprefix(ENCODER), "image encoder")
        except StageError as error:
            raise StageError(f"{error}, or take {COLOUR_EDGES}") from None
        return ImageEncoder(checkpoint)
    raise RecipeError(f"features {name!r}: give {COLOUR_EDGES} or {ENCODER}NAME-OR-FOLDER")


_SIDE: Final = 64  # pixels
_CELLS: Final = 3  # per side: finer ones take a moving camera for new content
_SHADES: Final = 12
_DIRECTIONS: Final = 8
_NO_EDGE: Final = 4.0  # grey levels per pixel: edges below drown in noise and compression
_RANGES: Final = ((0, 255), (64, 192), (64, 192))  # of L, a and b: few colours are more vivid


class ColourEdges:
    """Colours and edges of 3 x 3 parts of a picture; needs no weights.

    Histograms of L*, a* and b* (12 shades each, shared between the two nearest), and of edge directions (8 by strength,
    one for no edge), in every part; their square roots, so that distances are Hellinger's; both halves count the same.

    scale was measured so that the published thresholds separate what they shall. Distances times 1.6, of frames of a
    short film with three cuts, a flower, a person, generated scenes that stand or move 1 or 3 pixels a frame, and of 23
    photographs (0.6, 1.0, 0.15, 0.3: where pieces are stitched, are transitions, are still, are redundant):

        half a second to one apart, in a shot           95 % below 0.43, all below 0.61      stitched up to 0.6
        in different shots; photographs                 99 % above 0.61; 95 % above 0.75     not stitched
        four to five seconds apart, in a shot           95 % below 0.87, 98 % below 1.0      a transition above 1.0
        in different shots; photographs                 half above 1.0, half above 1.2       so half of missed cuts
        a standing scene, encoded, 4 s apart            all below 0.11                       still below 0.15
        a photograph as a poor JPEG with noise          95 % below 0.15
        a person who hardly moves, 4 s apart            0.10 to 0.16
        means of the two halves of a generated shot     0.01 to 0.48                         redundant up to 0.3
        means of different shots                        all above 0.51
    """

    size: Final = (_SIDE, _SIDE)
    scale: Final = 1.6

    def __call__(self, frames: Frames) -> Vectors:
        """(N, height, width, 3) RGB to (N, 405), unit vectors."""
        small = [cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA) for frame in frames]
        labs = [cv2.cvtColor(frame, cv2.COLOR_RGB2LAB) for frame in small]
        lab = np.array(labs, np.float64).reshape(-1, _SIDE, _SIDE, 3)
        halves = [_rooted(_colours(lab)), _rooted(_edges(lab[..., 0]))]
        return np.asarray(np.concatenate(halves, axis=1) * np.sqrt(0.5), np.float32)


def _colours(lab: Doubles) -> Doubles:
    """(N, 9 * 3 * 12) shares of each part's pixels."""
    shares = []
    for channel, (low, high) in enumerate(_RANGES):
        places = np.clip((lab[..., channel] - low) / (high - low), 0, 1) * (_SHADES - 1)
        shares.append(_histograms(places, np.ones_like(places), _SHADES))
    return np.concatenate(shares, axis=2).reshape(len(lab), 3 * _SHADES * _CELLS**2)


def _edges(luminance: Doubles) -> Doubles:
    """(N, 9 * 9) shares of each part's gradients, by direction; the last of nine stands for none."""
    slopes = [[cv2.Sobel(one, cv2.CV_64F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0)] for one in luminance]
    across, down = np.moveaxis(np.array(slopes).reshape(-1, 2, _SIDE, _SIDE), 1, 0)
    places = np.arctan2(down, across) % np.pi / np.pi * _DIRECTIONS
    strengths = _histograms(places, np.hypot(across, down), _DIRECTIONS)
    strengths = np.concatenate([strengths, np.full((*strengths.shape[:2], 1), _NO_EDGE)], axis=2)
    shares = strengths / strengths.sum(axis=2, keepdims=True)
    return np.asarray(shares.reshape(len(luminance), (_DIRECTIONS + 1) * _CELLS**2))


def _histograms(places: Doubles, weights: Doubles, bins: int) -> Doubles:
    """(N, 9, bins) means per pixel. A value between two bins is shared; after the last comes the first."""
    count, side = len(places), np.arange(_SIDE) * _CELLS // _SIDE
    cells = side[:, None] * _CELLS + side + _CELLS**2 * np.arange(count)[:, None, None]
    low = np.floor(places).astype(np.int64)
    upper = weights * (places - low)
    total = np.zeros(count * _CELLS**2 * bins)
    for bin_, part in ((low, weights - upper), (low + 1, upper)):
        total += np.bincount((cells * bins + bin_ % bins).ravel(), part.ravel(), len(total))
    pixels = np.bincount(cells.ravel(), minlength=count * _CELLS**2)
    return np.asarray(total.reshape(count, _CELLS**2, bins) / pixels.reshape(count, _CELLS**2, 1))


def _rooted(shares: Doubles) -> Doubles:
    """Square roots, of length one."""
    roots = np.sqrt(shares)
    return np.asarray(roots / np.linalg.norm(roots, axis=1, keepdims=True))


class ImageEncoder:
    """An image encoder of transformers: its pooled features as unit vectors; CLIP's and its kin's in the common space.

    Its distances are not ImageBind's: recipes that name one give thresholds of their own. Frames are squeezed to its
    square, as Panda-70M's are, so that nothing of them is cut off.
    """

    scale: Final = 1.0

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Raises StageError."""
        self.checkpoint = checkpoint
        self.model: Any = checkpoint.model("AutoModel", optional="pooler")
        self._processor: Any = checkpoint.part("AutoImageProcessor", backend="pil")
        self._pooled = not self.model.missing_optional  # one that was never trained says nothing
        self.size = _square(self._processor)

    def __call__(self, frames: Frames) -> Vectors:
        """(N, height, width, 3) RGB to (N, D), unit vectors."""
        inputs = self._processor(images=list(frames), return_tensors="pt", input_data_format="channels_last")
        encode = getattr(self.model, "get_image_features", self.model)
        return self.vectors(encode, pixel_values=inputs["pixel_values"].to(self.model.dtype))

    def vectors(self, encode: Callable[..., Any], **inputs: Any) -> Vectors:
        """(N, D), unit vectors: what a part of the model makes of tensors."""
        torch = self.checkpoint.torch
        with torch.inference_mode():
            told = encode(**{name: tensor.to(self.checkpoint.device) for name, tensor in inputs.items()})
            vectors = self._features(told).flatten(1).float()
        found: Vectors = torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()
        return found

    def _features(self, told: Any) -> Any:
        if not hasattr(told, "last_hidden_state"):  # features themselves
            return told
        pooled = getattr(told, "pooler_output", None)
        return pooled if pooled is not None and self._pooled else told.last_hidden_state.mean(dim=1)


def _square(processor: Any) -> tuple[int, int]:
    """The side of what a processor makes of pictures."""
    for name in ("crop_size", "size"):
        told = getattr(processor, name, None)
        side = told and (told.get("shortest_edge") or told.get("height"))
        if side:
            return int(side), int(side)
    return 224, 224
