"""Builds a small but genuine web: WARC files and their WAT files, with the facts a test can hold the pipeline against.

    web = build_web(folder)                          # folder/*.warc.wat.gz, folder/warc/*.warc.gz
    for page, url, modality, source, text, *facts in web.warc_candidates(): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from curation.errors import InputError, Reason
from curation.testing.archives import Capture, Headers, info_record, record_id, write_archive
from curation.testing.candidates import Candidate, warc_candidates, wat_candidates
from curation.testing.facts import Damage, ImageFact, PageFact
from curation.testing.hosts import HOSTS, PRIVATE_KINDS, Host
from curation.testing.markup import render
from curation.testing.pages import plan_page
from curation.testing.wat import wat_records

SNAPSHOT = "CC-MAIN-2026-40"
_STARTED = datetime(2026, 9, 18, 12, 13, 14, tzinfo=UTC)
EXTRACTED = "2026-09-19T04:05:06Z"


@dataclass(frozen=True)
class Web:
    """A generated web: where its archives lie, and every page's facts in the order they were written.

    site_files: (URL, text) of the robots.txt and ai.txt files among the records of the WARC files.
    """

    folder: Path
    snapshot: str
    warcs: tuple[Path, ...]
    wats: tuple[Path, ...]
    pages: tuple[PageFact, ...]
    site_files: tuple[tuple[str, str], ...] = ()
    damage: Damage | None = None

    @property
    def images(self) -> Iterator[tuple[PageFact, ImageFact]]:
        """Every <img> of every page, with its page."""
        return ((page, image) for page in self.pages for image in page.images)

    def candidates(self) -> Iterator[Candidate]:
        """Every text about an image, video or audio that the WAT files still hold."""
        return (candidate for page in self.pages if page.in_wat for candidate in wat_candidates(page))

    def warc_candidates(self) -> Iterator[Candidate]:
        """Every text about an image, video or audio that the pages in the WARC files say."""
        return (candidate for page in self.pages for candidate in warc_candidates(page))


def build_web(folder: Path, *, pages: int = 480, seed: int = 0, archives: int = 4, damaged: bool = True) -> Web:
    """Writes a web of `pages` pages, spread over `archives` WARC files, and their WAT files.

    WAT files lie in folder, WARC files in folder/warc, named as Common Crawl names them. Same arguments, same bytes
    (given the same zlib library); files of these names are replaced, others in folder stay. damaged adds one more
    archive, with its share of the pages, whose WAT has a broken gzip member in the middle; its WARC is whole.

    Raises InputError for less than one page or archive.
    """
    if pages < 1 or archives < 1:
        raise InputError(f"build_web cannot write {pages} pages into {archives} archives: give at least one of each")
    warc_folder = folder / "warc"
    warc_folder.mkdir(parents=True, exist_ok=True)
    planned = _plan(pages, seed)
    total = archives + damaged
    written: list[PageFact] = []
    site_files: list[tuple[str, str]] = []
    names = [_archive_name(number) for number in range(total)]
    for number, name in enumerate(names):
        # Page by page in turn, so that every archive holds pages of most hosts.
        share = planned[number::total]
        written += _write_pair(folder, name, share, seed)
        site_files += [file for host, page in share if _is_first(page) for file in site_files_of(host)]
    wats = tuple(folder / f"{name}.warc.wat.gz" for name in names)
    warcs = tuple(warc_folder / f"{name}.warc.gz" for name in names)
    damage = None
    if damaged:
        damage, written = _break_member(wats[-1], written)
    return Web(folder, SNAPSHOT, warcs, wats, tuple(written), tuple(site_files), damage)


def _plan(pages: int, seed: int) -> list[tuple[Host, PageFact]]:
    """Every host in turn until there are enough pages; larger sites come twice per turn, the worldwide one thrice."""
    hosts = HOSTS[:pages]
    numbers = dict.fromkeys(hosts, 0)
    larger = [host for host in hosts if host.kind in ("stock", "video", "world")]
    turn = [*hosts, *larger, *(host for host in larger if host.kind == "world")]
    planned = []
    for position in range(pages):
        host = turn[position % len(turn)]
        planned.append((host, plan_page(host, numbers[host], seed)))
        numbers[host] += 1
    return planned


def _archive_name(number: int) -> str:
    return f"CC-MAIN-20260918121314-20260918151314-{number:05d}"


def _write_pair(folder: Path, name: str, share: Sequence[tuple[Host, PageFact]], seed: int) -> list[PageFact]:
    """Writes one WARC and its WAT; returns the facts with archive names, dates and offsets filled in."""
    warc_name, info_id = f"{name}.warc.gz", record_id("warcinfo", f"{name}.warc.gz")
    dated = [(host, replace(page, date=_date(number))) for number, (host, page) in enumerate(share)]
    records = [info_record(warc_name, _date(0), _INFO)]
    firsts: dict[str, int] = {}
    for host, page in dated:
        for url, rules in site_files_of(host) if _is_first(page) else ():
            records += Capture(url, page.date, info_id, _PLAIN_TEXT, rules.encode(), ()).records()
        firsts[page.url] = len(records) + 1
        records += _capture(page, render(page, host, seed), info_id).records()
    stored = write_archive(folder / "warc" / warc_name, records)
    charsets = {page.url: page.charset for _, page in dated}
    wat = write_archive(
        folder / f"{name}.warc.wat.gz", wat_records(stored, warc_name, EXTRACTED, WAT_INFO, charsets)
    )
    return [
        replace(
            page,
            warc=warc_name,
            wat=f"{name}.warc.wat.gz",
            warc_offset=stored[firsts[page.url]].offset,
            wat_offset=wat[firsts[page.url] + 1].offset,
        )
        for _, page in dated
    ]


def _date(number: int) -> str:
    return (_STARTED + timedelta(seconds=7 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _capture(page: PageFact, html: bytes, info_id: str) -> Capture:
    declared = f"; charset={page.charset}" if page.charset_in == "header" else ""
    headers = [("Content-Type", f"text/html{declared}"), ("Server", "demo"), ("X-Crawler-Content-Encoding", "gzip")]
    if page.robots_sent:
        headers.append(("X-Robots-Tag", page.robots_sent))
    if page.tdm_header:
        headers.append(("tdm-reservation", "1"))
    notes = (("fetchTimeMs", "128"), ("charset-detected", page.charset.upper()))
    return Capture(page.url, page.date, info_id, tuple(headers), html, notes)


def _is_first(page: PageFact) -> bool:
    """Whether this is its host's first page: the crawler asks for robots.txt before it."""
    return page.url.endswith("-0.html")


