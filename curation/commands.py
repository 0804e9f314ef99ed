"""What the commands that only look do: `plan`, `describe`, `why`, `explain`, `vocab lint`.

None of them changes a work folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from curation.errors import CurationError
from curation.inspect.describe import describe as described
from curation.inspect.describe import describe_lines, overview_lines, schema_reference
from curation.inspect.difference import explain_difference
from curation.inspect.estimate import forecast
from curation.inspect.explain import explain as explained
from curation.inspect.explain_text import difference_lines, explain_lines
from curation.inspect.plan_text import plan_lines
from curation.inspect.vocabulary import VocabularyReport
from curation.inspect.vocabulary_text import vocabulary_lines
from curation.inspect.why import why as looked_up
from curation.inspect.why_forgotten import why_forgotten_lines
from curation.inspect.why_manifest import media_and_sample
from curation.inspect.why_media import why_media_lines
from curation.inspect.why_text import why_lines
from curation.inspect.wording import on_screen
from curation.outputs import folders_above, keep_out, missing_above, remove_empty
from curation.pipeline import ALL_STAGES, stages_of
from curation.recipe import Recipe
from curation.runner.catalog import Catalog
from curation.storage import Store, storage_errors


def plan(recipe: Recipe, work: str, out: Console) -> None:
    """What `run` would do now, and why. Starts nothing."""
    store = Store.at(work)
    with storage_errors(store):
        _print(out, plan_lines(forecast(store, recipe, stages_of(recipe))))


def describe(dataset: str | None, work: str | None, out: Console, *, markdown: bool = False) -> None:
    """A dataset's columns and, with a work folder, what lies in it; without a name all datasets in short."""
    if markdown:
        _print(out, schema_reference().splitlines())
    elif dataset is None:
        _print(out, overview_lines())
    else:
        _print(out, describe_lines(described(dataset, None if work is None else _catalog(work))))


def why(id: str, work: str, out: Console) -> None:
    """Why a media, a pair or a sample is in the selection and in the manifest, or not."""
    media, sample_id = media_and_sample(id)
    with storage_errors(Store.at(work)):
        catalog = _catalog(work)
        if lines := why_forgotten_lines(catalog.store, media):
            _print(out, lines)
            return
        story = looked_up(catalog, media)
        _print(out, [*why_lines(story), *why_media_lines(catalog, story.media_id, sample_id)])


def explain(concept: str, folders: Sequence[str], out: Console) -> None:
    """One entry's way through a run, or the difference between two. Raises CurationError unless there are 1 or 2."""
    if not 1 <= len(folders) <= 2:
        raise CurationError("explain takes one work folder (its story) or two (their difference)")
    catalogs = [_catalog(folder) for folder in folders]
    with storage_errors(catalogs[0].store):
        if len(catalogs) == 2:
            _print(out, difference_lines(explain_difference(catalogs[0], catalogs[1], concept)))
        else:
            _print(out, explain_lines(explained(catalogs[0], concept)))


def check_json(path: str | None, *read: str) -> None:
    """Raises CurationError where JSON could not be written; for before all the reading.

    read: folders and files that the command reads, in which it writes nothing. Folders above the file that are not
    there yet are made when it is written.
    """
    if path is None or path == "-":
        return
    if not path:
        raise CurationError("--json names no file: give one, or - for the screen")
    keep_out("--json", path, *read)
    file = Path(path)
    try:
        made = missing_above(file)
        is_new = not file.exists()
        if is_new or not file.is_fifo():  # whoever reads a pipe would take our going for the end
            with folders_above(file):
                file.open("ab").close()
        if is_new:
            file.unlink()
            remove_empty(made)
    except OSError as error:
        raise _unwritable(path, error) from None


def vocab_lint(report: VocabularyReport, out: Console, *, shown: int, json: str | None) -> None:
    """What is wrong with a vocabulary, and what it finds in texts; as JSON into a file too, or as JSON alone to "-"."""
    tell(lambda: vocabulary_lines(report, width=out.width, shown=shown), report.to_json(), out, json)


def tell(lines: Callable[[], Sequence[str]], tree: str, out: Console, json: str | None) -> None:
    """Prints lines, and writes JSON into a file, too, if one is named; to "-" goes JSON alone.

    On a terminal JSON has controls as codes, which mean the same; a pipe gets it as it is.
    """
    if json == "-":
        with _output_errors():
            tree = on_screen(tree, json=True) if sys.stdout.isatty() else tree
            typer.echo(tree.encode(), nl=False)  # bytes, so that it is UTF-8 whatever the terminal takes
        return
    _print(out, [line.encode(out.encoding, "replace").decode(out.encoding) for line in lines()])
    if json is not None:
        try:
            with folders_above(Path(json)):
                Path(json).write_text(tree, encoding="utf-8")
        except OSError as error:
            raise _unwritable(json, error) from None


def _unwritable(path: str, error: OSError) -> CurationError:
    return CurationError(f"cannot write {path} ({error.strerror}): name another file with --json")


def _catalog(work: str) -> Catalog:
    return Catalog(Store.at(work), ALL_STAGES).snapshot()


def _print(out: Console, lines: Sequence[str]) -> None:
    with _output_errors():
        for line in lines:
            out.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _output_errors() -> Iterator[None]:
    """Turns what a full disk behind the standard output raises into one line."""
    try:
        yield
    except BrokenPipeError:  # `| head` has seen enough: click ends us quietly
        raise
    except OSError as error:
        # What is left in the buffer would fail once more when Python ends, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CurationError(f"cannot write the output ({error.strerror}): free space, or send it elsewhere") from None
