"""Pictures, frames and sound of images and videos, as models want them."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions import media
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.media import ImageMedia, VideoMedia
from curation.captions.models import SOUND_RATE
from curation.testing.videos import TONE_HZ, Film, Shot, Style, read_number, write_video

PHOTO = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8), (31, 31), 0)


def encoded(pixels: np.ndarray, ending: str) -> bytes:
    return cv2.imencode(ending, pixels)[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def turned(jpeg: bytes, orientation: int) -> bytes:
    """With an EXIF segment that says so."""
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + orientation.to_bytes(2) + b"\0\0\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body + jpeg[2:]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return write_video(tmp_path_factory.mktemp("films") / "film.mp4", [Shot(48, "dog"), Shot(48, "cat")], Style())


# images


@pytest.mark.parametrize(("ending", "mime"), [(".jpg", "image/jpeg"), (".png", "image/png")])
@pytest.mark.parametrize("side", [None, 90, 4000])
def test_an_image_is_sent_as_it_is_stored(ending: str, mime: str, side: int | None) -> None:
    data = encoded(PHOTO, ending)
    for times in ([0], [0, 1000, 2000], []):
        assert [(picture.data, picture.mime) for picture in ImageMedia(data).pictures(times, side)] == [(data, mime)]


@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(1, 80))
def test_a_larger_image_is_scaled_to_the_longest_side(size: tuple[int, int], side: int) -> None:
    data = encoded(np.zeros((*size, 3), np.uint8), ".png")
    (picture,) = ImageMedia(data).pictures([0], side)
    height, width = decoded(picture.data).shape[:2]
    assert max(height, width) == min(side, max(size))
    share = max(height, width) / max(size)
    assert abs(height - size[0] * share) <= 1 and abs(width - size[1] * share) <= 1
    assert (picture.data == data) == (max(size) <= side)


def test_what_not_all_read_alike_is_sent_as_plain_jpeg() -> None:
    """Other formats, transparency, 16 bits, a turn that only EXIF tells."""
    clear = np.dstack([PHOTO, np.zeros(PHOTO.shape[:2], np.uint8)])
    for data, expected in (
        (encoded(PHOTO, ".bmp"), PHOTO),
        (encoded(PHOTO, ".avif"), PHOTO),
        (encoded(clear, ".png"), np.full_like(PHOTO, 255)),
        (encoded(PHOTO.astype(np.uint16) * 257, ".png"), PHOTO),
        (turned(encoded(PHOTO, ".jpg"), 6), np.rot90(PHOTO, -1)),
    ):
        (picture,) = ImageMedia(data).pictures([0])
        assert picture.mime == "image/jpeg"
        assert picture.data.startswith(b"\xff\xd8")
        shown = decoded(picture.data)
        assert shown.shape == expected.shape
        assert np.abs(shown.astype(int) - expected).mean() < 4


def test_frames_of_an_image_are_the_image() -> None:
    ((time_ms, frames),) = ImageMedia(encoded(PHOTO, ".png")).frames([0, 500], (30, 20))
    assert time_ms == 0
    assert np.array_equal(frames, cv2.resize(PHOTO, (30, 20), interpolation=cv2.INTER_AREA)[None, ..., ::-1])
    ((_, grey),) = ImageMedia(encoded(PHOTO[..., 0], ".png")).frames([0], (30, 20))
    assert grey.shape == (1, 20, 30, 3)
    assert ImageMedia(encoded(PHOTO, ".png")).sound() is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 9, b"<html>", b"GIF89a", encoded(PHOTO, ".jpg")[:400], b"\xff\xd8" * 500_000,
     encoded(PHOTO, ".png")[:-40], encoded(np.zeros((1, 1, 3), np.uint8), ".bmp")[:30]],
)  # fmt: skip
def test_what_is_no_image_is_a_fault(data: bytes) -> None:
    for asked in (lambda: ImageMedia(data).pictures([0]), lambda: list(ImageMedia(data).frames([0], (8, 8)))):
        with pytest.raises(CaptionFaultError) as caught:
            asked()
        assert caught.value.fault == Fault.UNREADABLE


def test_an_image_is_decoded_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_PIXELS", 60 * 90 - 1)
    with pytest.raises(CaptionFaultError, match="5400 pixels"):
        ImageMedia(encoded(PHOTO, ".bmp")).pictures([0])


# videos


@given(data=st.data())
def test_pictures_are_the_frames_shown_at_these_times(film: Film, data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, film.end_ms + 500), max_size=3))
    pictures = VideoMedia(film.path).pictures(times)
    shown = [read_number(decoded(picture.data)) for picture in pictures]
    assert shown == [max(at for at, begin in enumerate(film.times_ms) if begin <= time) for time in times]
    assert {picture.mime for picture in pictures} <= {"image/jpeg"}


def test_times_outside_give_the_first_and_last_frame(film: Film) -> None:
    pictures = VideoMedia(film.path).pictures([-500, 10**9])
    assert [read_number(decoded(picture.data)) for picture in pictures] == [0, film.frames - 1]


@pytest.mark.parametrize(
    ("side", "expected"), [(None, (320, 180)), (160, (160, 90)), (100, (100, 56)), (999, (320, 180))]
)
def test_pictures_of_a_video_are_scaled(film: Film, side: int | None, expected: tuple[int, int]) -> None:
    (picture,) = VideoMedia(film.path).pictures([0], side)
    assert decoded(picture.data).shape[1::-1] == expected


def test_a_turned_video_is_upright(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [Shot(10)], Style(rotation=90))
    (picture,) = VideoMedia(film.path).pictures([200])
    assert decoded(picture.data).shape == (180, 320, 3)
    assert read_number(decoded(picture.data)) == 4


def test_frames_come_with_each_of_their_times_in_rgb(film: Film) -> None:
    times = [0, 10, 1000, 1001, 2100]
    found = list(VideoMedia(film.path).frames(times, (160, 90)))
    assert [time_ms for time_ms, _ in found] == times
    assert {frames.shape for _, frames in found} == {(1, 90, 160, 3)}
    assert [read_number(frames[0]) for _, frames in found] == [0, 0, 24, 24, 50]
    picture = decoded(VideoMedia(film.path).pictures([1000], 160)[0].data)[..., ::-1]
    assert np.abs(found[2][1][0].astype(int) - picture).mean() < 3


def test_a_video_without_words_about_time(tmp_path: Path) -> None:
    """Bare H.264: its frames are known by their number."""
    film = write_video(tmp_path / "film.mp4", [Shot(50)], Style(fps=Fraction(25), b_frames=0))
    bare = tmp_path / "film.h264"
    ffmpeg("-i", film.path, "-c", "copy", "-an", bare)
    assert [read_number(frame[0]) for _, frame in VideoMedia(bare).frames([0, 1000], (320, 180))] == [0, 25]


# sound


def ffmpeg(*arguments: object) -> None:
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def loud(sound: np.ndarray, start_ms: int, end_ms: int) -> float:
    part = sound[start_ms * SOUND_RATE // 1000 : end_ms * SOUND_RATE // 1000]
    return float(np.sqrt((part**2).mean()))


@pytest.mark.parametrize("ending", ["mp4", "webm", "mkv"])
def test_sound_is_the_track_at_16_khz(tmp_path: Path, ending: str) -> None:
    film = write_video(tmp_path / f"film.{ending}", [Shot(48)], Style())
    sound = VideoMedia(film.path).sound()
    assert sound is not None
    assert (sound.dtype, sound.ndim) == (np.float32, 1)
    assert abs(len(sound) / SOUND_RATE - film.end_ms / 1000) < 0.1
    spectrum = np.abs(np.fft.rfft(sound[8000:24000]))
    assert abs(np.argmax(spectrum) - TONE_HZ) < 2
    assert abs(loud(sound, 200, 1800) - 0.2 / np.sqrt(2)) < 0.01


def test_without_a_sound_track_there_is_none(tmp_path: Path) -> None:
    assert VideoMedia(write_video(tmp_path / "film.mp4", [Shot(5)], Style(sound="none")).path).sound() is None


@pytest.mark.parametrize("delay", [0.05, 0.7])
def test_sound_that_begins_late_is_heard_then(film: Film, tmp_path: Path, delay: float) -> None:
    late = tmp_path / "late.mp4"
    ffmpeg("-i", film.path, "-itsoffset", delay, "-i", film.path, "-map", "0:v", "-map", "1:a", "-c", "copy", late)
    sound = VideoMedia(late).sound()
    assert sound is not None
    if delay > 0.1:
        assert loud(sound, 0, 600) < 0.001
    assert loud(sound, 800, 2000) > 0.1
    assert abs(len(sound) / SOUND_RATE - 4 - delay) < 0.15


def test_a_gap_in_the_sound_is_silence(film: Film, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    ffmpeg("-i", film.path, "-c", "copy", "-bsf:a", "noise=drop='between(pts*tb,1,2)'", cut)
    sound = VideoMedia(cut).sound()
    assert sound is not None
    assert abs(len(sound) / SOUND_RATE - 4) < 0.15
    assert loud(sound, 1200, 1900) < 0.001
    assert loud(sound, 2200, 3800) > 0.1


def test_stereo_becomes_one_channel(film: Film, tmp_path: Path) -> None:
    stereo = tmp_path / "stereo.mp4"
    ffmpeg("-i", film.path, "-c:v", "copy", "-ac", 2, "-ar", 22050, stereo)
    sound = VideoMedia(stereo).sound()
    assert sound is not None
    assert abs(len(sound) / SOUND_RATE - 4) < 0.15
    assert loud(sound, 200, 3800) > 0.1


def test_sound_is_bounded(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_SOUND_S", 1)
    sound = VideoMedia(film.path).sound()
    assert sound is not None
    assert len(sound) == SOUND_RATE


# what is no video


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 1_000_000, b"\0\0\0\x18ftypmp42" + b"\xff" * 1000])
def test_what_is_no_video_is_a_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    for asked in (
        lambda: VideoMedia(path).pictures([0]),
        lambda: list(VideoMedia(path).frames([0], (8, 8))),
        lambda: VideoMedia(path).sound(),
        lambda: VideoMedia(tmp_path / "gone.mp4").pictures([0]),
    ):
        with pytest.raises(CaptionFaultError) as caught:
            asked()
        assert caught.value.fault == Fault.UNREADABLE


def test_a_damaged_frame_is_a_fault_and_damaged_sound_is_silence(film: Film, tmp_path: Path) -> None:
    data = bytearray(film.path.read_bytes())
    for at in range(2000, len(data) - 6000, 97):
        data[at] ^= 0xFF
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(data))
    for asked in (lambda: VideoMedia(path).pictures(list(range(0, 4000, 40))), lambda: VideoMedia(path).sound()):
        try:
            asked()
        except CaptionFaultError as fault:
            assert fault.fault == Fault.UNREADABLE
