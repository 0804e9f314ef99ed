"""Chapters of 100,000 real descriptions, beside the published rules written down one after the other."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pyarrow.parquet as pq

from bench.data import real_data
from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.captions.chapters import Chapter, parse_chapters

DESCRIPTIONS = 100_000
DAY_MS = 24 * 3_600_000
_RULES = "the rules one by one"


def descriptions() -> list[str]:
    """Real ones, in 27 languages, over and over with a line of their own."""
    youtube, translated = real_data(
        "video_text/video2dataset_youtube.parquet", "video_text/3b1b_titles_descriptions.jsonl.gz"
    )
    texts = [text for text in pq.read_table(youtube)["description"].to_pylist() if text]
    with gzip.open(translated, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts += [text for row in rows for name in ("description", "description_en") if (text := row.get(name))]
    return [f"{texts[number % len(texts)]}\nNumber {number}" for number in range(DESCRIPTIONS)]


def by_the_rules(description: str, duration_ms: int) -> list[Chapter]:
    """The chapters of a description, as whoever reads the rules would write it."""
    found = []
    for line in description.split("\n"):
        chapter = _line(line) if re.search(r"\d:\d\d", line) else None
        if chapter is not None:
            found.append(chapter)
    starts, titles = [start for start, _ in found], [title for _, title in found]
    rises = all(one < other for one, other in pairwise(starts))
    if len(found) < 2 or all(len(title) <= 1 for title in titles) or not rises or starts[-1] > duration_ms:
        return []
    return [Chapter(*row) for row in zip(starts, [*starts[1:], duration_ms], titles, strict=True)]


def _line(line: str) -> tuple[int, str] | None:
    line = re.sub(r"http\S+", "", line)
    if re.search(r"\d{3}:", line) or re.search(r":\d{3}", line) or re.search(r"\d\d:\d\d:\d\d:\d\d", line):
        return None
    for form in (r"\d\d:\d\d:\d\d", r"\d:\d\d:\d\d", r"\d\d:\d\d", r"\d:\d\d"):
        if found := re.search(form, line):
            rest = line[: found.start()] + line[found.end() :]
            places = [at for at, letter in enumerate(rest) if letter.isalnum()]
            units = zip(reversed(found[0].split(":")), (1, 60, 3600), strict=False)
            start = 1000 * sum(int(count) * size for count, size in units)
            return (start, rest[places[0] : places[-1] + 1]) if places else None
    return None


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    texts = descriptions()
    yield {OURS: _told(OURS, texts, parse_chapters), _RULES: _told(_RULES, texts, by_the_rules)}


def _told(side: str, texts: list[str], parse: Callable[[str, int], list[Chapter]]) -> Cost:
    """Writes down what a run cost, and that it found something."""
    found = 0

    def work() -> None:
        nonlocal found
        found = sum(len(parse(text, DAY_MS)) for text in texts)

    def cost() -> float:
        seconds = cpu_seconds(work)()
        ROW.notes[side] = f"{seconds:.2f} s for {found:,} chapters"
        return seconds

    return cost


ROW = Row("chapters", f"chapters of {DESCRIPTIONS:,} real descriptions, one core", "CPU s", {_RULES: 1.0}, _sides)
