"""Speech to text with times by the Whisper family of transformers, in this process."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from curation.captions.batching import Batcher, is_out_of_memory
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import SOUND_RATE, Sound, Spoken
from curation.errors import StageError
from curation.pretrained import Checkpoint
from curation.recipe.captions import LocalModel

WINDOW_S: Final = 30
"""Seconds that Whisper hears at a time."""
_CUT_S: Final = 6  # of a window's end in which it is cut, where it is quietest, so that no word is
_QUIET_S: Final = 0.2  # length of such a pause
_SILENCE: Final = 1e-4  # loudest sample of what is not listened to: -80 dB
_NO_SPEECH: Final = {"no_speech_threshold": 0.6, "logprob_threshold": -1.0}
_REPEATED: Final = 2.4
"""Compression ratio above which a text only repeats itself. (These three: Radford et al. 2022, 4.5.)"""


class _Window(NamedTuple):
    start: int
    """Sample of the sound at which it begins."""
    sound: Sound


class _Heard(NamedTuple):
    language: str | None
    """None: the model knows one alone."""
    spoken: list[Spoken]
    """From the window's begin."""


class LocalTranscriber:
    """A model of the Whisper family. Windows of all sounds that are asked for at a time go into one batch."""

    def __init__(self, settings: LocalModel) -> None:
        """Raises StageError."""
        self._checkpoint = checkpoint = Checkpoint(settings.model, "transcriber", settings.device, settings.dtype)
        if checkpoint.part("AutoConfig").model_type != "whisper":
            raise checkpoint.refuse("a model of the Whisper family")
        self._model: Any = checkpoint.model("AutoModelForSpeechSeq2Seq")
        self._processor: Any = checkpoint.part("AutoProcessor")
        told = self._model.generation_config
        if getattr(told, "no_timestamps_token_id", None) is None:
            raise checkpoint.refuse("one whose generation_config.json knows times (no_timestamps_token_id)")
        languages = getattr(told, "lang_to_id", None) or {}
        self._languages = {code: mark.strip("<|>") for mark, code in languages.items()}
        self._batched = Batcher(self._heard, settings.batch)
        self.slots = 2 * settings.batch

    def hear(self, sound: Sound, language: str | None, key: str) -> list[Spoken]:
        """What is said, ascending. language: as ISO 639-1; None, or one that the model does not know: found out, by
        the first window that is not silent. Raises CaptionFaultError, StageError.
        """
        known = language if language in self._languages.values() else None
        found: list[Spoken] = []
        for window in windows(sound):
            heard = self._ask(known, window.sound)
            known = known or heard.language
            begin = round(1000 * window.start / SOUND_RATE)
            end = begin + round(1000 * len(window.sound) / SOUND_RATE)
            for each in heard.spoken:
                start_ms, end_ms = min(begin + each.start_ms, end), min(begin + each.end_ms, end)
                if start_ms < end_ms:
                    found.append(Spoken(start_ms, end_ms, each.text))
        return found

    def _ask(self, language: str | None, sound: Sound) -> _Heard:
        try:
            return self._batched(language, (language, sound))
        except (CaptionFaultError, StageError):
            raise
        except Exception as error:  # noqa: BLE001 - foreign code, of any model
            fault = Fault.OUT_OF_MEMORY if is_out_of_memory(error) else Fault.MODEL
            raise CaptionFaultError(fault, f"{type(error).__name__}: {error}") from None

    def _heard(self, asked: list[tuple[str | None, Sound]]) -> list[_Heard]:
        """Of windows with one language, or of those of which it is to be found out."""
        torch, extractor = self._checkpoint.torch, self._processor.feature_extractor
        sounds = [sound for _, sound in asked]
        features = extractor(sounds, sampling_rate=SOUND_RATE, return_tensors="pt")["input_features"]
        features = features.to(self._checkpoint.device, self._model.dtype)
        language = asked[0][0]
        with torch.inference_mode():
            languages = self._found(features) if language is None else [language] * len(sounds)
            settings = {"language": languages, "task": "transcribe"} if self._languages else {}
            told = self._model.generate(
                input_features=features, return_timestamps=True, return_segments=True, temperature=0.0,
                force_unique_generate_call=True, **_NO_SPEECH, **settings,
            )  # fmt: skip
        return [
            _Heard(code, list(self._spoken(segments)))
            for code, segments in zip(languages, told["segments"], strict=True)
        ]

    def _found(self, features: Any) -> list[str | None]:
        if not self._languages:
            return [None] * len(features)
        return [self._languages[code] for code in self._model.detect_language(input_features=features).tolist()]

    def _spoken(self, segments: list[dict[str, Any]]) -> Iterator[Spoken]:
        for segment in segments:
            text = self._processor.tokenizer.decode(segment["tokens"], skip_special_tokens=True).strip()
            data = text.encode("utf-8", "replace")
            if text and len(data) / len(zlib.compress(data)) <= _REPEATED:
                yield Spoken(round(1000 * float(segment["start"])), round(1000 * float(segment["end"])), text)


def windows(sound: Sound) -> Iterator[_Window]:
    """A sound in pieces of 30 s at most, each cut at the quietest moment of its last 6 s. Silent ones are left out."""
    start, length = 0, WINDOW_S * SOUND_RATE
    while start < len(sound):
        piece = sound[start : start + length]
        if start + length < len(sound):
            piece = piece[: _quietest(piece)]
        if np.abs(piece).max() > _SILENCE:
            yield _Window(start, piece)
        start += len(piece)


def _quietest(piece: Sound) -> int:
    """Middle of the quietest moment of its end."""
    pause, begin = round(_QUIET_S * SOUND_RATE), len(piece) - _CUT_S * SOUND_RATE
    energy = np.concatenate([[0.0], np.cumsum(np.square(piece[begin:], dtype=np.float64))])
    return begin + int(np.argmin(energy[pause:] - energy[:-pause])) + pause // 2
