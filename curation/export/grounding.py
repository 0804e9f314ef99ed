"""Texts about parts of a video: QVHighlights, dense captions, moment retrieval, HowToCaption, VTG-IT.

Parts are the texts with a span within the sample (see curation.export.texts): chapters, captions of speech, changes
between key frames; `--texts` says which. A sample without one is left out: nobody said where anything is. Nothing is
invented: no ratings, no times.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import ceil
from typing import Any, Final

from curation.export.media_files import COLUMNS
from curation.export.retrieval import dense
from curation.export.shape import Export, Shape
from curation.export.target import csv_rows, json_lines, json_list, json_object
from curation.export.texts import NO_VIDEO, Part, parts, spans

NO_PART: Final = "without a text about a part"
_GRID_S: Final = 2  # QVHighlights' clips
_WHOLE: Final = 0.9  # share of the video from which on VidChapters-7M's moment retrieval drops a window


def _rows(export: Export) -> Iterator[tuple[dict[str, Any], list[Part]]]:
    """Videos that have parts, and these."""
    names = ("sample_id", "split", "extension", "duration_ms", *COLUMNS)
    columns = {name: f'"{name}"' for name in names} | {"parts": parts(export.selection)}
    for row in export.view.rows(columns, export.leave_out(NO_VIDEO)):
        found = spans(row)
        if found:
            yield row, found
        else:
            export.skip(NO_PART)


def short_id(sample_id: str) -> str:
    """Eleven characters like those of YouTube's ids, of 64 bits of the sample_id's SHA-256.

    VidChapters' loaders look for features under the last eleven characters of an id: those of clips of one length are
    the same.
    """
    return base64.urlsafe_b64encode(hashlib.sha256(sample_id.encode()).digest()[:8]).decode().rstrip("=")


# ----------------------------------------------------------------------------------------------------- QVHighlights


def _qvhighlights(export: Export) -> None:
    """subs_SPLIT.jsonl, or with --saliency N highlight_SPLIT_release.jsonl; videos/VID.mp4, VID is the sample_id.

    qid, query, duration (whole seconds, rounded down), vid, relevant_windows [[s, e]] and relevant_clip_ids on a grid
    of 2 s, each clip that the text's span touches; saliency_scores N three times per clip. A text that leaves fewer
    than two clips outside is left out: Moment-DETR draws two of those.
    """
    rating = export.options.saliency
    form = "subs_{}.jsonl" if rating is None else "highlight_{}_release.jsonl"
    with ExitStack() as stack:
        lists = export.each_split(stack, lambda split: json_lines(export.folder / form.format(split)))
        for row, found in _rows(export):
            clips = row["duration_ms"] // (_GRID_S * 1000)
            queries = {query: ids for query, ids in _clip_ids(found, clips).items() if len(ids) + 2 <= clips}
            if not queries:
                export.skip("whose texts leave no two clips of 2 s outside")
                continue
            for qid, (query, ids) in enumerate(queries.items(), export.rows):
                told: dict[str, Any] = {"qid": qid, "query": query, "duration": row["duration_ms"] // 1000,
                                        "vid": row["sample_id"], "relevant_windows": _windows(ids),
                                        "relevant_clip_ids": ids}  # fmt: skip
                if rating is not None:
                    told["saliency_scores"] = [[rating] * 3 for _ in ids]
                lists[row["split"]](told)
            export.files.add(f"videos/{row['sample_id']}.{row['extension']}", row)
            export.wrote(len(queries))
    if rating is None:
        export.notes.append("nobody rated these clips: saliency_scores are left out (--saliency N: all the same)")


def _clip_ids(found: Sequence[Part], clips: int) -> dict[str, list[int]]:
    """Clips of 2 s that each text is about, ascending; a begin in the rest at the end counts to the last whole clip."""
    ids: dict[str, set[int]] = defaultdict(set)
    for part in found:
        first = min(part.start_ms // (_GRID_S * 1000), clips - 1)
        ids[part.text].update(range(first, max(min(ceil(part.end_ms / (_GRID_S * 1000)), clips), first + 1)))
    return {text: sorted(each) for text, each in ids.items()}


def _windows(ids: Sequence[int]) -> list[list[int]]:
    """[[begin, end]] in seconds of runs of clips."""
    windows: list[list[int]] = []
    for clip in ids:
        if windows and windows[-1][1] == clip * _GRID_S:
            windows[-1][1] += _GRID_S
        else:
            windows.append([clip * _GRID_S, (clip + 1) * _GRID_S])
    return windows


# ------------------------------------------------------------------------------------------- VidChapters-7M's exports


def _dense_captions(export: Export) -> None:
    """chapters_dvc_SPLIT.json {id: {duration, timestamps, sentences, path}}, ids.csv, videos/ID.mp4.

    path is where the loader looks for features: ID.mp4.npy. See `short_id`.
    """
    with ExitStack() as stack:
        data = export.each_split(stack, lambda split: json_object(export.folder / f"chapters_dvc_{split}.json"))
        ids = stack.enter_context(csv_rows(export.folder / "ids.csv", ["id", "sample_id"]))
        for row, found in _rows(export):
            name = short_id(row["sample_id"])
            data[row["split"]](name, dense(row["duration_ms"], found) | {"path": f"{name}.mp4.npy"})
            ids([name, row["sample_id"]])
            export.files.add(f"videos/{name}.mp4", row)
            export.wrote(len(found))


def _moment_retrieval(export: Export) -> None:
    """Chapters/chapters_vmr_SPLIT.json, a JSON object per line: qid, query, vid, duration, split, relevant_windows.

    train: a row per video, with lists of queries and of their windows; val: a row per query, whose vid has its number
    in front. The folder's name tells Moment-DETR's fork to ask for no ratings. Windows of 90 % of the video go.
    """
    folder, qid = export.folder / "Chapters", 0
    with ExitStack() as stack:
        lists = export.each_split(stack, lambda split: json_lines(folder / f"chapters_vmr_{split}.json"))
        ids = stack.enter_context(csv_rows(export.folder / "ids.csv", ["id", "sample_id"]))
        for row, every in _rows(export):
            found = [part for part in every if part.end_ms - part.start_ms < _WHOLE * row["duration_ms"]]
            if not found:
                export.skip("whose texts are about nearly all of it")
                continue
            name = short_id(row["sample_id"])
            same = {"duration": row["duration_ms"] // 1000, "split": row["split"]}
            if row["split"] == "train":
                told = {"query": [part.text for part in found], "vid": name}
                asked = [told | same | {"relevant_windows": [[part.span_s] for part in found]}]
            else:
                asked = [{"query": part.text, "vid": f"{number}{name}"} | same | {"relevant_windows": [part.span_s]}
                         for number, part in enumerate(found)]  # fmt: skip
            for query in asked:
                lists[row["split"]]({"qid": qid} | query)
                qid += 1
            ids([name, row["sample_id"]])
            export.files.add(f"videos/{name}.mp4", row)
            export.wrote(len(found))


# ------------------------------------------------------------------------------------------------------ HowToCaption


def _howtocaption(export: Export) -> None:
    """howtocaption_SPLIT.json {id: {start, end, text}}, SPLIT.csv (video_id, video_path), videos/ID.EXT.

    start and end in whole seconds that hold the span, text a list of captions for each. The published file is a pickle
    of the same dict.
    """
    with ExitStack() as stack:
        data = export.each_split(stack, lambda split: json_object(export.folder / f"howtocaption_{split}.json"))
        lists = export.each_split(
            stack, lambda split: csv_rows(export.folder / f"{split}.csv", ["video_id", "video_path"])
        )
        for row, found in _rows(export):
            at: dict[tuple[int, int], list[str]] = defaultdict(list)
            for part in found:
                at[part.start_ms // 1000, ceil(part.end_ms / 1000)].append(part.text)
            told = {"start": [start for start, _ in at], "end": [end for _, end in at], "text": list(at.values())}
            data[row["split"]](row["sample_id"], told)
            path = export.files.add(f"videos/{row['sample_id']}.{row['extension']}", row)
            lists[row["split"]]([row["sample_id"], path])
            export.wrote(len(found))


# ------------------------------------------------------------------------------------------------------------ VTG-IT


_DENSE_QUESTION: Final = "Tell what happens in this video, one event after the other, each with its begin and end."
_MOMENT_QUESTION: Final = "When does this happen in the video: {}"


def _vtg_it(export: Export) -> None:
    """vtg_it_SPLIT.json [{video, QA: [{q, a}], source}]: all parts of a video in one answer, and a question for each.

    An answer is "S - E seconds, text." per event, seconds with one decimal; to a question after one event "S - E
    seconds.". source: dense_captions or moment_retrieval. video: path below the exported folder.
    """
    with ExitStack() as stack:
        lists = export.each_split(stack, lambda split: json_list(export.folder / f"vtg_it_{split}.json"))
        for row, found in _rows(export):
            video = export.files.add(f"videos/{row['sample_id']}.{row['extension']}", row)
            answer = " ".join(f"{_seconds(part)}, {_sentence(part.text)}" for part in found)
            asked = [(_DENSE_QUESTION, answer, "dense_captions")]
            asked += [(_MOMENT_QUESTION.format(_sentence(part.text)), f"{_seconds(part)}.", "moment_retrieval")
                      for part in found]  # fmt: skip
            for question, told, source in asked:
                lists[row["split"]]({"video": video, "QA": [{"q": question, "a": told}], "source": source})
            export.wrote(len(asked))


def _seconds(part: Part) -> str:
    return f"{part.start_ms / 1000:.1f} - {part.end_ms / 1000:.1f} seconds"


def _sentence(text: str) -> str:
    """On one line, with a full stop unless it ends in some mark of its own."""
    line = " ".join(text.split())
    return line if not line[-1].isalnum() else f"{line}."


SHAPES: Final = (
    Shape("qvhighlights", "QVHighlights: queries with windows on a grid of 2 s, videos (Moment-DETR, R2-Tuning)",
          _qvhighlights, "queries", frozenset({"media", "texts", "saliency"})),
    Shape("dense-captions", "VidChapters-7M's dense captions: id -> times and sentences, videos (Vid2Seq)",
          _dense_captions, "sentences"),
    Shape("moment-retrieval", "VidChapters-7M's moment retrieval: queries with windows, videos (Moment-DETR's fork)",
          _moment_retrieval, "queries"),
    Shape("howtocaption", "HowToCaption: id -> begins, ends, captions; videos", _howtocaption),
    Shape("vtg-it", "VTG-IT: questions and answers with times, videos (VTG-LLM, TimeChat)", _vtg_it, "rows"),
)  # fmt: skip
