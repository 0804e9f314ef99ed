"""Strategies on real files: pictures, frames and sound of videos that were written for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from caption_fakes import ScriptedChat, ScriptedTranscriber, captioner, cues, play, video

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.media import VideoMedia
from curation.captions.models import Frames, Picture, Request, Spoken, Vectors
from curation.captions.samples import Sample
from curation.captions.strategies.differential import key_times
from curation.testing.videos import Film, Shot, Style, read_number, write_video

SIZE = (64, 36)


class _Looks:
    """Similar are frames whose colours lie at similar places; the text `shot N` is like the frame that it was given."""

    size = SIZE

    def __init__(self, shots: Sequence[Vectors] = ()) -> None:
        self._shots = shots

    def embed_frames(self, frames: Frames) -> Vectors:
        blocks = frames.reshape(len(frames), 6, 6, 8, 8, 3).mean(axis=(2, 4)).reshape(len(frames), -1)
        centred = blocks - blocks.mean(axis=1, keepdims=True) + 1e-3
        return (centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return np.concatenate([self._shots[int(text.split()[-1].rstrip("."))] for text in texts])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """6 s of a dog, 5 s of a cat, 6 s of another dog, at 24 per second; with a tone."""
    shots = [Shot(144, "dog", motion=0), Shot(120, "cat", motion=0), Shot(144, "dog", "other", motion=0)]
    return write_video(tmp_path_factory.mktemp("films") / "film.mp4", shots)


def of(film: Film, **more: object) -> Sample:
    return video(VideoMedia(film.path), film.end_ms, **more)


def numbers(request: Request) -> list[int | None]:
    """Which frames the request's pictures are."""
    return [read_number(_pixels(part)) for part in request.parts if isinstance(part, Picture)]


def _pixels(picture: Picture) -> np.ndarray:
    codec = av.CodecContext.create("mjpeg", "r")
    return next(iter(codec.decode(av.Packet(picture.data)))).to_ndarray(format="rgb24")


def test_described_frames_are_those_at_even_distances(film: Film) -> None:
    played = play(of(film), captioner("describe", frames=4, longest_side=None), ScriptedChat(["a", "b"]))
    middles = [(part + 0.5) * film.end_ms / 4 for part in range(4)]
    expected = [max(place for place, time_ms in enumerate(film.times_ms) if time_ms <= middle) for middle in middles]
    assert numbers(played.asked[0]) == expected


def test_key_frames_are_where_shots_change(film: Film) -> None:
    """Shots begin at 6 and 11 s: candidates 6 and 12 see them; the film ends at 17, more than an interval later."""
    assert key_times(of(film), captioner("differential"), _Looks()) == [0, 6000, 12_000, 17_000]
    chat = ScriptedChat(["dog", "cat now", "dog again", "same", "Dogs and a cat. Three shots."])
    played = play(of(film), captioner("differential", longest_side=None), chat, embedder=_Looks())
    assert [numbers(request) for request in played.asked] == [[0], [0, 144], [144, 288], [288, 407], []]
    assert [each.kind for each in played.captions] == ["frame", *["difference"] * 3, "detailed"]


def test_captions_are_aligned_with_the_shots(film: Film) -> None:
    """Of windows of 2 s, those of the cat begin at 6 to 9; said at 1 and at 15, the nearest are taken."""
    looks = _Looks()
    shots = [looks.embed_frames(frame) for _, frame in VideoMedia(film.path).frames([3000, 8000, 14_000], SIZE)]
    chat = ScriptedChat(["1s: like shot 1\n15s: like shot 1\n3s: like shot 2"])
    sample = of(film, cues=cues((0.5, 16.5, "All of this is said.")))
    played = play(sample, captioner("speech", window_seconds=2.0), chat, embedder=_Looks(shots))
    assert len(played.captions) == 3
    for caption, (begin, end) in zip(played.captions, [(6000, 11_000), (11_000, 17_000), (6000, 11_000)], strict=True):
        assert caption.start_ms is not None
        assert caption.end_ms is not None
        assert begin <= caption.start_ms < caption.end_ms <= end
        assert caption.score == pytest.approx(1, abs=0.05)


def test_its_sound_is_heard_whole(film: Film) -> None:
    transcriber = ScriptedTranscriber([Spoken(500, 1500, "A tone.")])
    played = play(of(film), captioner("transcribe"), transcriber=transcriber)
    assert [each.text for each in played.captions] == ["A tone."]
    assert transcriber.heard[0] == pytest.approx(17 * 16_000, rel=0.01)


def test_a_film_without_sound_and_of_one_frame(tmp_path: Path) -> None:
    film = write_video(tmp_path / "one.mp4", [Shot(1)], Style(sound="none"))
    assert play(of(film), captioner("transcribe"), transcriber=ScriptedTranscriber([])).captions == []
    for strategy in ("describe", "differential"):
        chat = ScriptedChat(lambda request: "one frame")
        played = play(of(film), captioner(strategy, frames=8), chat, embedder=_Looks())
        assert played.captions[-1].kind == "detailed"
        assert {len(numbers(request)) for request in played.asked} == {1}


@pytest.mark.parametrize("strategy", ["describe", "differential", "speech", "transcribe"])
def test_broken_files_are_the_samples_fault(strategy: str, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(5000))
    for name in ("broken.mp4", "gone.mp4"):
        sample = video(VideoMedia(tmp_path / name), 5000, cues=cues((0, 5, "Something is said.")))
        chat = ScriptedChat(lambda request: "1s: shot 0")
        with pytest.raises(CaptionFaultError) as caught:
            play(sample, captioner(strategy), chat, embedder=_Looks(), transcriber=ScriptedTranscriber([]))
        assert caught.value.fault is Fault.UNREADABLE
