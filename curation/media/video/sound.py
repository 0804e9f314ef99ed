"""How loud a clip is, and how much of it is silence: by FFmpeg's own filters, on the frames as they are decoded."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.filter import Graph
from av.filter.context import FilterContext

from curation.recipe.clip_rules import Scores

GATE: Final = -70.0
"""LUFS below which sound does not count (the absolute gate of ITU-R BS.1770-4), and FFmpeg's answer to silence."""
_BLOCK: Final = Fraction(2, 5)
"""Seconds of a gating block, there too: less sound than that has no loudness."""


class Sound:
    """The sound of one clip, added frame by frame; only sums are held."""

    def __init__(self, settings: Scores) -> None:
        self._silence = f"noise={settings.silence_db}dB:duration={settings.silence_seconds}"
        self._graph = Graph()  # its ends do not keep it alive
        self._ends: tuple[FilterContext, FilterContext] | None = None
        self._kind: tuple[str, str, int] | None = None
        self._samples = 0
        self._silent = 0.0
        self._silent_since: float | None = None
        self._loudness: float | None = None

    def add(self, frame: AudioFrame) -> None:
        """The next decoded frame. Raises FFmpegError where FFmpeg cannot measure it, as where its format changes."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._ends is None:
            self._ends, self._kind = self._chain(kind), kind
        frame.pts, frame.time_base = self._samples, Fraction(1, frame.sample_rate)
        self._ends[0].push(frame)
        self._samples += frame.samples
        self._drain(self._ends[1])

    def finish(self) -> None:
        """After the last frame; the scores are there then."""
        if self._ends is not None:
            self._ends[0].push(None)
            self._drain(self._ends[1])
            if self._silent_since is not None:
                self._silent += self._seconds - self._silent_since

    @property
    def loudness(self) -> float | None:
        """Integrated loudness in LUFS (EBU R 128; FFmpeg's ebur128), GATE where all is softer; None: below 0.4 s."""
        return self._loudness if self._seconds >= _BLOCK else None

    @property
    def silence_share(self) -> float | None:
        """Share of the sound's time in silences, as FFmpeg's silencedetect finds them; None: no sound at all."""
        return min(1.0, max(0.0, self._silent / self._seconds)) if self._samples else None

    @property
    def _seconds(self) -> float:
        return self._samples / self._kind[2] if self._kind else 0.0

    def _chain(self, kind: tuple[str, str, int]) -> tuple[FilterContext, FilterContext]:
        graph, (sample_format, layout, rate) = Graph(), kind
        self._graph = graph
        source = graph.add_abuffer(sample_rate=rate, format=sample_format, layout=layout, time_base=Fraction(1, rate))
        # silencedetect comes last: ebur128 cuts the sound anew and would lose what is written on frames
        filters = (("ebur128", "metadata=1:framelog=quiet"), ("silencedetect", self._silence), ("abuffersink", None))
        last = source
        for name, arguments in filters:
            following = graph.add(name, arguments)
            last.link_to(following)
            last = following
        graph.configure()
        return source, last

    def _drain(self, sink: FilterContext) -> None:
        while True:
            try:
                told = sink.pull().metadata
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            if "lavfi.r128.I" in told:
                self._loudness = max(GATE, float(told["lavfi.r128.I"]))
            if "lavfi.silence_duration" in told:
                self._silent += float(told["lavfi.silence_duration"])
                self._silent_since = None
            if "lavfi.silence_start" in told:
                self._silent_since = float(told["lavfi.silence_start"])
