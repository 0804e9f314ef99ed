"""Cutting clips out of a video: frame-accurate beside one FFmpeg for each clip, copies beside accurate clips, memory.

The clips are the 30 s of a film in ten parts of 3 s, sound included. The peer is what everybody writes: FFmpeg with an
accurate seek (-ss before -i, -t), the same binary, encoder, preset and quality. Ours also reads every clip that it
wrote. CPU time of all processes counts: workers use all cores as it is.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import av

from bench.data import ROOT, real_data
from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.media.video.cutting import cut
from curation.media.video.ffmpeg import executable, run
from curation.recipe.cutting import Cut

PEER = "one ffmpeg a clip"
ONE_THREAD = "one ffmpeg a clip, one thread"
ACCURATE_MODE = f"{OURS}, accurate"
CLIPS, FRAMES, LASTS_MS = 10, 72, 3000
SPANS = [
    (FRAMES * place, FRAMES * (place + 1), LASTS_MS * place, LASTS_MS * (place + 1)) for place in range(CLIPS)
]
TWO_MINUTES, TWO_HOURS = f"{OURS} on 2 minutes", 7200
_RATE = 24


def _ours(path: Path, folder: Path, settings: Cut) -> None:
    clips = cut(path, SPANS, settings, folder)
    problems = [clip.problem for clip in clips if clip.problem is not None]
    if problems:
        raise RuntimeError(problems[0])


def _theirs(path: Path, folder: Path, *options: str) -> None:
    for place, (_, _, start, end) in enumerate(SPANS):
        span = ["-ss", str(start / 1000), "-i", str(path), "-t", str((end - start) / 1000)]
        video = ["-c:v", "libx264", "-preset", Cut().preset, "-crf", str(Cut().crf), "-pix_fmt", "yuv420p", *options]
        audio = ["-c:a", "aac", "-b:a", f"{Cut().audio_kbps}k", "-movflags", "+faststart"]
        target = str(folder / f"{place:05d}.mp4")
        quiet = ["-nostdin", "-loglevel", "error", "-y"]
        subprocess.run([executable(), *quiet, *span, *video, *audio, target], check=True, timeout=300)


def _frames(folder: Path) -> list[int]:
    counts = []
    for path in sorted(folder.glob("*.mp4")):
        with av.open(str(path)) as container:
            counts.append(sum(1 for packet in container.demux(video=0) if packet.size))
    return counts


def _timed(row: Row, name: str, work: Callable[[], None]) -> Cost:
    def told() -> None:
        begin = time.perf_counter()
        work()
        row.notes[name] = f"{time.perf_counter() - begin:.1f} s by the clock"

    return cpu_seconds(told)


@contextmanager
def _accurate() -> Iterator[dict[str, Cost]]:
    (path,) = real_data("media/videos/big_buck_bunny_480p_30s.mp4")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        works = {
            OURS: partial(_ours, path, folder, Cut()),
            PEER: partial(_theirs, path, folder),
            ONE_THREAD: partial(_theirs, path, folder, "-threads", "1"),
        }
        for name, work in works.items():
            work()
            if _frames(folder) != [FRAMES] * CLIPS:
                raise RuntimeError(f"{name} cut {_frames(folder)} frames")
        yield {name: _timed(ACCURATE, name, work) for name, work in works.items()}


@contextmanager
def _copied() -> Iterator[dict[str, Cost]]:
    (path,) = real_data("media/videos/big_buck_bunny_480p_30s.mp4")
    with tempfile.TemporaryDirectory() as place:
        works = {
            OURS: partial(_ours, path, Path(place), Cut(mode="copy")),
            ACCURATE_MODE: partial(_ours, path, Path(place), Cut()),
        }
        yield {name: _timed(COPIED, name, work) for name, work in works.items()}


def _write_film(path: Path, seconds: int) -> None:
    """A film of 640 x 360: two minutes, again and again."""
    short = path.with_name("short.mp4")
    picture = ["-f", "lavfi", "-i", f"testsrc2=s=640x360:r={_RATE}:d=120", "-f", "lavfi", "-i", "sine=d=120"]
    run([*picture, "-c:v", "libx264", "-preset", "ultrafast", "-g", "48", "-shortest", str(short)], 120)
    again = str(-(-seconds // 120) - 1)
    run(["-stream_loop", again, "-i", str(short), "-c", "copy", "-t", str(seconds), str(path)], 120)


def _spread(path: Path) -> list[tuple[int, int, int, int]]:
    """40 clips of 48 frames, spread over the whole film."""
    with av.open(str(path)) as container:
        unit = container.streams.video[0].time_base or 0
        times = sorted(packet.pts for packet in container.demux(video=0) if packet.pts is not None and packet.size)
    starts = [place * (len(times) - 49) // 40 for place in range(40)]
    return [(at, at + 48, round(1000 * times[at] * unit), round(1000 * times[at + 48] * unit)) for at in starts]


def _cut_film(path: Path, spans: list[tuple[int, int, int, int]]) -> None:
    """Cuts clips in this process and says what it and its largest child held at most, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        problems = [clip.problem for clip in cut(path, spans, Cut(), folder) if clip.problem is not None]
    if problems:
        raise RuntimeError(problems[0])
    lines = Path("/proc/self/status").read_text().splitlines()
    (own,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    held = int(own) + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    sys.stdout.write(f"{held * 1024}\n")


def _peak(name: str, path: Path) -> float:
    command = [sys.executable, "-m", "bench.cutting", str(path), json.dumps(_spread(path))]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    peak = float(done.stdout.split()[-1])
    MEMORY.notes[name] = f"{peak / 1e6:.0f} MB"
    return peak


@contextmanager
def _lengths() -> Iterator[dict[str, Cost]]:
    with tempfile.TemporaryDirectory() as folder:
        paths = {OURS: Path(folder) / "long.mp4", TWO_MINUTES: Path(folder) / "brief.mp4"}
        _write_film(paths[OURS], TWO_HOURS)
        _write_film(paths[TWO_MINUTES], 120)
        yield {name: partial(_peak, name, path) for name, path in paths.items()}


ACCURATE = Row(
    "cut-accurate",
    f"{CLIPS} frame-accurate clips of 3 s of a film of 854 x 480",
    "CPU s",
    {PEER: 1, ONE_THREAD: 1},
    _accurate,
    3,
)
COPIED = Row(
    "cut-copy", f"{CLIPS} clips copied at key frames, of 3 s of the same film", "CPU s", {ACCURATE_MODE: 10}, _copied, 3
)
MEMORY = Row(
    "cut-memory",
    "peak memory of a process and its FFmpeg that cuts 40 clips of 2 s out of 2 hours of 640 x 360",
    "bytes",
    {TWO_MINUTES: 0.83},
    _lengths,
    1,
)
ROWS = (ACCURATE, COPIED, MEMORY)

if __name__ == "__main__":
    _cut_film(Path(sys.argv[1]), [tuple(span) for span in json.loads(sys.argv[2])])
