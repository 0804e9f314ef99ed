"""A sample's bytes in the work folder as models want them, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import Frames, Picture, Sound
from curation.captions.samples import Media
from curation.stages.video_units import SourceGoneError, local_file
from curation.storage import Store


@contextmanager
def opened(store: Store, sample: Mapping[str, Any]) -> Iterator[Media]:
    """The media of a row of `samples`; what is copied for it goes at the end."""
    with ExitStack() as stack:
        yield _Stored(store, sample, stack)


class _Stored:
    """Nothing is read until something is asked for: most captioners ask for nothing."""

    def __init__(self, store: Store, sample: Mapping[str, Any], stack: ExitStack) -> None:
        self._store, self._sample, self._stack = store, sample, stack

    @cached_property
    def _media(self) -> Media:
        from curation.captions.media import ImageMedia, VideoMedia  # PyAV's libraries: only where they are needed

        path, offset, size = (self._sample[name] for name in ("path", "offset", "size_bytes"))
        try:
            if self._sample["modality"] == "image":
                return ImageMedia(self._store.part(path, offset, size))
            is_whole = not path.endswith(".tar")
            file = local_file(self._store, path) if is_whole else local_file(self._store, path, offset, size)
            return VideoMedia(self._stack.enter_context(file))
        except (FileNotFoundError, SourceGoneError):
            raise CaptionFaultError(Fault.NO_MEDIA, f"{path} is gone") from None

    def pictures(self, times_ms: Sequence[int], longest_side: int | None = None) -> list[Picture]:
        return self._media.pictures(times_ms, longest_side)

    def frames(self, times_ms: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Frames]]:
        return self._media.frames(times_ms, size)

    def sound(self) -> Sound | None:
        return self._media.sound()
