"""The parts that sections of the report are put together from: tables, figures, numbers, notices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from curation.inspect.report_markup import Content, Html, element

Cells = Sequence[Content]


def section(anchor: str, title: str, lead: Content, *content: Content) -> Html:
    """A section under a heading, with a sentence or two that say what is seen."""
    heading = element("h2", title, id=f"{anchor}-title")
    return element(
        "section", heading, element("p", lead, class_="lead"), *content, id=anchor, aria_labelledby=f"{anchor}-title"
    )


def table(titles: Sequence[str], rows: Iterable[Cells], caption: str | None = None, *, stacked: bool = False) -> Html:
    """A table that scrolls within itself where it is too wide; stacked: whose bars get lines of their own there.

    Titles that begin with < are of left-aligned columns, | of those that take what room is left (bars).
    """
    kinds = [{"<": "left", "|": "wide"}.get(title[:1], "right") for title in titles]
    names = [title.lstrip("<|") for title in titles]
    head = element(
        "tr", *(element("th", name, scope="col", class_=kind) for name, kind in zip(names, kinds, strict=True))
    )
    body = (
        element("tr", *(element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in rows
    )
    told = [element("caption", caption)] if caption else []
    parts = (*told, element("thead", head), element("tbody", *body))
    whole = element("table", *parts, class_="stacked" if stacked else None)
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption or "table")


def figure(title: str, words: Content, chart: Html, legend: Sequence[Html] = (), numbers: Html | None = None) -> Html:
    """A chart under its title, what it shows in words, its legend, and the numbers in it as a table."""
    keys = [element("ul", *legend, class_="legend")] if legend else []
    told = [unfolding("The numbers", numbers)] if numbers is not None else []
    return element("figure", element("figcaption", element("h3", title), element("p", words)), *keys, chart, *told)


def figures(*each: Html) -> Html:
    """Figures side by side where there is room."""
    return element("div", *each, class_="figures")


def unfolding(summary: Content, *content: Content, open_: bool = False) -> Html:
    """What is shown when it is asked for; printed always."""
    return element("details", element("summary", summary), *content, open=open_)


def tiles(each: Iterable[tuple[str, str, Content]]) -> Html:
    """Headline numbers: number, what it counts, a remark."""
    made = (
        element("div", element("dt", what), element("dd", element("b", number), element("small", remark)))
        for number, what, remark in each
    )
    return element("dl", *made, class_="tiles")


def notice(words: Content) -> Html:
    """What a reader must know before believing what follows."""
    return element("p", words, class_="notice", role="note")


def absent(words: Content) -> Html:
    """Why something is not there."""
    return element("p", words, class_="absent")


def not_shown(rows: int) -> list[Html]:
    """A line on rows that a table leaves out; none where it has all."""
    return [element("p", f"{rows:,} smaller ones are not shown.", class_="kind")] if rows > 0 else []


def items(each: Iterable[Content], class_: str | None = None) -> Html:
    return element("ul", *(element("li", item) for item in each), class_=class_)
