"""Commands about vocabularies: `curation vocab build`, `plan`, `diff`; `lint` is in `curation.cli`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from curation.inspect.vocabulary_diff import EXAMPLES, diff_lines
from curation.inspect.vocabulary_diff import diff as compare
from curation.inspect.vocabulary_plan import plan_lines
from curation.recipe import load_vocabulary_recipe
from curation.recipe.loading import PACKAGED
from curation.runner.progress import Terminal
from curation.vocabulary_workflow import build as build_vocabulary
from curation.vocabulary_workflow import source_lines

vocab = typer.Typer(help="Make vocabularies and look at them.", no_args_is_help=True, rich_markup_mode=None)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, see metadata/")]
Languages = Annotated[
    list[str] | None, typer.Option("--lang", metavar="LANG", help="another language than the recipe's; may be repeated")
]
Inputs = Annotated[
    str | None, typer.Option("--inputs", metavar="DIR", help="where relative paths start; default: beside the recipe")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="change one setting of the recipe; may be repeated")
]

_err = Console(stderr=True, soft_wrap=True)
_out = Console(soft_wrap=True, highlight=False, emoji=False)


@vocab.command()
def build(  # noqa: PLR0913, PLR0917 - the options of a command
    recipe: RecipePath,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="folder for LANG.parquet and LANG.lock.json")],
    langs: Languages = None,
    inputs: Inputs = None,
    extend: Annotated[
        str | None, typer.Option(metavar="OLD", help="a vocabulary whose entries keep their ids, may hold {lang}")
    ] = None,
    update_lock: Annotated[
        bool, typer.Option("--update-lock", help="do not check against LANG.lock.json beside the recipe; replace it")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Build the vocabularies of a recipe; work that is done already is kept.

    Where LANG.lock.json lies beside the recipe, inputs, parameters and entries must be those that it names.
    """
    with ExitStack() as ending:
        for chosen in [[f"lang={lang}"] for lang in langs or []] or [[]]:
            loaded = load_vocabulary_recipe(recipe, [*(overrides or []), *chosen], inputs=inputs)
            if extend is not None:
                old = extend.replace("{lang}", loaded.lang)
                old = old if "://" in old or old.startswith(PACKAGED) else str(Path(old).expanduser().resolve())
                loaded = loaded.model_copy(update={"extend": old})
            lock = recipe.parent / f"{loaded.lang}.lock.json"
            reporter = Terminal(_err)
            built = build_vocabulary(loaded, out, reporter=reporter, ending=ending, lock=lock, update_lock=update_lock)
            _print(source_lines(built.lock))


@vocab.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="a vocabulary as a recipe names it")],
    b: Annotated[str, typer.Argument(metavar="B", help="another one")],
    shown: Annotated[int, typer.Option("--shown", min=0, metavar="N", help="examples of each kind")] = EXAMPLES,
) -> None:
    """Say which entries and ids differ between two vocabularies; exit code 1 where something does."""
    found = compare(a, b)
    _print(diff_lines(found, a, b, shown=shown))
    if not found.is_empty:
        raise typer.Exit(1)


@vocab.command()
def plan(
    recipe: RecipePath,
    lang: Annotated[str | None, typer.Option("--lang", metavar="LANG", help="another language")] = None,
    inputs: Inputs = None,
    cores: Annotated[int | None, typer.Option(min=1, metavar="N", help="how many cores the time is for")] = None,
    overrides: Overrides = None,
) -> None:
    """Say what a build needs: what to fetch, what is there, how many entries and hours to expect. Starts nothing."""
    settings = [*(overrides or []), *([f"lang={lang}"] if lang else [])]
    _print(plan_lines(load_vocabulary_recipe(recipe, settings, inputs=inputs), cores))


def _print(lines: list[str]) -> None:
    for line in lines:
        _out.print(line, markup=False)
