"""What the registration fixes in numbers: seeds, pools, arms, sizes, and where results go."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.data import ROOT

FOLDER = Path(__file__).parent
OUT = ROOT / "bench" / "out" / "effect"

CONCEPTS = 200
ZIPF = 1.2
JUNK_SHARE = 0.3
"""Of the pool's pairs: their texts name no concept."""
WRONG_SHARE = 0.1
"""Of the pool's pairs: the text names one concept, the image shows another."""
HEAD, TAIL = 50, 100
"""Concepts: the first so many by frequency, and the last so many; the rest counts in overall alone."""
SHARES = (0.03, 0.06, 0.12)
SEEDS = (1, 2, 3, 4, 5)
PILOT_SEED = 900
TEST_IMAGES = 20
"""Of every concept."""


@dataclass(frozen=True)
class Setting:
    """One size of the experiment; results of other values are not mixed in."""

    name: str
    device: str
    px: int
    pools: tuple[int, ...]
    samples: int
    """Pairs that every arm sees, repeated as often as its size asks for."""
    batch: int
    channels: tuple[int, ...]
    """Of the image tower's convolutions; the first halves the image, so does every one while more than 3 px remain."""
    text_width: int
    text_layers: int
    embedding: int
    learning_rate: float
    weight_decay: float
    noise: float
    """Largest standard deviation of an image's pixel noise, of a range of 1."""

    def to_json(self) -> dict[str, Any]:
        """As it is stored with every run: lists for tuples."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


SETTINGS = {
    "cpu": Setting(
        name="cpu",
        device="cpu",
        px=24,
        pools=(60_000, 600_000),
        samples=300_000,
        batch=256,
        channels=(16, 32, 64),
        text_width=128,
        text_layers=4,
        embedding=64,
        learning_rate=4e-3,
        weight_decay=0.1,
        noise=0.4,
    ),
    "gpu": Setting(
        name="gpu",
        device="cuda",
        px=48,
        pools=(600_000, 6_000_000),
        samples=3_000_000,
        batch=1024,
        channels=(64, 128, 256, 256, 256, 256, 256),
        text_width=512,
        text_layers=8,
        embedding=256,
        learning_rate=1e-3,
        weight_decay=0.1,
        noise=0.4,
    ),
}


def percent(share: float) -> str:
    """0.06 -> "6"; as in the names of arms."""
    return f"{100 * share:g}"


def arm_names() -> list[str]:
    """All arms, in the order they are run and told: what is compared with comes before what it is compared to."""
    return ["raw", "matched", *(f"{kind}-{percent(share)}" for share in SHARES for kind in ("balanced", "random"))]
