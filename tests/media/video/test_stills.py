"""Stills are the frames they say, upright, as JPEG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from curation.media.fingerprints import hamming, phash
from curation.media.video.facts import RefusedVideo
from curation.media.video.stills import key_frames
from curation.testing.videos import Shot, Style, read_number, write_video


def picture(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("plain.mp4", Style((320, 180), b_frames=3)),
        ("turned.mp4", Style((180, 320), rotation=90)),
        ("upside_down.mp4", Style((320, 180), rotation=180)),
        ("other_way.mp4", Style((180, 320), rotation=270)),
        ("odd.webm", Style((161, 91))),
        ("vfr.mkv", Style((320, 180), times_ms=[place * place * 3 for place in range(51)])),
    ],
)
def test_stills_are_the_frames_at_their_shares(tmp_path: Path, name: str, style: Style) -> None:
    film = write_video(tmp_path / name, [Shot(51)], style)
    stills = key_frames(film.path, [0.9, 0.1, 0.5, 0.5, 0, 1])
    assert [still.frame for still in stills] == [0, 5, 25, 45, 50]
    for still in stills:
        assert abs(still.time_ms - film.times_ms[still.frame]) <= 1
        pixels = picture(still.data)
        assert read_number(pixels) == still.frame
        assert pixels.shape == (*style.size[::-1], 3)
        assert hamming(still.phash, phash(pixels)) <= 4


def test_quality_and_height(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", [Shot(3)], Style((320, 180)))
    fine, coarse = (key_frames(film.path, [0.5], quality=quality)[0] for quality in (95, 20))
    assert len(fine.data) > 2 * len(coarse.data) and fine.phash == coarse.phash
    small = key_frames(film.path, [0.5], max_height=90)[0]
    assert picture(small.data).shape == (90, 160, 3) and hamming(small.phash, fine.phash) <= 4
    assert key_frames(film.path, [0.5], max_height=500)[0].data == key_frames(film.path, [0.5])[0].data


def test_one_frame_and_none(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", [Shot(1)], Style((160, 90)))
    assert [still.frame for still in key_frames(film.path, [0.1, 0.5, 0.9])] == [0]
    assert key_frames(film.path, []) == []
    with pytest.raises(RefusedVideo):
        key_frames(tmp_path / "none.mp4", [0.5])


def test_frames_that_are_lost(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", [Shot(30)], Style((160, 90), gop=10, sound="none"))
    data = film.path.read_bytes()
    path = tmp_path / "cut.mp4"
    begin = data.find(b"mdat") + 4
    hole = begin + (data.find(b"moov") - begin) * 2 // 3
    path.write_bytes(data[:hole] + bytes(data.find(b"moov") - 4 - hole) + data[data.find(b"moov") - 4 :])
    assert [still.frame for still in key_frames(path, [0.1])] == [3]
    with pytest.raises(RefusedVideo):
        key_frames(path, [1.0])
