"""Media: fetched, judged, stored, and read again; videos also seen as shots."""

from __future__ import annotations

from pathlib import Path


def detect_cuts(path: str | Path) -> list[int]:
    """The index of the first frame of each new shot of a video file, 0 not included, in order of presentation.

    By the content value of PySceneDetect at its default threshold; other detectors, thresholds and fades:
    curation.media.video.cuts.detect_shots. Raises curation.media.video.facts.RefusedVideo for what is no video.
    """
    from curation.media.video.cuts import detect_cuts as detect  # PyAV's libraries: only where videos are

    return detect(path)
