"""What the commands do: a recipe, a work folder, and the stages between them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from curation.captions.toolbox import check_models, prompt_texts
from curation.concepts import Vocabulary, check_location
from curation.crawl import expand_inputs
from curation.errors import RecipeError, StageError, WorkFolderError
from curation.inspect.card import CARD_JSON, CARD_MARKDOWN, write_card
from curation.inspect.terminal import print_heart
from curation.media.hooks import find_hook
from curation.media.refusals import Refusals, Tombstones
from curation.media.video.extensions import check_extensions
from curation.pipeline import ALL_STAGES, stages_of
from curation.recipe import Recipe, Runtime
from curation.runner.catalog import Catalog
from curation.runner.engine import SparkEngine, WorkEngine
from curation.runner.progress import Reporter
from curation.runner.run import Run, StageOutcome
from curation.runner.stage import Stage
from curation.storage import Store, storage_errors
from curation.top_up import Sizes, TopUp, check, measured
from curation.top_up import top_up as topped_up


def run(
    recipe: Recipe, store: Store, *, reporter: Reporter, out: Console, until: str | None = None, only: str | None = None
) -> list[StageOutcome]:
    """Brings the stages up to date in order, up to `until`, or `only` one whose inputs are there already."""
    started = time.monotonic()
    outcomes: list[StageOutcome] = []
    stages = _asked_for(recipe, until or only)
    width = 1 + max(len(stage.name) for stage in stages)
    _check_places(recipe)  # now, not after hours of extraction
    with storage_errors(store):
        refuse_foreign(store)
        scratch = scratch_folder(store)
        spark = partial(start_spark, recipe.runtime, recipe.name, scratch, ending := ExitStack())
        engine = Run(store, recipe, ALL_STAGES, spark, reporter)
        with engine.lease(), ending:
            clean_scratch(scratch)
            if only is not None:
                _refuse_behind(engine, only)
            for stage in stages:
                if only is not None and stage.name != only:
                    continue
                outcome = engine.execute(stage)
                outcomes.append(outcome)
                reporter.say(outcome_line(stage, outcome, width))
                if stage.name == until:
                    break
            else:
                if only is None or only == stages[-1].name:
                    print_heart(write_card(engine.catalog, recipe), out)
        if only is not None or until is not None:
            _drop_outdated_card(store, outcomes, stages[-1].name)
    done = sum(outcome.units_done for outcome in outcomes)
    idle = (
        "earlier results taken up again" if any(o.published for o in outcomes) else "nothing to do: all is up to date"
    )
    verdict = f"{done} units done" if done else idle
    reporter.say(f"{verdict} in {time.monotonic() - started:.1f} s; results in {store.root}")
    return outcomes


def _check_places(recipe: Recipe) -> None:
    """Raises a CurationError where something is not there that the recipe names and later stages need."""
    for location in recipe.match.vocabularies.values():
        check_location(location)
    if recipe.fetch is not None:
        for hook in recipe.fetch.hooks:
            find_hook(hook)
        if recipe.clips is not None:
            check_extensions(recipe.clips.split.features, recipe.scores.text_finder)
        Refusals(recipe.fetch.opt_out, Tombstones())
    if recipe.captions is not None:
        prompt_texts(recipe.captions)
        check_models(recipe.captions)


def _asked_for(recipe: Recipe, name: str | None) -> tuple[Stage, ...]:
    """The recipe's stages. Raises RecipeError where `name` is none of them."""
    stages = stages_of(recipe)
    if name is not None and name not in [stage.name for stage in stages]:
        raise RecipeError(f"the recipe does not ask for the stage {name}: add its section, e.g. fetch: {{}}")
    return stages


def _drop_outdated_card(store: Store, outcomes: list[StageOutcome], last: str) -> None:
    """A card beside newer data would tell of a selection that readers no longer see."""
    if any(outcome.published for outcome in outcomes) and outcomes[-1].manifest.stage != last:
        for name in (CARD_JSON, CARD_MARKDOWN):
            store.remove(name)


