"""Conversations about samples, for instruction tuning; and what is said in videos, for retrieval over scripts."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any, Final

from curation.export.media_files import COLUMNS
from curation.export.shape import Export, Shape
from curation.export.target import json_lines, json_list, text_file
from curation.export.texts import NO_CAPTION, NO_VIDEO, caption, parts, spans, spoken

QUESTION: Final = "Describe the {} in detail."
"""Tarsier's question about videos."""
_PICTURE: Final = re.compile("<(image|video)>")


def _chat(export: Export) -> None:
    """llava_SPLIT.json [{id, image | video, conversations}]; tarsier_SPLIT.jsonl; media/FILE.

    The answer is the sample's detailed caption; where it has none, or --texts says which text, its chosen one.
    Tarsier's rows: idx, dataset, text {prompt, response}, video_file, extra_info {duration, events}, vid; events are
    the texts about parts, in order. Both name files below the exported folder.

    LLaVA's loader takes <image> and <video> for a picture wherever they stand, so answers have them without brackets.
    """
    told = caption(export.selection)
    answer = told if export.selection.texts else f"coalesce(detailed, {told})"
    names = ("sample_id", "split", "modality", "extension", "duration_ms", *COLUMNS)
    columns = {name: f'"{name}"' for name in names} | {"answer": answer, "parts": parts(export.selection)}
    with ExitStack() as stack:
        llava = export.each_split(stack, lambda split: json_list(export.folder / f"llava_{split}.json"))
        tarsier = export.each_split(stack, lambda split: json_lines(export.folder / f"tarsier_{split}.jsonl"))
        for row in export.view.rows(columns):
            row["answer"] = _PICTURE.sub(r"\1", row["answer"] or "")
            if not row["answer"].strip():
                export.skip(NO_CAPTION)
                continue
            name = export.files.add(f"media/{row['sample_id']}.{row['extension']}", row)
            llava[row["split"]](_llava(row, name))
            tarsier[row["split"]](_tarsier(row, name, export.samples + 1))
            export.wrote()


def _prompt(row: dict[str, Any]) -> str:
    return f"<{row['modality']}>\n" + QUESTION.format(row["modality"])


def _llava(row: dict[str, Any], name: str) -> dict[str, Any]:
    said = [{"from": "human", "value": _prompt(row)}, {"from": "gpt", "value": row["answer"]}]
    return {"id": row["sample_id"], row["modality"]: name, "conversations": said}


def _tarsier(row: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    told = {"idx": number, "dataset": "curation", "text": {"prompt": _prompt(row), "response": row["answer"]},
            "video_file": name}  # fmt: skip
    if row["modality"] == "video":
        events = [part.text for part in spans(row)]
        told["extra_info"] = {"duration": row["duration_ms"] / 1000, "events": events, "n_events": len(events)}
    return told | {"vid": row["sample_id"]}


def _transcripts(export: Export) -> None:
    """scripts/ID.txt: what is said in each video, a line per text with a span, by begin; videos/ID.EXT."""
    columns = {name: f'"{name}"' for name in ("sample_id", "extension", *COLUMNS)}
    columns["spoken"] = spoken(export.selection)
    for row in export.view.rows(columns, export.leave_out(NO_VIDEO)):
        ordered = sorted(row["spoken"], key=lambda said: (said["start_ms"] or 0, said["text"]))
        lines = [line for said in ordered if (line := " ".join(said["text"].split()))]
        if not lines:
            export.skip("in which nothing is said")
            continue
        with text_file(export.folder / "scripts" / f"{row['sample_id']}.txt") as file:
            file.write("\n".join(lines) + "\n")
        export.files.add(f"videos/{row['sample_id']}.{row['extension']}", row)
        export.wrote(len(lines))


SHAPES: Final = (
    Shape("chat", "conversations with one answer, media (LLaVA's json: ShareGPT4Video, PPLLaVA; Tarsier's jsonl)",
          _chat, "samples"),
    Shape("transcripts", "a text file per video of what is said in it, videos (VideoRAG, Goldfish)", _transcripts,
          "lines"),
)  # fmt: skip
