"""The heart of the data card in the terminal: what was kept, and head and tail before and after, as bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from curation.inspect.card_captions import captions_lines
from curation.inspect.card_clips import clips_lines, told_pieces
from curation.inspect.card_manifest import manifest_lines
from curation.inspect.card_media import media_lines, told_losses, told_steps
from curation.inspect.card_shards import shards_lines, shards_places
from curation.inspect.card_words import Row, count, losses, plain, ratio, share, target_words, threshold_words
from curation.inspect.wording import size

_WIDEST = 120
_ENTRIES = 10
_LANGUAGES = 10
_SEATS = 3  # languages of every modality that are shown, whatever the others have
_NAME_CELLS = 24
_CAPTION_KINDS = 10


@dataclass(frozen=True)
class _Ink:
    """How a part of a bar is drawn: without colour the characters alone must tell the parts apart."""

    sign: str
    ascii: str
    style: str

    def mark(self, console: Console) -> str:
        return self.ascii if console.options.ascii_only else self.sign


_KEPT = _Ink("█", "#", "green")
_GONE = _Ink("░", ".", "bright_black")
_HEAD = _Ink("█", "#", "yellow")
_AT_T = _Ink("▒", "=", "white")
_TAIL = _Ink("░", ".", "cyan")


@dataclass(frozen=True)
class _Bar:
    """Parts of a whole, side by side, as wide as its column lets it be."""

    parts: Sequence[tuple[float, _Ink]]
    whole: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bar = Text(no_wrap=True, end="")
        done, drawn = 0.0, 0
        for value, ink in self.parts:
            done += value
            until = round(options.max_width * min(1.0, done / self.whole)) if self.whole else 0
            cells = max(until - drawn, 1 if value > 0 and drawn < options.max_width else 0)  # nothing looks like none
            bar.append(ink.mark(console) * cells, ink.style)
            drawn += cells
        yield bar

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(8, options.max_width), options.max_width)


def print_heart(card: Row, console: Console) -> None:
    """Prints the card's heart; as wide as the console, at most 120 columns; without colour and on ASCII, too."""
    _title(card, console)
    _funnel(card, console)
    _clips(card, console)
    _media(card, console)
    _captions(card, console)
    _manifest(card, console)
    _modalities(card, console)
    _head_and_tail(card, console)
    _top_entries(card, console)
    _places(card, console)


def _shown(text: str, console: Console) -> str:
    """What the console's encoding has; the rest as question marks."""
    return plain(text).encode(console.encoding, "replace").decode(console.encoding)


def _heading(console: Console, title: str, *legend: tuple[_Ink, str]) -> None:
    line = Text(_shown(title, console), style="bold")
    for ink, meaning in legend:
        line.append("  ").append(ink.mark(console), ink.style).append(f" {meaning}", "not bold")
    console.print()
    console.print(line)


