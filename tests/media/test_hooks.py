"""Hooks: what they are shown, what becomes of their findings, and what they cannot break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.media.blurring import blurred
from curation.media.hooks import Finding, Hooks, load_hook
from curation.media.image_decoding import decode
from curation.media.images import ImageProcessor, ProcessedImage
from curation.recipe import Fetch, ImageSettings
from curation.recipe.media import Hook
from curation.schemas import MEDIA

LEFT_HALF = (0.0, 0.0, 0.5, 1.0)
_seen: list[np.ndarray] = []


def says(options: dict[str, Any]) -> Callable[[np.ndarray], list[Finding]]:
    """A hook that finds what its options say, and spoils the picture that it was given."""

    def find(shown: np.ndarray) -> list[Finding]:
        _seen.append(shown.copy())
        shown[:] = 0
        return [Finding(label, score, None if box is None else tuple(box)) for label, score, box in options["found"]]

    return find


def gives(options: dict[str, Any]) -> Callable[[np.ndarray], Any]:
    return lambda _: options["found"]


def redness(options: dict[str, Any]) -> Callable[[np.ndarray], list[Finding]]:
    return lambda shown: [Finding("red", float(shown[..., 2].mean()) / 255)]


def raises(options: dict[str, Any]) -> Callable[[np.ndarray], list[Finding]]:
    def find(shown: np.ndarray) -> list[Finding]:
        raise KeyError("weights\n\ud800")

    return find


def broken_factory(options: dict[str, Any]) -> None:
    raise OSError("no weights")


def no_factory(options: dict[str, Any]) -> int:
    return len(options)


def picture(height: int = 60, width: int = 80, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(7).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return np.squeeze(noise)


def hook(name: str, found: list[Any] | None = None, **limits: float) -> Hook:
    return Hook(name=f"{__name__}:{name}", options={} if found is None else {"found": found}, **limits)


def process(pixels: np.ndarray, *hooks: Hook, **settings: object) -> ProcessedImage:
    """Of a PNG, to a PNG of the same size where the settings say nothing else."""
    _seen.clear()
    plain = {"resize_mode": "no", "encode_format": "png", "encode_quality": 1}
    data = cv2.imencode(".png", pixels)[1].tobytes()
    return ImageProcessor(ImageSettings(**(plain | settings)), Hooks(hooks))(data)


def test_findings_are_rows_of_the_ledger_and_the_picture_is_untouched() -> None:
    hooks = hook("says", [["face", 0.5, LEFT_HALF], ["text", 2, None]]), hook("redness")
    found = process(picture(), *hooks)
    assert found.reason is None and (decode(found.data) == picture()).all() and (_seen[0] == picture()).all()
    assert [(row["hook"], row["label"], row["left"], row["bottom"]) for row in found.findings] == [
        (f"{__name__}:says", "face", 0.0, 1.0),
        (f"{__name__}:says", "text", None, None),
        (f"{__name__}:redness", "red", None, None),
    ]
    assert found.findings[2]["score"] == pytest.approx(picture()[..., 2].mean() / 255)
    field = MEDIA.schema.field("findings")
    stored = pa.Table.from_pylist([{"findings": found.findings}], schema=pa.schema([field])).to_pylist()
    assert [row["label"] for row in stored[0]["findings"]] == ["face", "text", "red"]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_picture_is_shown_in_colour_and_on_white(channels: int) -> None:
    pixels = picture(channels=channels)
    process(pixels, hook("says", []))
    (shown,) = _seen
    assert shown.shape == (60, 80, 3) and shown.dtype == np.uint8
    if channels == 1:
        assert (shown == pixels[..., None]).all()
    if channels == 4:
        assert (shown[pixels[..., 3] == 0] == 255).all()


@pytest.mark.parametrize(("score", "reason"), [(0.5, None), (0.51, "unsafe")])
def test_a_score_above_the_limit_refuses_and_is_kept(score: float, reason: str | None) -> None:
    found = process(picture(), hook("says", [["nude", score, None]], refuse_above=0.5), hook("redness"))
    assert found.reason == reason and (found.data is None) == (reason is not None)
    assert [row["label"] for row in found.findings] == ["nude", "red"] and found.phash
    assert reason is None or found.detail == f"{__name__}:says: nude 0.51 is above 0.5"


SETTINGS = [
    {},
    {"skip_reencode": True},
    {"resize_mode": "keep_ratio", "image_size": 30},
    {"resize_mode": "keep_ratio", "image_size": 300, "resize_only_if_bigger": True, "skip_reencode": True},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_boxes_above_the_limit_are_blurred_and_nothing_else_is(settings: dict[str, object]) -> None:
    found = process(
        picture(), hook("says", [["face", 0.9, LEFT_HALF], ["face", 0.1, None]], blur_above=0.5), **settings
    )
    stored, plain = decode(found.data), decode(process(picture(), **settings).data)
    assert (stored == blurred(plain, [LEFT_HALF])).all() and (stored != plain).any()
    half = stored.shape[1] // 2
    assert stored[:, : half // 2].std() < plain[:, : half // 2].std() / 2
    grown = -(-stored.shape[1] * 115 // 200)  # the half and 15 % of it, outwards
    assert (stored[:, grown:] == plain[:, grown:]).all()
    assert len(found.findings) == 2


def test_what_was_found_without_a_box_blurs_all_of_it() -> None:
    found = process(picture(), hook("says", [["face", 0.9, None]], blur_above=0.5))
    assert decode(found.data)[10:-10, 10:-10].std() < picture().std() / 2


NAN = float("nan")
BAD = [
    *(None, 5, [None], [("face", 1.0, None)], [Finding(5, 1.0)]),
    *([Finding("a", score)] for score in (NAN, float("inf"), "x", None)),
    *([Finding("a", 1.0, box)] for box in (7, (0, 0, 1), (0, 0, 1, 1.1), (0.6, 0, 0.5, 1), (0, 0, 1, NAN))),
]


@pytest.mark.parametrize("found", BAD)
def test_what_is_no_finding_fails_the_media_only(found: Any) -> None:
    seen = process(picture(), hook("gives", found) if found is not None else Hook(name=f"{__name__}:gives"))
    assert (seen.data, seen.reason) == (None, "hook_failed") and seen.detail.startswith(f"{__name__}:gives: ")


def test_a_hook_that_raises_fails_the_media_only() -> None:
    found = process(picture(), hook("raises"))
    assert found.reason == "hook_failed" and found.detail.startswith(f"{__name__}:raises: KeyError: 'weights")
    assert found.detail.isprintable() and found.phash is not None


def test_hooks_see_what_is_kept_as_it_came() -> None:
    for kept in ("keep_original", "disable_all_reencoding"):
        assert (
            process(picture(), hook("says", [["nude", 1, None]], refuse_above=0.5), **{kept: True}).reason == "unsafe"
        )
        with pytest.raises(ValidationError, match="blur_above need pictures that are encoded anew"):
            Fetch(image=ImageSettings(**{kept: True}), hooks=[hook("redness", blur_above=0.5)])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_package.x:f", "ModuleNotFoundError"),
        (f"{__name__}:no_such_name", "AttributeError"),
        (f"{__name__}:broken_factory", "OSError: no weights"),
        (f"{__name__}:no_factory", "it gives 0, which cannot be called"),
        (f"{__name__}:LEFT_HALF", "TypeError"),
    ],
)
def test_a_hook_that_cannot_be_loaded_says_what_to_do(name: str, said: str) -> None:
    with pytest.raises(RecipeError, match=r"fetch\.hooks: .* cannot be loaded: .*install its package") as caught:
        load_hook(Hook(name=name))
    assert said in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize("name", ["", "module", "module:", ":f", "a b:c", "os;x:y"])
def test_names_have_a_module_and_an_attribute(name: str) -> None:
    with pytest.raises(ValidationError):
        Hook(name=name)
