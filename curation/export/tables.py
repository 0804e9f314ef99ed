"""Tables of pairs: plain csv, tsv and jsonl, WebVid's csv, Panda-70M's csv.

Cells of csv and tsv are one line each (see `one_line`). pandas reads some words as missing whatever is done (NA, null
...): samples of which nothing else is to be said are left out of csv and tsv, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from curation.export.media_files import COLUMNS
from curation.export.retrieval import span_ms
from curation.export.shape import Export, Shape
from curation.export.target import csv_rows, json_lines
from curation.export.texts import MISSING, NO_CAPTION, NO_VIDEO, READ_AS_MISSING, caption, caption_lang, one_line
from curation.export.view import ORDER, Rule

_PAIR: Final = ("filepath", "title", "sample_id", "modality", "lang", "licence", "url", "page_url")
_PAGE: Final = 1000  # videos of a folder of WebVid's layout


def _rows(export: Export, *rules: Rule, order: str = ORDER) -> Iterator[dict[str, Any]]:
    """Samples that have a caption, which is `title`; the reason is counted where there is none."""
    names = ("sample_id", "media_id", "modality", "split", "licence", "page_url", "extension", "start_ms", "end_ms",
             "duration_ms", "text_similarity", *COLUMNS)  # fmt: skip
    chosen = export.selection
    named = {name: f'"{name}"' for name in names} | {"title": caption(chosen), "lang": caption_lang(chosen)}
    for row in export.view.rows(named | {"url": "media_url"}, export.leave_out(*rules), order):
        if (row["title"] or "").strip():
            yield row
        else:
            export.skip(NO_CAPTION)


def _readable(export: Export, row: dict[str, Any]) -> bool:
    """Makes the title a cell; False, and counted, where it would be read as missing."""
    row["title"] = one_line(row["title"])
    if row["title"] in MISSING:
        export.skip(READ_AS_MISSING)
        return False
    return True


# ----------------------------------------------------------------------------------------------------------- plain


def _separated(export: Export, delimiter: str, ending: str) -> None:
    """train.csv, val.csv with a header; filepath below the exported folder: start trainers there."""
    with ExitStack() as stack:
        lists = export.each_split(
            stack, lambda split: csv_rows(export.folder / f"{split}.{ending}", _PAIR, delimiter)
        )
        for row in _rows(export):
            if _readable(export, row):
                lists[row["split"]](_cells(export, row))
                export.wrote()


def _jsonl(export: Export) -> None:
    """train.jsonl, val.jsonl: the same columns, texts as they are."""
    with ExitStack() as stack:
        lists = export.each_split(stack, lambda split: json_lines(export.folder / f"{split}.jsonl"))
        for row in _rows(export):
            lists[row["split"]](dict(zip(_PAIR, _cells(export, row), strict=True)))
            export.wrote()


def _cells(export: Export, row: dict[str, Any]) -> list[Any]:
    """_PAIR's; files are spread over 256 folders by the first two digits of their id."""
    name = f"media/{row['sample_id'][:2]}/{row['sample_id']}.{row['extension']}"
    return [export.files.add(name, row), *(row[column] for column in _PAIR[1:])]


# ---------------------------------------------------------------------------------------------------------- WebVid


def _webvid(export: Export) -> None:
    """metadata/results_2M_SPLIT.csv: videoid, contentUrl, duration, page_dir, name; videos/PAGE_DIR/VIDEOID.mp4.

    2M is the `cut` that Frozen in Time's configs ask for. Its loader drops rows with an empty cell, cuts captions at
    350 characters and draws 1,000 rows of val, which therefore has to have so many.
    """
    header = ["videoid", "contentUrl", "duration", "page_dir", "name"]
    with ExitStack() as stack:
        lists = export.each_split(
            stack, lambda split: csv_rows(export.folder / "metadata" / f"results_2M_{split}.csv", header)
        )
        for row in _rows(export, NO_VIDEO):
            if _readable(export, row):
                first = export.samples // _PAGE * _PAGE
                page = f"{first + 1:06d}_{first + _PAGE:06d}"
                export.files.add(f"videos/{page}/{row['sample_id']}.mp4", row)
                lists[row["split"]](
                    [row["sample_id"], row["url"], _iso_duration(row["duration_ms"]), page, row["title"]]
                )
                export.wrote()


def _iso_duration(duration_ms: int) -> str:
    """PT00H00M12S: ISO 8601, rounded to seconds."""
    seconds = round(duration_ms / 1000)
    return f"PT{seconds // 3600:02d}H{seconds // 60 % 60:02d}M{seconds % 60:02d}S"


# -------------------------------------------------------------------------------------------------------- Panda-70M


def _panda(export: Export) -> None:
    """panda70m_training_full.csv, panda70m_validation.csv: videoID, url, timestamp, caption, matching_score.

    One row per source video; the last three are Python lists of its clips by begin: [begin, end] as H:MM:SS.mmm, text,
    cosine of text and picture (None where it was not embedded). videoID is the media_id.
    """
    names = {"train": "panda70m_training_full.csv", "val": "panda70m_validation.csv"}
    header = ["videoID", "url", "timestamp", "caption", "matching_score"]
    with ExitStack() as stack:
        lists = export.each_split(stack, lambda split: csv_rows(export.folder / names[split], header))
        rows = _rows(export, NO_VIDEO, order=f"media_id, start_ms, end_ms, {ORDER}")
        for media_id, of in groupby(rows, itemgetter("media_id")):
            clips = list(of)
            times = [[_clock(at) for at in span_ms(clip)] for clip in clips]
            told = [one_line(clip["title"]) for clip in clips]
            lists[clips[0]["split"]](
                [media_id, clips[0]["url"], times, told, [_score(clip["text_similarity"]) for clip in clips]]
            )
            for _ in clips:
                export.wrote(rows=0)
            export.rows += 1


def _clock(time_ms: int) -> str:
    """H:MM:SS.mmm."""
    seconds, thousandths = divmod(time_ms, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{thousandths:03d}"


def _score(similarity: float | None) -> float | None:
    return None if similarity is None else round(similarity, 6)


def _by(delimiter: str, ending: str) -> Callable[[Export], None]:
    return partial(_separated, delimiter=delimiter, ending=ending)


SHAPES: Final = (
    Shape("csv", "filepath, title and more by commas, media files (open_clip with --csv-separator ,)", _by(",", "csv"),
          "samples"),
    Shape("tsv", "the same by tabs (open_clip's own csv, ProtoCLIP)", _by("\t", "tsv"), "samples"),
    Shape("jsonl", "the same as one JSON object per line", _jsonl, "samples"),
    Shape("webvid", "WebVid: results_2M_train.csv, videos/page_dir/videoid.mp4 (Frozen in Time)", _webvid, "samples"),
    Shape("panda70m", "Panda-70M: a row per source video with its clips' times, captions, scores (its video2dataset)",
          _panda, "source videos", options=frozenset({"texts"})),
)  # fmt: skip