def _grid(console: Console, columns: str, rows: Iterable[Sequence[str | _Bar]]) -> None:
    """Rows under each other; columns: l(eft), r(ight), b(ar), one letter each."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.width = min(console.width, _WIDEST)
    for kind in columns:
        if kind == "b":
            table.add_column(ratio=1, no_wrap=True)
        else:
            table.add_column(justify="right" if kind == "r" else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(_shown(cell, console)) if isinstance(cell, str) else cell for cell in row))
    console.print(table, soft_wrap=False)


def _clipped(text: str, console: Console) -> str:
    """The text cut to the cells of a name; wide characters take two."""
    shown = Text(_shown(text, console))
    shown.truncate(_NAME_CELLS)
    if shown.plain != _shown(text, console):
        shown.truncate(_NAME_CELLS - 2)
        return f"{shown.plain}.."
    return shown.plain


def _title(card: Row, console: Console) -> None:
    recipe = card["recipe"]
    line = Text(_shown(recipe["name"], console), style="bold")
    line.append(f"   recipe {recipe['hash'][:12]}, seed {recipe['seed']}", "not bold")
    console.print()
    console.print(line)


def _funnel(card: Row, console: Console) -> None:
    _heading(console, "From texts to kept pairs, with the share of the line above")
    most = max((step["rows"] for step in card["funnel"]), default=0)
    rows: list[list[str | _Bar]] = []
    before: int | None = None
    for step in card["funnel"]:
        of = "" if before is None else f"{share(ratio(step['rows'], before))}"
        media = "" if step["media"] is None else f"{count(step['media'])} media"
        bar = _Bar([(step["rows"], _KEPT)], most)
        rows.append([f"  {step['step']}", count(step["rows"]), bar, of, media])
        before = step["rows"]
    _grid(console, "lrbrr", rows)
    left_out = {reason: lost for step in card["funnel"] for reason, lost in step["left_out"].items()}
    if left_out:
        told = "; ".join(
            f"{count(lost)} {words}" for lost, words in sorted(losses(left_out), key=lambda loss: -loss[0])
        )
        _wrapped(console, f"left out: {told}")
    rejected = sum(row["rejected"] for row in card["rejections"])
    if rejected:
        _wrapped(console, f"rejected: {count(rejected)} (dataset rejections)")


def _clips(card: Row, console: Console) -> None:
    """Where clips were cut: what is left of the pieces of videos."""
    section = card.get("clips")
    if section is None:
        return
    _heading(console, "From videos to kept clips")
    most = max(step["count"] for step in section["funnel"])
    _grid(console, "lrb", [
        [f"  {step['step']}", count(step["count"]), _Bar([(step["count"], _KEPT)], most)] for step in section["funnel"]
    ])  # fmt: skip
    if told := told_pieces(section):
        _wrapped(console, "left out: " + "; ".join(f"{count(number)} {words}" for number, words in told))
    for line in clips_lines(section):
        _wrapped(console, line)


def _captions(card: Row, console: Console) -> None:
    """Where media were captioned: what each captioner said, and how much of it holds an entry."""
    section = card.get("captions")
    if section is None:
        return
    _heading(console, "Captions", (_KEPT, "that hold an entry"), (_GONE, "others"))
    kinds = section["kinds"][:_CAPTION_KINDS]
    most = max((row["texts"] for row in kinds), default=0)
    _grid(console, "lrbr", [
        [
            f"  {row['captioner']}.{row['kind']}", count(row["texts"]),
            _Bar([(row["matched"], _KEPT), (row["texts"] - row["matched"], _GONE)], most),
            f"{count(row['chosen'])} chosen",
        ]
        for row in kinds
    ])  # fmt: skip
    if hidden := len(section["kinds"]) - len(kinds):
        _wrapped(console, f"and {hidden} kinds with fewer: see card.md")
    for line in captions_lines(section):
        _wrapped(console, line)


def _manifest(card: Row, console: Console) -> None:
    """Where media were fetched: what a training job reads."""
    section = card.get("manifest")
    if section is None:
        return
    _heading(console, f"Manifest: {count(section['samples'])} samples", (_KEPT, "train"), (_GONE, "val"))
    most = max((row["samples"] for row in section["modalities"]), default=0)
    _grid(console, "lrbr", [
        [
            f"  {row['modality']}", count(row["samples"]),
            _Bar([(row["samples"] - row["val"], _KEPT), (row["val"], _GONE)], most), f"{count(row['val'])} val",
        ]
        for row in section["modalities"]
    ])  # fmt: skip
    for line in manifest_lines(section):
        _wrapped(console, line)


def _media(card: Row, console: Console) -> None:
    """Where media were fetched: what is left of the kept pairs."""
    section = card.get("media")
    if section is None:
        return
    _heading(console, "From kept pairs to final pairs, with the share of the line above")
    rows: list[list[str | _Bar]] = []
    before: int | None = None
    steps = told_steps(section)
    for step in steps:
        of = "" if before is None else share(ratio(step["pairs"], before))
        media = "" if step["media"] is None else f"{count(step['media'])} media"
        bar = _Bar([(step["pairs"], _KEPT)], steps[0]["pairs"])
        rows.append([f"  {step['step']}", count(step["pairs"]), bar, of, media])
        before = step["pairs"]
    _grid(console, "lrbrr", rows)
    if told := told_losses(section):
        _wrapped(console, "left out: " + "; ".join(f"{count(number)} {words}" for number, words in told))
    for line in media_lines(section):
        _wrapped(console, line)


def _modalities(card: Row, console: Console) -> None:
    """Where a run has several: how much of each there was, and was kept."""
    rows = card["breakdowns"]["modality"]["values"]
    if len(rows) < 2:
        return
    _heading(console, "Pairs by modality", (_KEPT, "kept"), (_GONE, "not matched or thinned out"))
    most = max(row["pairs"] for row in rows)
    _grid(console, "lrblr", [
        [f"  {row['value']}", count(row["pairs"]),
         _Bar([(row["kept"], _KEPT), (row["pairs"] - row["kept"], _GONE)], most), "->", count(row["kept"])]
        for row in rows
    ])


def _head_and_tail(card: Row, console: Console) -> None:
    rows = _by_modality_too(sorted(card["balance"], key=lambda row: -row["matches_before"]))
    if not rows:
        return
    _heading(console, "Matches of head and tail", (_HEAD, "entries above t"), (_AT_T, "at t"), (_TAIL, "below t"))
    shown = rows[:_LANGUAGES]
    most = shown[0]["matches_before"]
    several = len({row["modality"] for row in rows}) > 1
    lines: list[list[str | _Bar]] = []
    for row in shown:
        name = f"  {row['modality']} {row['lang']}" if several else f"  {row['lang']}"
        lines.append([name, f"t = {count(row['t'])}", "before", _split(row, "before", most), *_shares(row, "before")])
        lines.append(["", "", "after", _split(row, "after", most), *_shares(row, "after")])
    _grid(console, "llrbrr", lines)
    if len(rows) > len(shown):
        _wrapped(console, f"and {len(rows) - len(shown):,} more in the card")
    for modality in card["thresholds"]["modalities"]:
        words = threshold_words(card, modality["modality"])
        _wrapped(console, f"thresholds, {modality['modality']}: {words}")
    for target in card["thresholds"]["targets"]:
        _wrapped(console, f"target: {target_words(target)}")


def _by_modality_too(rows: list[Row]) -> list[Row]:
    """The rows, with the first of every modality in front, so that no modality is cut off behind another."""
    places: dict[str, int] = {}
    seats: list[tuple[bool, int]] = []
    for row in rows:
        place = places[row["modality"]] = places.get(row["modality"], 0) + 1
        seats.append((place > _SEATS, len(seats)))
    chosen = sorted(seat for _, seat in sorted(seats)[:_LANGUAGES])
    return [rows[seat] for seat in chosen] + [row for seat, row in enumerate(rows) if seat not in chosen]


def _split(row: Row, when: str, most: int) -> _Bar:
    head, tail = row[f"above_t_{when}"], row[f"tail_{when}"]
    return _Bar([(head, _HEAD), (row[f"matches_{when}"] - head - tail, _AT_T), (tail, _TAIL)], most)


def _shares(row: Row, when: str) -> tuple[str, str]:
    return f"head {share(row[f'above_t_share_{when}'])}", f"tail {share(row[f'tail_share_{when}'])}"


def _top_entries(card: Row, console: Console) -> None:
    modalities = sorted({row["modality"] for row in card["top_entries"]})
    for modality in modalities:
        entries = [row for row in card["top_entries"] if row["modality"] == modality][:_ENTRIES]
        title = "Most frequent entries" if len(modalities) == 1 else f"Most frequent entries, {modality}"
        _heading(console, title, (_KEPT, "texts kept"), (_GONE, "texts thinned out"))
        most = entries[0]["before"]
        _grid(
            console,
            "llbrlr",
            [
                [
                    f"  {_clipped(row['entry'], console)}",
                    row["lang"],
                    _Bar([(row["after"], _KEPT), (row["before"] - row["after"], _GONE)], most),
                    count(row["before"]),
                    "->",
                    count(row["after"]),
                ]
                for row in entries
            ],
        )


def _places(card: Row, console: Console) -> None:
    run = card["run"]
    kept = next((row for row in run["datasets"] if row["dataset"] == "kept_pairs"), None)
    _heading(console, "Where it lies")
    final = next((row for row in run["datasets"] if row["dataset"] == "final_pairs"), None)
    for name, found in (("selection", kept), ("final", final)):
        if found:
            content = f"{count(found['rows'])} pairs, {size(found['size_bytes'])}"
            _line(console, f"  {name:<11}{run['work']}/{found['dataset']} ({content})")
    if card.get("media"):
        _line(console, f"  media      {run['work']}/media (ledger), media/tars (shards)")
    if card.get("clips"):
        _line(console, f"  clips      {run['work']}/clips, kept_clips, clips/tars (shards)")
    if card.get("captions"):
        _line(console, f"  captions   {run['work']}/captions, chosen_captions (samples: where their bytes lie)")
    if card.get("manifest"):
        _line(console, f"  manifest   {run['work']}/manifest, entry_probabilities (what training reads)")
    for place in shards_places(card["shards"], run["work"]) if card.get("shards") else []:
        _line(console, f"  shards     {place}")
    _line(console, f"  data card  {run['work']}/card.md, card.json")
    _line(console, f"  SQL        curation.inspect.connect({run['work']!r})")
    for note in [*(shards_lines(card["shards"]) if card.get("shards") else []), *card["notes"]]:
        _line(console, f"note: {note}")


def _line(console: Console, line: str) -> None:
    """One line however long it is, so that paths can be copied."""
    console.print(Text(_shown(line, console)), soft_wrap=True)


def _wrapped(console: Console, line: str) -> None:
    """An indented line, wrapped within the indent."""
    console.print(
        Padding(Text(_shown(line, console)), (0, 0, 0, 2)), width=min(console.width, _WIDEST), soft_wrap=False
    )