def refuse_foreign(store: Store) -> None:
    """A folder that holds something else is not filled, let alone cleaned."""
    if store.is_local and Path(store.root).is_file():
        raise WorkFolderError(f"{store.root} is a file: give a folder with --work")
    names = store.names("")
    if names - {"_spark", "_lease.json"} and "_runs" not in names:
        raise WorkFolderError(
            f"{store.root} holds other files ({', '.join(sorted(names)[:3])}): give an empty or new folder with --work"
        )


def _refuse_behind(engine: Run, only: str) -> None:
    """One stage alone is done only on results of this very recipe."""
    for stage in stages_of(engine.recipe):
        if stage.name == only:
            return
        if not engine.plan(stage).is_current:
            raise StageError(
                f"{stage.name} has not been run with this recipe, or not on these inputs: run it before {only}"
            )


def outcome_line(stage: Stage, outcome: StageOutcome, width: int = 8) -> str:
    """What a run tells of a stage; width: of the column of names."""
    manifest = outcome.manifest
    dataset = stage.outputs[0].name
    rejected = sum(manifest.rejected.values())
    what = f"{manifest.rows(dataset):,} {dataset}"
    parts = [f"{manifest.stage:<{width}}{what:<28}"]
    if outcome.units_done:
        parts.append(f"{outcome.units_done} units in {outcome.wall_s:.1f} s")
        if outcome.units_reused:
            parts.append(f"{outcome.units_reused} kept")
    else:
        parts.append("up to date")
    if rejected:
        parts.append(f"{rejected:,} rejected")
    notes = "".join(f"\n{'':<{width}}note: {note}" for note in manifest.context.get("notes", []))
    return "  ".join(parts) + notes


def scratch_folder(store: Store) -> str:
    """A local folder for Spark's shuffle files and log, gone with this process unless it was killed."""
    if store.is_local:
        base = Path(store.root) / "_spark"
        try:
            base.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkFolderError(
                f"cannot make the work folder {store.root}: {error.strerror}; choose another"
            ) from None
        return str(base)
    folder = tempfile.mkdtemp(prefix="curation-spark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def clean_scratch(scratch: str) -> None:
    """Removes what killed runs left of Spark's files; the log begins anew with each run."""
    for left in Path(scratch).iterdir():
        if left.is_dir() and left.name.startswith(("blockmgr-", "spark-", "localPyFiles-")):
            shutil.rmtree(left, ignore_errors=True)
    (Path(scratch) / "spark.log").unlink(missing_ok=True)


def start_spark(runtime: Runtime, name: str, scratch: str, ending: ExitStack) -> WorkEngine:
    """Spark, until the end of the run: later runs clean the folder that its shuffle files are in."""
    from curation.session import has_session, spark_session, stop_session

    borrowed = has_session()
    session = spark_session(runtime, f"curation {name}", scratch)
    if not borrowed:
        ending.callback(stop_session, session)
    return SparkEngine(session, runtime.shuffle_partitions)


def top_up(recipe: Recipe, store: Store, *, reporter: Reporter, out: Console) -> TopUp:
    """Runs, and keeps more pairs, until the recipe's target is reached after losses, or nothing is left to take."""
    check(recipe)

    def once() -> Sizes:
        run(recipe, store, reporter=reporter, out=Console(quiet=True))
        with storage_errors(store):
            return measured(catalog.snapshot(), recipe)

    catalog = Catalog(store, ALL_STAGES)
    done = topped_up(once, store, recipe)
    print_heart(write_card(catalog, recipe), out)
    return done


def validate(recipe: Recipe) -> list[str]:
    """Lines that say what the recipe would read. Raises where it could not run."""
    files = expand_inputs(recipe.inputs)
    missing = [file.path for file in files if file.missing]
    if missing and len(missing) == len(files):
        raise RecipeError(f"none of the {len(files)} input files is there, e.g. {missing[0]}")
    size = sum(file.size_bytes or 0 for file in files)
    _check_places(recipe)
    lines = [
        f"inputs       {len(files)} files, {size / 1e6:,.1f} MB" + (f", {len(missing)} missing" if missing else "")
    ]
    for lang, location in sorted(recipe.match.vocabularies.items()):
        vocabulary = Vocabulary.load(location, lang, definition=recipe.match.definition)
        lines.append(f"vocabulary   {lang}: {len(vocabulary):,} entries from {location}")
    return [*lines, "the recipe is valid"]
