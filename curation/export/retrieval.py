"""Text-video retrieval folders: MSR-VTT, MSVD, LSMDC, DiDeMo, ActivityNet.

File names are those that the loaders of X-Pool, CLIP4Clip and Prompt Switch have written into their code, whatever they
say of sizes. Samples of split val are the benchmark's test set. Ids of videos are sample ids, unless said otherwise.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final

from curation.export.media_files import COLUMNS
from curation.export.shape import Export, Shape
from curation.export.target import csv_rows, dumped, json_list, json_object, list_lines, text_file
from curation.export.texts import (
    MISSING,
    NO_CAPTION,
    NO_VIDEO,
    READ_AS_MISSING,
    Part,
    captions,
    distinct,
    one_line,
    parts,
    spans,
)

_CHUNK_S: Final = 5  # DiDeMo counts moments in chunks of five seconds
_NO_LINE: Final = "without a text that has a line of its own"


def _rows(export: Export, *, with_parts: bool = False) -> Iterator[dict[str, Any]]:
    """Videos that have a caption, with all that a folder of videos tells of them; each caption once."""
    names = ("sample_id", "media_id", "split", "media_url", "extension", "start_ms", "end_ms", "duration_ms", *COLUMNS)
    columns = {name: f'"{name}"' for name in names} | {"captions": captions(export.selection)}
    if with_parts:
        columns["parts"] = parts(export.selection)
    for row in export.view.rows(columns, export.leave_out(NO_VIDEO)):
        row["captions"] = distinct(row["captions"])
        if row["captions"]:
            yield row
        else:
            export.skip(NO_CAPTION)


# --------------------------------------------------------------------------------------------------------- MSR-VTT


def _msrvtt(export: Export) -> None:
    """MSRVTT_data.json {videos, sentences}, MSRVTT_train.9k.csv, MSRVTT_JSFUSION_test.csv, videos/ID.mp4.

    All captions of all videos are sentences; the test list has the chosen one. Loaders open ID.mp4, so that is what the
    files are called, whatever their containers.
    """
    with ExitStack() as stack:
        data = stack.enter_context(text_file(export.folder / "MSRVTT_data.json"))
        sentences = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline=""))
        heads = {"train": ("MSRVTT_train.9k.csv", ["video_id"]),
                 "val": ("MSRVTT_JSFUSION_test.csv", ["key", "vid_key", "video_id", "sentence"])}  # fmt: skip
        lists = export.each_split(stack, lambda split: csv_rows(export.folder / heads[split][0], heads[split][1]))
        data.write('{"videos": [')
        for row in _rows(export):
            texts, video_id = row["captions"], row["sample_id"]
            line = one_line(texts[0])
            if row["split"] == "val" and line in MISSING:
                export.skip(READ_AS_MISSING)
                continue
            data.write((",\n" if export.samples else "\n") + dumped(_msrvtt_video(export.samples, row)))
            for number, text in enumerate(texts, export.rows):
                told = {"caption": text, "video_id": video_id, "sen_id": number}
                sentences.write((",\n" if number else "\n") + dumped(told))
            export.files.add(f"videos/{video_id}.mp4", row)
            number = export.samples
            listed = [video_id] if row["split"] == "train" else [f"ret{number}", f"msr{number}", video_id, line]
            lists[row["split"]](listed)
            export.wrote(len(texts))
        data.write('\n],\n"sentences": [')
        sentences.seek(0)
        shutil.copyfileobj(sentences, data)
        data.write("\n]}\n")


def _msrvtt_video(number: int, row: dict[str, Any]) -> dict[str, Any]:
    start, end = span_ms(row)
    return {
        "video_id": row["sample_id"],
        "id": number,
        "split": "train" if row["split"] == "train" else "test",
        "url": row["media_url"],
        "start time": start / 1000,
        "end time": end / 1000,
    }


def span_ms(row: dict[str, Any]) -> tuple[int, int]:
    """Where a clip lies in its video; a whole video from 0 to its end."""
    start = row["start_ms"] or 0
    return start, start + row["duration_ms"] if row["end_ms"] is None else row["end_ms"]


# ------------------------------------------------------------------------------------------------------------ MSVD


def _msvd(export: Export) -> None:
    """captions_msvd.json {id: [captions]}, train_list.txt, val_list.txt and test_list.txt, videos/ID.avi.

    X-Pool opens ID.avi, so that is what the files are called, whatever their containers.
    """
    with ExitStack() as stack:
        put = stack.enter_context(json_object(export.folder / "captions_msvd.json"))
        lists = export.each_split(stack, lambda split: list_lines(export.folder / f"{split}_list.txt"))
        for row in _rows(export):
            put(row["sample_id"], row["captions"])
            lists[row["split"]](row["sample_id"])
            export.files.add(f"videos/{row['sample_id']}.avi", row)
            export.wrote(len(row["captions"]))
    _copy_as(export, "val_list.txt", "test_list.txt")


def _copy_as(export: Export, name: str, other: str) -> None:
    """The val split once more under the name of a test set."""
    if "val" in export.splits:
        shutil.copyfile(export.folder / name, export.folder / other)


# ----------------------------------------------------------------------------------------------------------- LSMDC


def _lsmdc(export: Export) -> None:
    """LSMDC16_annos_training.csv, LSMDC16_annos_val.csv and LSMDC16_challenge_1000_publictect.csv: six cells, by tabs.

    clip id, begin and end as aligned, begin and end as cut, sentence; no header, no quotation marks. A clip has one
    sentence: X-Pool keeps the last of several. A clip id is MEDIA_HH.MM.SS.mmm-HH.MM.SS.mmm, and its file
    videos/MEDIA/CLIP.avi, which is where X-Pool looks.
    """
    names = {"train": "LSMDC16_annos_training.csv", "val": "LSMDC16_annos_val.csv"}
    with ExitStack() as stack:
        lists = export.each_split(stack, lambda split: list_lines(export.folder / names[split]))
        for row in _rows(export):
            line = one_line(row["captions"][0])
            if not line:
                export.skip(_NO_LINE)
                continue
            times = [_clock(at) for at in span_ms(row)]
            clip = f"{row['media_id']}_{times[0]}-{times[1]}"
            lists[row["split"]]("\t".join([clip, *times, *times, line]))
            export.files.add(f"videos/{row['media_id']}/{clip}.avi", row)
            export.wrote()
    _copy_as(export, names["val"], "LSMDC16_challenge_1000_publictect.csv")


def _clock(time_ms: int) -> str:
    """HH.MM.SS.mmm."""
    seconds, thousandths = divmod(time_ms, 1000)
    return f"{seconds // 3600:02d}.{seconds // 60 % 60:02d}.{seconds % 60:02d}.{thousandths:03d}"


# ------------------------------------------------------------------------------------------------ DiDeMo, ActivityNet


def _moments(row: dict[str, Any]) -> list[Part]:
    """The parts of a sample; where it has none its first caption, of all of it."""
    duration = row["duration_ms"] or 0
    return spans(row) or [Part(0, duration, row["captions"][0].strip())]


def _didemo(export: Export) -> None:
    """SPLIT_data.json [{annotation_id, video, description, times, num_segments}], SPLIT_list.txt; test is val.

    times: [[first, last]] chunk of five seconds that the moment touches, counted from 0. video: file name.
    """
    with ExitStack() as stack:
        data = export.each_split(stack, lambda split: json_list(export.folder / f"{split}_data.json"))
        lists = export.each_split(stack, lambda split: list_lines(export.folder / f"{split}_list.txt"))
        for row in _rows(export, with_parts=True):
            name, moments = f"{row['sample_id']}.{row['extension']}", _moments(row)
            chunks = _chunks(row["duration_ms"])
            for number, moment in enumerate(moments, export.rows):
                first = min(moment.start_ms // (_CHUNK_S * 1000), chunks - 1)
                last = max(_chunks(moment.end_ms) - 1, first)
                data[row["split"]]({"annotation_id": number, "video": name, "description": moment.text,
                                    "times": [[first, last]], "num_segments": chunks})  # fmt: skip
            lists[row["split"]](name)
            export.files.add(f"videos/{name}", row)
            export.wrote(len(moments))
    _copy_as(export, "val_data.json", "test_data.json")
    _copy_as(export, "val_list.txt", "test_list.txt")


def _chunks(duration_ms: int) -> int:
    return max(-(-duration_ms // (_CHUNK_S * 1000)), 1)


def _activitynet(export: Export) -> None:
    """train.json and val_1.json {v_ID: {duration, timestamps, sentences}}, train_ids.json and val_ids.json [v_ID].

    CLIP4Clip takes two characters off an id and looks for a file of that name, whatever its ending.
    """
    names = {"train": "train.json", "val": "val_1.json"}
    with ExitStack() as stack:
        data = export.each_split(stack, lambda split: json_object(export.folder / names[split]))
        ids = export.each_split(stack, lambda split: json_list(export.folder / f"{split}_ids.json"))
        for row in _rows(export, with_parts=True):
            moments = _moments(row)
            data[row["split"]](f"v_{row['sample_id']}", dense(row["duration_ms"], moments))
            ids[row["split"]](f"v_{row['sample_id']}")
            export.files.add(f"videos/{row['sample_id']}.{row['extension']}", row)
            export.wrote(len(moments))


def dense(duration_ms: int, moments: Sequence[Part]) -> dict[str, Any]:
    """{duration, timestamps, sentences} in seconds, as ActivityNet Captions and all who followed have it."""
    return {
        "duration": duration_ms / 1000,
        "timestamps": [moment.span_s for moment in moments],
        "sentences": [moment.text for moment in moments],
    }


SHAPES: Final = (
    Shape("msrvtt", "MSR-VTT: json of videos and sentences, train and test lists, mp4s (X-Pool, CLIP4Clip)", _msrvtt),
    Shape("msvd", "MSVD: id -> captions as json, train, val and test lists, videos (X-Pool)", _msvd),
    Shape("lsmdc", "LSMDC: clips with one sentence each, by tabs, videos (X-Pool, CLIP4Clip)", _lsmdc, "sentences"),
    Shape("didemo", "DiDeMo: moments in chunks of 5 s, lists, videos (CLIP4Clip)", _didemo, "moments"),
    Shape("activitynet", "ActivityNet Captions: id -> times and sentences, id lists, videos (CLIP4Clip)", _activitynet,
          "sentences"),
)  # fmt: skip
