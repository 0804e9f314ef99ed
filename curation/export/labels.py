"""Lists of files and their labels, K-shot draws, base and novel halves, CoOp's split json.

Which K samples of a class a draw takes follows from the seed and their ids alone, and a smaller K takes some of those
of a larger one. In base and novel halves labels count from 0 anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

from curation.export.classes import Classes, label
from curation.export.media_files import COLUMNS
from curation.export.shape import Export, Shape
from curation.export.target import csv_rows, dumped, list_lines, text_file
from curation.export.view import BATCH

SHOTS: Final = (2, 4, 8, 16)
"""Of ViFi-CLIP, X-CLIP and MaPLe."""
_BASE_SHOTS: Final = 16
# ffffffff / 5: CoOp's share of val of all that is not test
_COOP_PART: Final = (
    "CASE WHEN split = 'val' THEN 'test' WHEN substr(md5('coop val ' || media_id), 1, 8) < '33333333' THEN 'val' "
    "ELSE 'train' END"
)
_COOP_VAL_SHOTS: Final = 4
_NEEDS: Final = ("entry_probabilities",)  # the entries' texts
_OPTIONS: Final = frozenset({"media", "labels", "min_samples", "seeds"})


def _prepare(export: Export, part: str = "split") -> Classes:
    """Makes `listed`: the labelled samples with `part`, which K-shot draws go by."""
    classes = label(export, export.leave_out())
    columns = ("sample_id", "media_id", "split", "extension", *COLUMNS)
    told = ", ".join(f'm."{name}"' for name in columns)
    samples = export.view.sql(columns)
    export.view.database.execute(
        f"CREATE OR REPLACE TEMP TABLE listed AS SELECT {told}, label, {part} AS part FROM labelled "
        f"JOIN ({samples}) AS m USING (sample_id)"
    ).fetchall()
    return classes


def _draw(export: Export, seed: int) -> None:
    """Makes `drawn`: the first samples of each class and part in the order of one seed, with their `place` from 1."""
    order = f"md5('{seed} ' || sample_id), sample_id"
    export.view.database.execute(
        "CREATE OR REPLACE TEMP TABLE drawn AS SELECT *, row_number() OVER (PARTITION BY label, part "
        f"ORDER BY {order}) AS place FROM listed QUALIFY place <= {SHOTS[-1]}"
    ).fetchall()


def _rows(export: Export, condition: str = "true", of: str = "listed") -> Iterator[dict[str, Any]]:
    """Rows of `listed` or `drawn` that meet a condition, by label and sample_id."""
    found = export.view.database.sql(f"SELECT * FROM {of} WHERE {condition} ORDER BY label, sample_id")
    for batch in found.to_arrow_reader(BATCH):
        yield from batch.to_pylist()


def _file(row: dict[str, Any]) -> str:
    return f"{row['sample_id']}.{row['extension']}"


# ----------------------------------------------------------------------------------------------------------- lists


def _lists(export: Export) -> None:
    """labels.csv (id, name); train.txt and val.txt, "file label" a line; few_shot/, base_novel/; media/FILE."""
    classes = _prepare(export)
    _names(export, "labels.csv", classes.names)
    with ExitStack() as stack:
        lists = export.each_split(stack, lambda split: list_lines(export.folder / f"{split}.txt"))
        for row in _rows(export):
            lists[row["split"]](f"{_file(row)} {row['label']}")
            export.files.add(f"media/{_file(row)}", row)
            export.wrote()
    _halves(export, classes)
    if "train" in export.splits:
        for seed in export.options.seeds:
            _few_shot(export, classes, seed)
    export.notes.append(f"{len(classes.names):,} classes, {classes.base:,} of them base")


def _names(export: Export, name: str, names: list[str]) -> None:
    with csv_rows(export.folder / name, ["id", "name"]) as row:
        for number, each in enumerate(names):
            row([number, each])


def _halves(export: Export, classes: Classes) -> None:
    """base_novel/: labels of each half; base_train.txt, base_val.txt, novel_val.txt."""
    base = classes.base
    _names(export, "base_novel/base_labels.csv", classes.names[:base])
    _names(export, "base_novel/novel_labels.csv", classes.names[base:])
    wanted = {"base_train": f"label < {base} AND split = 'train'", "base_val": f"label < {base} AND split = 'val'",
              "novel_val": f"label >= {base} AND split = 'val'"}  # fmt: skip
    for name, condition in wanted.items():
        if name.rsplit("_", 1)[-1] in export.splits:
            first = base if name.startswith("novel") else 0
            _list(export, f"base_novel/{name}.txt", condition, first=first)


def _few_shot(export: Export, classes: Classes, seed: int) -> None:
    """few_shot/train_K_shot_sSEED.txt of all classes, base_novel/fs_base_sSEED_train.txt of the base half."""
    _draw(export, seed)
    for shots in SHOTS:
        _list(export, f"few_shot/train_{shots}_shot_s{seed}.txt", f"part = 'train' AND place <= {shots}", of="drawn")
    condition = f"part = 'train' AND place <= {_BASE_SHOTS} AND label < {classes.base}"
    _list(export, f"base_novel/fs_base_s{seed}_train.txt", condition, of="drawn")


def _list(export: Export, name: str, condition: str, *, first: int = 0, of: str = "listed") -> None:
    with list_lines(export.folder / name) as line:
        for row in _rows(export, condition, of):
            line(f"{_file(row)} {row['label'] - first}")


# ------------------------------------------------------------------------------------------------------------ CoOp


def _coop(export: Export) -> None:
    """split_zhou_curation.json {train, val, test: [[path, label, class name]]}, split_fewshot/ the same; images/FILE.

    test is split val of the manifest; of the rest a fifth, by source, is val. A K-shot draw has at most min(K, 4) of
    val per class.
    """
    classes = _prepare(export, _COOP_PART)
    _split_json(export, classes, "split_zhou_curation.json", dict.fromkeys(("train", "val", "test"), "true"))
    for row in _rows(export):
        export.files.add(f"images/{_file(row)}", row)
        export.wrote()
    for seed in export.options.seeds if "train" in export.splits else ():
        _draw(export, seed)
        for shots in SHOTS:
            limits = {"train": f"place <= {shots}", "val": f"place <= {min(shots, _COOP_VAL_SHOTS)}"}
            _split_json(export, classes, f"split_fewshot/shot_{shots}-seed_{seed}.json", limits, "drawn")
    export.notes.append(f"{len(classes.names):,} classes")


def _split_json(
    export: Export, classes: Classes, name: str, limits: Mapping[str, str], of: str = "listed"
) -> None:
    """limits: by part, which of its samples."""
    with text_file(export.folder / name) as file:
        file.write("{")
        for number, (part, limit) in enumerate(limits.items()):
            rows = _rows(export, f"part = '{part}' AND {limit}", of)
            items = (dumped([_file(row), row["label"], classes.names[row["label"]]]) for row in rows)
            file.write(("," if number else "") + f'\n"{part}": [')
            for place, item in enumerate(items):
                file.write((",\n" if place else "\n") + item)
            file.write("]")
        file.write("\n}\n")


SHAPES: Final = (
    Shape("labels", "lists of files and labels, K-shot lists, base and novel halves, media (ViFi-CLIP, X-CLIP)",
          _lists, "samples", _OPTIONS, "video", _NEEDS),
    Shape("coop", "CoOp's split json and K-shot draws, images (CoOp, MaPLe, GDA)", _coop, "samples", _OPTIONS, "image",
          _NEEDS),
)  # fmt: skip
