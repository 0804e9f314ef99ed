"""The command line. Errors of our tree are one line and exit code 2; anything else is a defect and shows its trace."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console

from curation import commands, workflow
from curation.cli_manifest import register
from curation.cli_vocab import build, vocab
from curation.concepts import MatchOptions, Vocabulary
from curation.errors import CurationError, InputError, RecipeError
from curation.forget import Copies, Request
from curation.forget import forget as forgotten
from curation.inspect.vocabulary import vocabulary_report
from curation.pipeline import ALL_STAGES
from curation.recipe import Definition, load_recipe
from curation.recipe.loading import PACKAGED
from curation.runner.progress import Terminal
from curation.storage import Store

app = typer.Typer(
    help="From raw web crawls to balanced image-text and video-text training sets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(vocab, name="vocab")
register(app)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, see recipes/")]
WorkFolder = Annotated[
    str, typer.Option("--work", metavar="DIR", help="folder of this run: local, or a URL that fsspec knows")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="change one setting of the recipe; may be repeated")
]
Limit = Annotated[
    int | None, typer.Option("--limit-archives", min=1, metavar="N", help="take only the first N archives, by name")
]

console = Console(stderr=True, soft_wrap=True)
out = Console(soft_wrap=True, highlight=False)


def _overrides(overrides: list[str] | None, limit: int | None) -> list[str]:
    return [*(overrides or []), *([f"extract.limit_archives={limit}"] if limit else [])]


def _stage_names() -> list[str]:
    return [stage.name for stage in ALL_STAGES]


@app.command()
def run(
    recipe: RecipePath,
    work: WorkFolder,
    overrides: Overrides = None,
    limit_archives: Limit = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="stop after this stage")] = None,
) -> None:
    """Bring a work folder up to date with a recipe: only what changed is done; a stopped run continues."""
    if until is not None and until not in _stage_names():
        raise RecipeError(f"--until {until!r} is no stage: choose one of {', '.join(_stage_names())}")
    loaded = load_recipe(recipe, _overrides(overrides, limit_archives))
    workflow.run(loaded, Store.at(work), until=until, reporter=Terminal(console), out=out)


@app.command("top-up")
def top_up(recipe: RecipePath, work: WorkFolder, overrides: Overrides = None) -> None:
    """Run, and keep more pairs, until balance.target is reached after what fetching and duplicates lose."""
    done = workflow.top_up(load_recipe(recipe, overrides or []), Store.at(work), reporter=Terminal(console), out=out)
    for line in done.lines():
        out.print(line, markup=False)


@app.command()
def validate(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Check a recipe, its inputs and its vocabularies without doing anything."""
    for line in workflow.validate(load_recipe(recipe, overrides or [])):
        out.print(line, markup=False)


@app.command()
def plan(recipe: RecipePath, work: WorkFolder, overrides: Overrides = None, limit_archives: Limit = None) -> None:
    """Say what `run` would do now, why, and about what it would cost; starts nothing."""
    commands.plan(load_recipe(recipe, _overrides(overrides, limit_archives)), work, out)


@app.command()
def describe(
    dataset: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="its name; without one, all in short")
    ] = None,
    work: Annotated[
        str | None, typer.Option("--work", metavar="DIR", help="also tell what lies in this folder")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="the whole reference, as docs/schemas.md")] = False,
) -> None:
    """Tell a dataset's columns and their meanings."""
    commands.describe(dataset, work, out, markdown=markdown)


@app.command()
def why(
    id: Annotated[str, typer.Argument(metavar="ID", help="a media_id, a pair_id, or a sample_id (of a clip: clip_id)")],
    work: WorkFolder,
) -> None:
    """Tell where a media, a pair or a sample comes from, what matched, why it was kept or not, and where it lies."""
    commands.why(id, work, out)


@app.command()
def explain(
    concept: Annotated[str, typer.Argument(metavar="CONCEPT", help="an entry of a vocabulary, as it is written there")],
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DIR_A DIR_B]", help="two runs, to attribute their difference to stages"),
    ] = None,
    work: Annotated[
        str | None, typer.Option("--work", metavar="DIR", help="one run, to follow the concept through")
    ] = None,
) -> None:
    """Follow one concept through all stages of a run, or attribute the difference between two runs to stages."""
    commands.explain(concept, [*(folders or []), *([work] if work else [])], out)


