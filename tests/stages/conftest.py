"""What several tests of stages stand on."""

from __future__ import annotations

import pytest
from faults_captions import Sums

import curation.stages.caption_scores as scores_module


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> Sums:
    """In place of every model of task embed."""
    made = Sums()
    monkeypatch.setattr(scores_module, "embedder_of", lambda *given: made)
    return made
