"""captions: samples to words about them, by every captioner of the recipe. One unit per media bucket.

What is known of a sample by the same captioner, model, prompts, bytes and words is taken over from before; what a
server answered is kept until the unit is done, so that a killed worker asks nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import cache, partial
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import pyarrow as pa

from curation.balance import pair_ids
from curation.captions.captioning import Captioning, Known, Outcome, Taken
from curation.captions.faults import PASSING as PASSING_FAULTS
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.films import Film
from curation.captions.journal import AnswerJournal
from curation.captions.samples import Caption
from curation.captions.toolbox import Toolbox, prompt_texts
from curation.captions.words import Words
from curation.digests import digest
from curation.errors import RecipeError
from curation.recipe import Captions as CaptionsSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Manifest, Planning, Task
from curation.runner.units import Unit, UnitReport, UnitWriter, read_report, reports_folder
from curation.schemas import CAPTIONS, MODALITIES, SAMPLE_TEXTS, SAMPLES, VIDEOS
from curation.stages.along import Along
from curation.stages.buckets import bucket_of
from curation.stages.following import PASSING, FollowingStage, of_unit
from curation.stages.ordered_work import in_order
from curation.stages.sample_media import opened
from curation.storage import Store
from curation.text import LanguageIdentifier

ANSWERS = "_runs/captions/answers"
_WRITTEN = 256
_REPORTS = 8
"""Earlier reports of a unit, the newest, whose captions are taken over: each is read along."""

Row = dict[str, Any]


class Captions(FollowingStage):
    """Every captioner says something of every sample, nothing, or why it failed.

    silent and failed are counted by captioner. Counts beside the laws': requests:CAPTIONER, prompt_tokens:CAPTIONER and
    answer_tokens:CAPTIONER, of all its captions, those that were taken over, too; of this attempt alone replayed:MODEL,
    answers that an attempt before was given, and left:WHAT, what strategies left out of answers.
    """

    name = "captions"
    about = "caption the samples"
    after = ("fetch", "samples")
    outputs = (CAPTIONS,)
    laws = (
        Law(("in:samples",), ("samples",)),
        Law(("asked",), ("captioned", "silent:*", "failed:*")),
        Law(("rows:captions",), ("texts", "told_silent", "failed:*")),
    )
    source = ("samples", SAMPLES.name)
    once = True

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        section = section_of(recipe)
        captioners = {captioner.label: captioner.model_dump() for captioner in section.captioners}
        models = section.model_dump(include={"models"})
        return {"order": list(captioners), "captioners": captioners, **models, "prompts": prompt_texts(section)}

    def kind(self, planning: Planning) -> str:
        section = section_of(planning.recipe)
        kinds = [(each.label, section.of_result(each, kind)) for each in section.captioners for kind in MODALITIES]
        modalities = [getattr(each, "modalities", None) for each in section.captioners]
        return digest(self.name, self.code_version, kinds, modalities, planning.settings["prompts"])[:16]

    def inputs(self, planning: Planning, name: str) -> tuple[dict[str, Any], list[str]]:
        samples, content = of_unit(planning.inputs["samples"], name, SAMPLES.name)
        texts, content_of_texts = of_unit(planning.inputs["samples"], name, SAMPLE_TEXTS.name)
        content = [*content, *content_of_texts]
        videos = []
        for unit, report in sorted(planning.inputs["fetch"].reports.items()):
            if bucket_of(unit) == name:
                videos += report.paths(VIDEOS.name)
                content = [*content, *report.content(VIDEOS.name)]
        return {"samples": samples, "texts": texts, "videos": videos}, content

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        captioners = [task.settings["captioners"][label] for label in task.settings["order"]]
        section = CaptionsSection.model_validate({"captioners": captioners, "models": task.settings["models"]})
        videos, before = _Videos(task.store, unit.inputs["videos"]), _Before(task.store, self.name, unit)
        texts = Along(task.store, unit.inputs["texts"], "media_id", SAMPLE_TEXTS.columns)
        with (
            AnswerJournal(task.store, f"{ANSWERS}/{unit.name}") as journal,
            Toolbox(section, journal, task.tasks) as tools,
        ):
            captioning = Captioning(section, task.settings["prompts"], tools.of_captioners())

            def captioned(item: tuple[Row, Words, Known]) -> tuple[Row, list[Outcome]]:
                row, words, known = item
                return row, captioning.outcomes(row, words, known, lambda row: opened(task.store, row))

            samples = task.store.batches(unit.inputs["samples"], SAMPLES.columns, _WRITTEN)
            rows = (row for batch in samples for row in batch.to_pylist())
            items = (
                (row, Words(row, texts.of(row["media_id"]), videos.of(row)), before.of(row["sample_id"]))
                for row in rows
            )
            with closing(in_order(captioned, items, tools.threads)) as found:  # its threads end before what they use
                while part := list(islice(found, _WRITTEN)):
                    task.check_claim()
                    _write(part, writer)
            for name, spend in tools.spent().items():
                writer.counts[f"replayed:{name}"] += spend.replayed
            for what, number in tools.left_out().items():
                writer.counts[f"left:{what}"] += number

    def committed(self, unit: Unit, task: Task, report: UnitReport) -> None:
        """Answers are needed until nothing is asked for again: of a sample that failed, some may be there."""
        if self.is_final(unit, report):
            task.store.remove_tree(f"{ANSWERS}/{unit.name}")

    def settle(self, planning: Planning, manifest: Manifest) -> None:
        """Answers of units that are done, whose workers were killed before they let them go."""
        for name in planning.store.names(ANSWERS):
            report = manifest.reports.get(name)
            if report is not None and not report.counts.get(PASSING):
                planning.store.remove_tree(f"{ANSWERS}/{name}")


def section_of(recipe: Recipe) -> CaptionsSection:
    """The section captions. Raises RecipeError where the recipe has none."""
    if recipe.captions is None:
        raise RecipeError("nothing is captioned: add the section captions to the recipe, e.g. captions: {}")
    return recipe.captions


class _Videos:
    """What is known of the videos of a bucket, one of them for all its samples, which are asked for one after the
    other. In memory for one bucket, their subtitles, too.
    """

    def __init__(self, store: Store, paths: list[str]) -> None:
        self._table = store.table(paths, VIDEOS.schema).combine_chunks()
        self._places = {media_id: place for place, media_id in enumerate(self._table.column("media_id").to_pylist())}
        self._last: tuple[int, Film] | None = None

    def of(self, sample: Row) -> Film | None:
        place = self._places.get(sample["media_id"])
        if sample["modality"] != "video" or place is None:
            return None
        if self._last is None or self._last[0] != place:
            self._last = place, Film(partial(self._row, place))
        return self._last[1]

    def _row(self, place: int) -> Row:
        row: Row = self._table.slice(place, 1).to_pylist()[0]
        return row


class _Before:
    """Outcomes of earlier units of the same name: samples are asked for in the order of their ids."""

    def __init__(self, store: Store, stage: str, unit: Unit) -> None:
        names = unit.inputs["earlier"]
        reports = [report for name in names if (report := read_report(store, f"{reports_folder(stage)}/{name}"))]
        reports = sorted(reports, key=lambda report: report.finished_at, reverse=True)[:_REPORTS]
        paths = (report.paths(CAPTIONS.name) for report in reports)
        self._newest_first = [Along(store, own, "sample_id", CAPTIONS.columns, may_be_gone=True) for own in paths]

    def of(self, sample_id: str) -> Known:
        found: dict[str, Outcome] = {}
        for report in self._newest_first:
            for outcome in _outcomes(report.of(sample_id)):
                newer = found.setdefault(outcome.made_from, outcome)
                if newer.fault is not None and outcome.fault is None:  # by clocks of several machines
                    found[outcome.made_from] = outcome
        return found


def _outcomes(rows: list[Row]) -> Iterator[Outcome]:
    """Rows of one sample as they came to be."""
    for (captioner, made_from), group in groupby(rows, itemgetter("captioner", "made_from")):
        own = list(group)
        first = own[0]
        taken = None if first["requests"] is None else Taken(*(first[name] for name in Taken._fields))
        if first["status"] == "failed":
            fault = CaptionFaultError(Fault(first["error"]), first["detail"])
            yield Outcome(captioner, made_from, first["model"], None, fault, taken)
            continue
        captions = [Caption(*(row[name] for name in Caption._fields)) for row in own if row["status"] == "ok"]
        yield Outcome(captioner, made_from, first["model"], captions, None, taken)


def _write(part: list[tuple[Row, list[Outcome]]], writer: UnitWriter) -> None:
    """Rows of some samples, and what they count as."""
    rows = []
    for sample, outcomes in part:
        writer.counts["samples"] += 1
        for outcome in outcomes:
            rows += _rows(sample, outcome, writer.counts)
    texts = [row for row in rows if row["text"] is not None]
    ids = pair_ids(*(pa.array([row[name] for row in texts], pa.string()) for name in ("sample_id", "text")))
    for row, own_id in zip(texts, ids.to_pylist(), strict=True):
        row["pair_id"] = row["pair_id"] or own_id
    unknown = [row for row in texts if row["lang"] is None]
    langs, _ = _identifier().identify(pa.array([row["text"] for row in unknown], pa.string()))
    for row, lang in zip(unknown, langs.to_pylist(), strict=True):
        row["lang"] = lang
    writer.write(CAPTIONS, pa.RecordBatch.from_pylist(rows, schema=CAPTIONS.schema))


@cache
def _identifier() -> LanguageIdentifier:
    """Of this process; for the one thread that writes."""
    return LanguageIdentifier()


def _rows(sample: Row, outcome: Outcome, counts: Counter[str]) -> list[Row]:
    """What was taken of a model is told by the first one."""
    same = {name: sample[name] for name in ("sample_id", "media_id", "media_bucket", "modality", "stored_sha256")}
    same |= {"captioner": outcome.captioner, "made_from": outcome.made_from, "model": outcome.model}
    nothing = dict.fromkeys(CAPTIONS.columns) | same | {"kind": "", "ordinal": 0}
    taken: Row = {} if outcome.taken is None else outcome.taken._asdict()
    counts["asked"] += 1
    for what, number in taken.items():
        counts[f"{what}:{outcome.captioner}"] += number
    if outcome.fault is not None:
        fault = outcome.fault
        counts[f"failed:{outcome.captioner}.{fault.fault}"] += 1
        counts[PASSING] += fault.fault in PASSING_FAULTS
        return [nothing | {"status": "failed", "error": str(fault.fault), "detail": fault.detail} | taken]
    if not outcome.captions:
        counts[f"silent:{outcome.captioner}"] += 1
        if outcome.model is None:  # words that need no model are looked up again for nothing
            return []
        counts["told_silent"] += 1
        return [nothing | {"status": "silent"} | taken]
    counts["captioned"] += 1
    counts["texts"] += len(outcome.captions)
    ordinals: Counter[str] = Counter()
    rows = []
    for caption in outcome.captions:
        rows.append(nothing | caption._asdict() | {"status": "ok", "ordinal": ordinals[caption.kind]} | taken)
        taken = {}
        ordinals[caption.kind] += 1
    return rows