@app.command()
def forget(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    work: WorkFolder,
    url: Annotated[list[str] | None, typer.Option(metavar="URL", help="of a media; may be repeated")] = None,
    media_id: Annotated[list[str] | None, typer.Option(metavar="ID", help="24 hex digits; may be repeated")] = None,
    domain: Annotated[
        list[str] | None, typer.Option(metavar="DOMAIN", help="with all below it, now and later; may be repeated")
    ] = None,
    sha256: Annotated[list[str] | None, typer.Option(metavar="HASH", help="of a file; may be repeated")] = None,
    list_file: Annotated[
        str | None, typer.Option("--list", metavar="FILE", help="a URL, domain, ID or HASH a line; # starts a comment")
    ] = None,
    copies: Annotated[
        str, typer.Option(metavar="near|exact|none", help="what else of the same picture goes with it, now and later")
    ] = "near",
) -> None:
    """Take media out of a work folder (bytes, rows, texts), never to fetch them again. Without names: finish that."""
    if copies not in get_args(Copies):
        raise InputError(f"--copies {copies!r}: choose one of {', '.join(get_args(Copies))}")
    request = Request.of(url or [], media_id or [], domain or [], sha256 or [], cast(Copies, copies))
    if list_file is not None:
        request = request.with_list(list_file)
    forgotten(Store.at(work), request, say=lambda line: out.print(line, markup=False))


@vocab.command("lint")
def vocab_lint(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    vocabulary: Annotated[
        str, typer.Argument(metavar="VOCABULARY", help=".txt, .tsv, .json, .parquet, or starter:LANG, as in a recipe")
    ],
    lang: Annotated[str | None, typer.Option(metavar="LANG", help="its language; if not given: en, or demo's")] = None,
    definition: Annotated[str, typer.Option(metavar="v1|v2", help="of a match, as match.definition")] = "v1",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="switch a matching option on, as match.options; may be repeated"),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="try it on these texts: .txt, .csv, .tsv, .jsonl, .parquet (column text or caption), or the --work "
            "folder of a run (its pairs of that language); may be repeated",
        ),
    ] = None,
    show: Annotated[int, typer.Option(min=1, metavar="N", help="examples of each kind")] = 10,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="all of it as JSON; - for nothing but that on the screen")
    ] = None,
) -> None:
    """Tell what is wrong with a vocabulary, and which entries texts hold most and never."""
    commands.check_json(json, vocabulary, *(texts or []))
    options = MatchOptions.chosen(option or [], definition)
    lang = lang or (vocabulary.partition(":")[2] if vocabulary.startswith(PACKAGED) else "en")
    loaded = Vocabulary.load(vocabulary, lang, definition=cast(Definition, definition))
    report = vocabulary_report(vocabulary, loaded, options, texts or [], shown=show)
    commands.vocab_lint(report, out, shown=show, json=json)


def job(stage: str | None = None) -> None:
    """Entry of jobs/*.py: `spark-submit jobs/NN_stage.py RECIPE --work DIR [--set A.B=C]`; None does all stages."""

    def one(recipe: RecipePath, work: WorkFolder, overrides: Overrides = None, limit_archives: Limit = None) -> None:
        loaded = load_recipe(recipe, _overrides(overrides, limit_archives))
        workflow.run(loaded, Store.at(work), only=stage, reporter=Terminal(console), out=out)

    one.__doc__ = f"Do the stage {stage}." if stage else "Do all stages."
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command()(one)
    _guarded(single)


def vocabulary_job() -> None:
    """Entry of jobs/vocabulary.py: `curation vocab build` under spark-submit."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command()(build)
    _guarded(single)


def _guarded(command: typer.Typer) -> None:
    started = time.monotonic()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        command()
    except CurationError as error:
        console.print(f"error: {error}", markup=False, highlight=False, style="red")
        sys.exit(2)
    except KeyboardInterrupt:
        console.print(f"stopped after {time.monotonic() - started:.0f} s; the same command continues", markup=False)
        sys.exit(130)


def main() -> None:
    """The `curation` command."""
    _guarded(app)


if __name__ == "__main__":
    main()
