"""Commands about what a run made for trainers; `register` puts them beside those of `curation.cli`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from curation import commands_manifest, exporting
from curation.errors import InputError
from curation.export.view import Selection
from curation.inspect.report import write_report
from curation.inspect.wording import size

WorkFolder = Annotated[
    str, typer.Option("--work", metavar="DIR", help="folder of a run: local, or a URL that fsspec knows")
]

_out = Console(soft_wrap=True, highlight=False, emoji=False)


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(export)
    app.command()(report)
    app.command()(diff)
    app.command()(overlap)
    app.command()(sql)


def export(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    shape: Annotated[str | None, typer.Argument(metavar="SHAPE", help="without one: the list of them")] = None,
    work: Annotated[str | None, typer.Option("--work", metavar="DIR", help="folder of a run")] = None,
    to: Annotated[str | None, typer.Option(metavar="PATH", help="new folder, or an earlier export to replace")] = None,
    split: Annotated[str | None, typer.Option(metavar="train|val", help="only this split")] = None,
    modality: Annotated[str | None, typer.Option(metavar="image|video", help="only these samples")] = None,
    t: Annotated[
        float | None,
        typer.Option(min=1, metavar="T", help="only samples that stay at this threshold; metaclip: what it draws at"),
    ] = None,
    lang: Annotated[str | None, typer.Option(metavar="LANG", help="only samples and texts in this language")] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="only texts by this captioner, or captioner.kind; may be repeated"),
    ] = None,
    media: Annotated[
        str | None, typer.Option(metavar="copy|none|link:DIR", help="media files: copied, left out, or linked from DIR")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE|hashtags|entries", help="labels, coop: where classes come from")
    ] = None,
    min_samples: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="labels, coop: a class is one that so many samples hold")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(metavar="N", help="labels, coop: of a K-shot draw; may be repeated")
    ] = None,
    saliency: Annotated[
        int | None, typer.Option(min=0, max=4, metavar="0..4", help="qvhighlights: the same rating for every clip")
    ] = None,
) -> None:
    """Write a manifest in the layout that some trainer or benchmark reads, with its media."""
    if shape is None:
        _print(exporting.shape_lines())
        return
    if work is None:
        raise InputError("--work names no folder: give that of a run")
    selection = Selection(split, modality, t, lang, tuple(texts or ()))
    options = {"media": media, "labels": labels, "min_samples": min_samples, "seeds": tuple(seed) if seed else None,
               "saliency": saliency}  # fmt: skip
    if shape == "webdataset":
        exporting.check_shards_options(to, selection, options)
        _print(exporting.shards_lines(work))
        return
    exporting.chosen(shape)
    if to is None:
        raise InputError("--to names no folder: give one that is not there yet")
    _print(exporting.export(shape, work, to, selection, options))


def report(
    work: WorkFolder,
    to: Annotated[
        str | None, typer.Option("--to", metavar="FILE", help="where to write it; if not given: DIR/report.html")
    ] = None,
) -> None:
    """Write one HTML file that shows what a run made: funnel, distributions, and samples with their texts."""
    written = write_report(work, to)
    _print([f"note: {words}" for words in written.notices])
    _print([f"report: {written.location} ({size(written.size_bytes)})"])


def _print(lines: list[str]) -> None:
    for line in lines:
        _out.print(line, markup=False)


Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="all of it as JSON; - for nothing but that on the screen")
]


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="work folder, or Parquet with a manifest's columns")],
    b: Annotated[str, typer.Argument(metavar="B", help="the same of the other manifest")],
    concept: Annotated[
        str | None, typer.Option(metavar="X", help="only samples that hold this entry of the vocabulary")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="gains and losses told of each kind")] = 10,
    json: Json = None,
) -> None:
    """Tell what changed from one manifest to another, by concept, host and others, and why samples left or came."""
    commands_manifest.diff(a, b, concept, top, json, _out)


def overlap(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="work folder, or Parquet with its columns")],
    against: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="other set: .txt, .csv, .tsv, .jsonl or .parquet with any of the columns url, sha256, phash (of "
            "curation), text; a folder or glob of such; or a work folder",
        ),
    ],
    by: Annotated[
        list[str] | None, typer.Option(metavar="url|sha256|phash|text", help="what counts as the same; default: all")
    ] = None,
    max_distance: Annotated[
        int, typer.Option(min=0, max=commands_manifest.MAX_DISTANCE, metavar="N", help="bits of 64, of phash")
    ] = 4,
    min_text_chars: Annotated[int, typer.Option(min=1, metavar="N", help="letters and digits of a text")] = 20,
    json: Json = None,
) -> None:
    """Tell how much of a manifest another set has, too: by URL, file, picture or text; and what takes it out."""
    commands_manifest.overlap(manifest, against, (by or [], max_distance, min_text_chars), json, _out)


def sql(
    work: WorkFolder,
    question: Annotated[str | None, typer.Argument(metavar="SQL", help="DuckDB's; without it: what there is")] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="table|csv|json|parquet", help="json: an object a line")
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="FILE", help=".csv, .json or .parquet, outside of the work folder")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="rows shown of a table")] = 40,
) -> None:
    """Ask a work folder's datasets in SQL; nothing is written into it."""
    commands_manifest.sql(question, work, form, to, limit, _out)
