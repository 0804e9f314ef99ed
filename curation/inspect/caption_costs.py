"""What captions will cost: requests, tokens and money of each model, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from curation.captions.prompts import Prompt
from curation.captions.strategies import requests_of
from curation.captions.strategies.expected import WORDS_PER_TOKEN
from curation.captions.toolbox import prompt_texts
from curation.digests import digest
from curation.inspect.wording import how_many
from curation.recipe.captions import PLACEHOLDERS, Captions, ModelCaptioner, TextsCaptioner
from curation.runner.stage import Manifest
from curation.schemas import SAMPLES
from curation.storage import Store

PICTURE_TOKENS: Final = 576
"""Of LLaVA-1.5: a patch of 14 pixels each, of 336 x 336. Other models take from 64 to several thousand."""
CLIP_MS: Final = 8477
"""Mean length of Panda-70M's clips, where no sample is known yet."""
_THOUSAND: Final = 1000


@dataclass(frozen=True)
class Pool:
    """Samples that may be captioned. known: False: a thousand of each kind, as an example."""

    images: int
    videos: int
    clip_ms: int
    known: bool


def sample_pool(store: Store, recipe: Any, samples: Manifest | None) -> Pool:
    """The samples that are there, with the mean length of those of the first unit that has videos."""
    fetched = () if recipe.fetch is None else recipe.fetch.modalities
    if samples is None:
        images, videos = (_THOUSAND * (kind in fetched) for kind in ("image", "video"))
        return Pool(images, videos, CLIP_MS, known=False)
    images, videos = (samples.counts.get(f"samples:{kind}", 0) for kind in ("image", "video"))
    return Pool(images, videos, _mean_ms(store, samples) if videos else CLIP_MS, known=True)


def _mean_ms(store: Store, samples: Manifest) -> int:
    for _, report in sorted(samples.reports.items()):
        parts = [pc.drop_null(batch.column("duration_ms"))
                 for batch in store.batches(report.paths(SAMPLES.name), ["duration_ms"])]  # fmt: skip
        found = np.concatenate([np.zeros(0), *map(np.asarray, parts)])
        if len(found):
            return round(float(found.mean()))
    return CLIP_MS


def cost_lines(section: Captions, pool: Pool, before: Manifest | None, samples: str | None) -> Iterator[str]:
    """One line per captioner that asks a model. before: captions as they are; samples: the version of these samples.

    A captioner that is as it was, and reads what it read, asks for samples that are new to it: none where the samples
    are those of before.
    """
    prompts = prompt_texts(section)
    same_samples = before is not None and samples is not None and before.inputs.get("samples") == samples
    earlier, changed = _made_before(before), set[str]()
    for captioner in section.captioners:
        own = prompts.get(captioner.label, {})
        made = _made_by(section, captioner, own)
        known = made in earlier.values() and not _reads(captioner, own) & changed
        if not known or earlier.get(captioner.label) != made:
            changed |= _gives(captioner)
        if isinstance(captioner, ModelCaptioner) and not (known and same_samples):
            told = _measured(before, captioner) if known and before is not None else {}
            yield _line(section, captioner, _wanted(pool, captioner), told, own)


def _made_by(section: Captions, captioner: TextsCaptioner | ModelCaptioner, prompts: Mapping[str, str]) -> str:
    told = [section.of_result(captioner, modality) for modality in getattr(captioner, "modalities", ("image",))]
    return digest(told, dict(prompts))


def _gives(captioner: TextsCaptioner | ModelCaptioner) -> set[str]:
    """What prompts name its words by; those that are there without any captioner left out."""
    hears = captioner.languages if isinstance(captioner, TextsCaptioner) else captioner.strategy == "transcribe"
    return {captioner.label} - PLACEHOLDERS | ({"subtitles"} if hears else set())


def _reads(captioner: TextsCaptioner | ModelCaptioner, prompts: Mapping[str, str]) -> set[str]:
    """What its prompts name, without kinds, and subtitles where its strategy is about them."""
    names = {name.partition(".")[0] for text in prompts.values() for name in Prompt.parse(text).names}
    return names | ({"subtitles"} if getattr(captioner, "strategy", "") == "speech" else set())


def _made_before(before: Manifest | None) -> dict[str, str]:
    """What the captioners of before were, by their labels; none where their settings are of another release."""
    if before is None:
        return {}
    settings = before.settings
    try:
        captioners = [settings["captioners"][label] for label in settings["order"]]
        section = Captions.model_validate({"captioners": captioners, "models": settings["models"]})
        return {each.label: _made_by(section, each, settings["prompts"].get(each.label, {}))
                for each in section.captioners}  # fmt: skip
    except (KeyError, ValueError):
        return {}


def _measured(before: Manifest, captioner: ModelCaptioner) -> dict[str, int]:
    return {what: before.counts.get(f"{what}:{captioner.name}", 0) for what in _MEASURED}


def _wanted(pool: Pool, captioner: ModelCaptioner) -> Pool:
    """The samples that a captioner looks at."""
    images = pool.images if "image" in captioner.modalities and captioner.strategy not in _OF_SOUND else 0
    return replace(pool, images=images, videos=pool.videos if "video" in captioner.modalities else 0)


_OF_SOUND = ("speech", "transcribe")
_MEASURED = ("requests", "prompt_tokens", "answer_tokens")


def _line(
    section: Captions, captioner: ModelCaptioner, pool: Pool, told: Mapping[str, int], prompts: Mapping[str, str]
) -> str:
    each = {length: requests_of(captioner, length, prompts) for length in (0, pool.clip_ms)}
    numbers = ((pool.images, each[0]), (pool.videos, each[pool.clip_ms]))
    requests = sum(number * expected.requests for number, expected in numbers)
    whom = f"{captioner.model} for {captioner.name}, at most: {_rounded(requests)} requests for {_whom(pool)}"
    if captioner.strategy == "transcribe":
        return f"{whom}, their sound"
    pictures = sum(number * expected.pictures for number, expected in numbers)
    tokens = sum(number * expected.prompt_words for number, expected in numbers) / WORDS_PER_TOKEN
    tokens, answers = tokens + pictures * PICTURE_TOKENS, float(requests * captioner.max_tokens)
    basis = f", {PICTURE_TOKENS} for each of {_rounded(pictures)} pictures" if pictures else ""
    if told.get("requests") and told.get("prompt_tokens"):
        share = requests / told["requests"]
        tokens, answers = told["prompt_tokens"] * share, told["answer_tokens"] * share
        basis = ", as before in this folder"
    model = section.models[captioner.model]
    prices = (getattr(model, "price_in", 0.0), getattr(model, "price_out", 0.0))
    cost = (tokens * prices[0] + answers * prices[1]) / 1e6
    money = f"; {cost:,.2f} at the recipe's prices" if any(prices) else ""
    return f"{whom}, {_rounded(tokens)} tokens{basis}, {_rounded(answers)} tokens of answers{money}"


def _whom(pool: Pool) -> str:
    parts = [how_many(pool.images, "image")] if pool.images else []
    if pool.videos:
        parts.append(f"{how_many(pool.videos, 'video')} of {pool.clip_ms / 1000:.1f} s")
    words = " and ".join(parts) or "no sample"
    return words if pool.known or not parts else f"every {words}"


def _rounded(number: float) -> str:
    """Two digits are all that an estimate deserves."""
    whole = round(number)
    return f"{round(whole, -max(0, len(str(whole)) - 2)):,}"
