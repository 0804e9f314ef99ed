"""Tiny models for all tests of this folder, each built once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of several processes that wait for each other are slow
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from curation.captions.models import Picture
from curation.testing import models


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model: blip, blip2, llava, llama, clip, whisper."""
    root = tmp_path_factory.mktemp("tiny")

    def built(kind: str) -> Path:
        folder = root / kind
        return folder if folder.is_dir() else getattr(models, f"tiny_{kind}")(folder)

    return built


@pytest.fixture(scope="session")
def picture() -> Callable[[int], Picture]:
    """A picture of a few colours by its number."""

    def drawn(number: int) -> Picture:
        cells = np.random.default_rng(number).integers(0, 255, (3, 4, 3), np.uint8)
        return Picture(cv2.imencode(".png", cv2.resize(cells, (60, 40)))[1].tobytes(), "image/png")

    return drawn


@pytest.fixture(scope="session")
def served_llava(tiny: Callable[[str], Path]) -> Iterator[tuple[str, str]]:
    """(base of addresses, model's name) of `transformers serve` with the tiny LLaVA."""
    folder = tiny("llava")
    with models.serving(folder) as url:
        yield url, str(folder)


@pytest.fixture(scope="session")
def served_whisper(tiny: Callable[[str], Path]) -> Iterator[tuple[str, str]]:
    """The same with the tiny Whisper."""
    pytest.importorskip("soundfile", reason="transformers serve decodes sound with it")
    folder = tiny("whisper")
    with models.serving(folder) as url:
        yield url, str(folder)
