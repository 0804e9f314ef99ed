"""All captioners of a recipe, one after the other, on one sample: what each says, or why it says nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from curation.captions.faults import PASSING, CaptionFaultError
from curation.captions.models import Answer, Request, Sound, Spoken
from curation.captions.prompts import Prompt
from curation.captions.samples import Caption, Media, Sample
from curation.captions.strategies import Tools, run_strategy, with_short
from curation.captions.strategies.tools import needed
from curation.captions.timed_text import Cue
from curation.captions.words import Words
from curation.digests import digest
from curation.recipe.captions import Captions, ModelCaptioner, TextsCaptioner
from curation.schemas import MODALITIES

CODE = 1
"""Raised when the same models, prompts and samples give other captions."""

Row = dict[str, Any]
OpenMedia = Callable[[Mapping[str, Any]], AbstractContextManager[Media]]
"""A row of `samples` to its bytes, which are read when they are asked for."""


class Taken(NamedTuple):
    """What was taken of a model: good answers, and tokens where its back end counts them."""

    requests: int
    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class Outcome:
    """What a captioner says of a sample. captions: []: nothing to say; None: it failed, for `fault`."""

    captioner: str
    made_from: str
    model: str | None
    """None: none was asked."""
    captions: list[Caption] | None
    fault: CaptionFaultError | None = None
    taken: Taken | None = None
    """Of its model; None: it has none."""


class Tally:
    """The models of one captioner, which count what it takes of them for one sample."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.slots = 1
        self.taken = Taken(0, 0, 0)

    def tools(self) -> Tools:
        """The same tools, counted."""
        chat = None if self._tools.chat is None else self
        return replace(self._tools, chat=chat, transcriber=None if self._tools.transcriber is None else self)

    def ask(self, request: Request) -> Answer:
        answer = needed(self._tools.chat, "caption").ask(request)
        self._count(answer.prompt_tokens or 0, answer.answer_tokens or 0)
        return answer

    def transcribe(self, sound: Sound, language: str | None) -> list[Spoken]:
        spoken = needed(self._tools.transcriber, "speech").transcribe(sound, language)
        self._count(0, 0)
        return spoken

    def _count(self, prompt: int, answer: int) -> None:
        requests, prompts, answers = self.taken
        self.taken = Taken(requests + 1, prompts + prompt, answers + answer)


Known = Mapping[str, Outcome]
"""Outcomes of before by what they were made from, whatever their captioner was called."""


class Captioning:
    """The captioners of a section, ready to run. Safe to call from threads.

    prompts: of each model captioner, kind -> text. tools: of each, its models.
    """

    def __init__(self, section: Captions, prompts: Mapping[str, Mapping[str, str]], tools: Mapping[str, Tools]) -> None:
        self._section, self._tools = section, tools
        self._prompts = {
            label: {kind: Prompt.parse(text) for kind, text in sorted(own.items())} for label, own in prompts.items()
        }
        self._kinds = {
            (each.label, modality): digest(CODE, section.of_result(each, modality), prompts.get(each.label))
            for each in section.captioners
            for modality in MODALITIES
        }
        wanted = (each.languages for each in section.captioners if isinstance(each, TextsCaptioner))
        self._languages = next((languages for languages in wanted if languages), [])
        models = (each for each in section.captioners if isinstance(each, ModelCaptioner))
        self._needs_cues = any(map(self._uses_cues, models))

    def outcomes(self, row: Row, words: Words, known: Known, open_media: OpenMedia) -> list[Outcome]:
        """One per captioner. Those of before are taken over where they were made from the same, and did not fail for
        what may have passed.
        """
        with open_media(row) as media:
            sample = self._sample(row, words, media)
            found = []
            for captioner in self._section.captioners:
                outcome = self._outcome(captioner, sample, words, row, known)
                found.append(outcome)
                sample = _with(sample, captioner, outcome.captions or [])
        return found

    def _sample(self, row: Row, words: Words, media: Media) -> Sample:
        facts = {
            **words.page,
            "chapters": [caption.text for caption in words.chapters],
            "hashtags": words.hashtags,
            "mark": row["mark"],
            "duration": _seconds(row["duration_ms"]),
            "start": _seconds(row["start_ms"]),
            "end": _seconds(row["end_ms"]),
        }
        texts = {"alt": [caption.text for caption in words.alts]}
        cues = words.subtitles(self._languages)[1] if self._needs_cues else []
        return Sample(row["sample_id"], row["modality"], row["duration_ms"] or 0, media, texts, cues, facts)

    def _outcome(
        self, captioner: TextsCaptioner | ModelCaptioner, sample: Sample, words: Words, row: Row, known: Known
    ) -> Outcome:
        label = captioner.label
        kind = self._kinds[label, sample.modality]
        if isinstance(captioner, TextsCaptioner):
            return Outcome(label, kind, None, words.captions(captioner))
        if sample.modality not in captioner.modalities:
            return Outcome(label, kind, None, [])
        made_from = digest(kind, row["stored_sha256"], self._words_of(captioner, sample))
        before = known.get(made_from)
        if before is not None and (before.fault is None or before.fault.fault not in PASSING):
            return replace(before, captioner=label)
        model = self._section.models[captioner.model].model
        tally = Tally(self._tools[label])
        try:
            captions = run_strategy(sample, captioner, tally.tools(), self._prompts[label])
        except CaptionFaultError as fault:
            return Outcome(label, made_from, model, None, fault, tally.taken)
        was_asked = model if captions or tally.taken.requests else None
        return Outcome(label, made_from, was_asked, with_short(captions), None, tally.taken)

    def _words_of(self, captioner: ModelCaptioner, sample: Sample) -> Any:
        """The words that its captions depend on: those that its prompts name, and what is said, where it is used."""
        names = {name for prompt in self._prompts[captioner.label].values() for name in prompt.names}
        told = {**(sample.facts or {}), **sample.texts}
        uses_cues = self._uses_cues(captioner)
        cues = [(cue.start_ms, cue.end_ms, cue.text) for cue in sample.cues] if uses_cues else []
        return sorted((name, told[name]) for name in names if name in told), cues, sample.duration_ms

    def _uses_cues(self, captioner: ModelCaptioner) -> bool:
        prompts = self._prompts[captioner.label].values()
        return captioner.strategy == "speech" or any("subtitles" in prompt.names for prompt in prompts)


def _seconds(time_ms: int | None) -> str | None:
    return None if time_ms is None else f"{time_ms / 1000:.1f}"


def _with(sample: Sample, captioner: TextsCaptioner | ModelCaptioner, captions: list[Caption]) -> Sample:
    """The sample with what a captioner said; speech that was recognised stands for subtitles where there are none."""
    kinds: dict[str, list[str]] = {}
    for caption in captions:
        kinds.setdefault(f"{captioner.label}.{caption.kind}", []).append(caption.text)
    texts = {**sample.texts, captioner.label: [caption.text for caption in captions], **kinds}
    hears = isinstance(captioner, ModelCaptioner) and captioner.strategy == "transcribe"
    if not hears or sample.cues:
        return replace(sample, texts=texts)
    spoken = [(each.start_ms, each.end_ms, each.text) for each in captions]
    cues = [Cue(start, end, text) for start, end, text in spoken if start is not None and end is not None]
    return replace(sample, texts=texts, cues=cues)
