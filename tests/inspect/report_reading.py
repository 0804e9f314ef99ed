"""Reads a report as its reader does: sections, tables, tiles, by a parser that follows the standard."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser, LexborNode


class Page:
    def __init__(self, html: str) -> None:
        self.html = html
        self.tree = LexborHTMLParser(html)

    def sections(self) -> list[str]:
        return [str(node.attributes["id"]) for node in self.tree.css("main > section")]

    def section(self, anchor: str) -> LexborNode:
        (found,) = self.tree.css(f"section#{anchor}")
        return found

    def tiles(self) -> dict[str, str]:
        """Number by what it counts."""
        return {node.css_first("dt").text(): node.css_first("b").text() for node in self.tree.css("#top .tiles > div")}

    def tables(self, anchor: str) -> list[list[dict[str, str]]]:
        """Rows of every table of a section: cells by their titles."""
        return [_rows(table) for table in self.section(anchor).css("table")]

    def table(self, anchor: str, *titles: str) -> list[dict[str, str]]:
        """The one table of a section that has these titles."""
        (found,) = [rows for rows in self.tables(anchor) if rows and set(titles) <= set(rows[0])]
        return found

    def samples(self) -> list[LexborNode]:
        return self.tree.css("#gallery article.sample")

    def words(self, anchor: str) -> str:
        return self.section(anchor).text(separator=" ", strip=True)


def _rows(table: LexborNode) -> list[dict[str, str]]:
    titles = [cell.text() for cell in table.css("thead th")]
    rows = [[cell.text(separator=" ", strip=True) for cell in row.css("td")] for row in table.css("tbody tr")]
    return [dict(zip(titles, row, strict=True)) for row in rows]
