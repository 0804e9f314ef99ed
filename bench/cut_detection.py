"""Shots found per CPU second beside PySceneDetect's ContentDetector, and the key frames' way beside it.

Both decode and detect as they do by default (ours on one thread, PySceneDetect's OpenCV on several), so the cost is CPU
time, which is what a core of a busy machine gives. PySceneDetect reads with OpenCV, its faster backend: PyAV takes it
about 1.15 times as long. Rounds fail where cuts differ by more than one frame; what the key frames' way misses or finds
besides is said in a row's note.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from bench.data import real_data
from bench.harness import OURS, Cost, Row, cpu_seconds

PEER = "PySceneDetect"
_FILM = "media/videos/big_buck_bunny_480p_30s.mp4"
_TIMES = 3  # that the film is shown: a minute and a half
_X264 = ("-c:v", "libx264", "-preset", "faster", "-crf", "23")
_FIXED = ("-g", "48", "-keyint_min", "48", "-sc_threshold", "0")


def peers_cuts(path: str) -> list[int]:
    """What PySceneDetect finds by default."""
    from scenedetect import ContentDetector, SceneManager, open_video  # type: ignore[import-untyped]

    manager = SceneManager()
    manager.add_detector(ContentDetector())
    manager.detect_scenes(open_video(path, backend="opencv"))
    return [cut.frame_num for cut in manager.get_cut_list(show_warning=False)]


def our_cuts(path: str, *, guided: bool) -> list[int]:
    from curation.media.video.cuts import detect_shots
    from curation.recipe.scenes import Scenes

    return detect_shots(path, Scenes(key_frame_guided=guided)).cuts


def differences(found: Sequence[int], known: Sequence[int]) -> tuple[int, int]:
    """(missed, found besides), where one frame more or less is the same."""
    missed = sum(all(abs(cut - other) > 1 for other in found) for cut in known)
    besides = sum(all(abs(cut - other) > 1 for other in known) for cut in found)
    return missed, besides


def film(folder: str, options: Sequence[str]) -> str:
    """The film several times over, with sound; options: of the encoder, none: its packets as they are."""
    from imageio_ffmpeg import get_ffmpeg_exe

    path = f"{folder}/film.mp4"
    again = ("-stream_loop", str(_TIMES - 1), "-i", str(real_data(_FILM)[0]))
    command = [get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", *again, *(options or ("-c", "copy")), path]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return path


@contextmanager
def _sides(options: Sequence[str], guided: bool, notes: dict[str, str]) -> Iterator[Mapping[str, Cost]]:
    import scenedetect  # noqa: F401 - left out where it is missing

    with tempfile.TemporaryDirectory() as folder:
        path = film(folder, options)
        known = peers_cuts(path)

        def work() -> None:
            missed, besides = differences(our_cuts(path, guided=guided), known)
            notes[OURS] = f"missed {missed} of {len(known)} cuts and found {besides} besides"
            if not guided and (missed or besides):
                raise RuntimeError(f"{path}: {notes[OURS]}")

        yield {OURS: cpu_seconds(work), PEER: cpu_seconds(partial(peers_cuts, path))}


def _row(name: str, about: str, goal: float, options: Sequence[str], *, guided: bool) -> Row:
    notes: dict[str, str] = {}
    sides = partial(_sides, options, guided, notes)
    return Row(name, about, "CPU s", {PEER: goal}, sides, notes=notes)


_ABOUT = "a film of 854 x 480, one and a half minutes"
ROWS = (
    _row("cuts-exact", f"{_ABOUT}, every frame", 1.4, (), guided=False),
    _row("cuts-exact-small", f"{_ABOUT}, at a usual bit rate (CRF 23), every frame", 1.4, _X264, guided=False),
    _row("cuts-by-key-frames", f"{_ABOUT}, by key frames, which its encoder put at cuts", 4.0, (), guided=True),
    _row("cuts-by-key-frames-fixed", f"{_ABOUT}, by key frames, every 48 frames", 4.0, _X264 + _FIXED, guided=True),
)