def site_files_of(host: Host) -> list[tuple[str, str]]:
    """(URL, text) of robots.txt of a host and of where it keeps its images; forums have an ai.txt that forbids most."""
    rules = "User-agent: *\nDisallow: /private/\n"
    others = "User-agent: CCBot\nUser-agent: otherbot\nDisallow: /private/\nAllow: /private/free/ # on purpose\n"
    files = [(f"https://{host.name}/robots.txt", rules)]
    if host.kind in PRIVATE_KINDS:
        files.append((f"https://img.{host.name}/robots.txt", rules if host.lang == "en" else others))
    if host.kind == "forum":
        files.append((f"https://{host.name}/ai.txt", "User-Agent: *\nDisallow: *.jpg\nDisallow: *.mp4\n"))
    return files


def _break_member(wat: Path, pages: Sequence[PageFact]) -> tuple[Damage, list[PageFact]]:
    """Overwrites the middle of one page's gzip member, as a bad disk or a broken transfer does."""
    inside = [page for page in pages if page.wat == wat.name]
    lost = inside[len(inside) // 2]
    data = bytearray(wat.read_bytes())
    start = lost.wat_offset + 60
    data[start : start + 40] = b"\xff" * 40
    wat.write_bytes(data)
    damage = Damage(
        wat, "a gzip member in the middle is overwritten", lost.wat_offset, frozenset({Reason.BROKEN_GZIP}), (lost.url,)
    )
    return damage, [replace(page, in_wat=page.url != lost.url) for page in pages]


_PLAIN_TEXT: tuple[tuple[str, str], ...] = (("Content-Type", "text/plain; charset=utf-8"),)
_INFO: Headers = (
    ("isPartOf", SNAPSHOT),
    ("publisher", "curation.testing"),
    ("description", "A generated web for demo and tests"),
    ("software", "curation.testing.web"),
    ("robots", "checked"),
    ("format", "WARC File Format 1.0"),
)
WAT_INFO: Headers = (
    ("Software-Info", "curation.testing.wat"),
    ("Extracted-Date", "Sat, 19 Sep 2026 04:05:06 GMT"),
    ("isPartOf", SNAPSHOT),
    ("publisher", "curation.testing"),
    ("description", "A generated web for demo and tests"),
)
