"""Every error class of the ledger has words on the card, and every reason why a piece is no clip."""

from __future__ import annotations

import pytest

from curation.inspect.card_clips import piece_words
from curation.inspect.card_media import ERRORS
from curation.media.image_facts import ImageRefusal
from curation.media.outcomes import ErrorClass
from curation.media.video.facts import VideoRefusal
from curation.media.video.splitting import Dropped


@pytest.mark.parametrize("error", [*ErrorClass, *ImageRefusal, *VideoRefusal])
def test_errors_have_words(error: str) -> None:
    assert ERRORS.get(str(error)), error


@pytest.mark.parametrize("why", [*Dropped, "cut_failed", "cut_late", "source_gone", "not_scored", "copied_video"])
def test_pieces_have_words(why: str) -> None:
    assert piece_words(str(why)) != str(why)
