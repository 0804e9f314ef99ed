"""Refusal by consent: what pages (directives) and sites (robots.txt, ai.txt) say against use."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.site_rules import Rule, SiteRules
from curation.filters.urls import Ints, Urls, url_path
from curation.recipe.filters import Consent

IMAGE_DIRECTIVES: Final = frozenset({"noimageai", "noimageindex"})
"""Directives that speak of images only."""
ROBOTS, AI = "robots.txt", "ai.txt"
_PREFIX = "consent:"
_PAGE_ONLY = pa.array([_PREFIX + name for name in ("noindex", "none")])  # sites put these on lists of what they offer

_FILE_COLUMNS = ("host", "kind", "snapshot", "archive", "record_offset")
_RULE_COLUMNS = ("agent", "allow", "pattern")
_Sites = dict[str, list[SiteRules]]


def concerns_media(verdicts: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Whether each verdict (null: none) is what scope: media extends to a media wherever it is linked."""
    wide = pc.and_not(pc.starts_with(verdicts, _PREFIX), pc.is_in(verdicts, value_set=_PAGE_ONLY))
    return np.asarray(pc.fill_null(wide, False))


class DirectiveFilter:
    """Refuses rows by the directives of their page, for everyone or for one of our agents."""

    def __init__(self, settings: Consent) -> None:
        self._ranks = {name: rank for rank, name in enumerate(settings.refuse)}
        self._agents = frozenset(settings.agents)
        self._verdicts = pa.array([*(_PREFIX + name for name in settings.refuse), None], pa.string())
        self._of_images = np.array([name in IMAGE_DIRECTIVES for name in settings.refuse] + [False])

    def verdicts(self, robots: pa.ListArray, modalities: pa.Array) -> pa.StringArray:
        """consent:DIRECTIVE of each row, the first in the recipe's order, or null."""
        none = len(self._ranks)
        rows = np.asarray(pc.list_parent_indices(robots))
        encoded = robots.flatten().dictionary_encode()
        ranks = np.array([self._rank(value) for value in encoded.dictionary.to_pylist()], np.int64)
        ranks = ranks[np.asarray(encoded.indices)]
        is_image = np.asarray(pc.equal(modalities, "image"))
        ranks[self._of_images[ranks] & ~is_image[rows]] = none
        first = np.full(len(robots), none, np.int64)
        np.minimum.at(first, rows, ranks)
        return self._verdicts.take(pa.array(first))

    def _rank(self, directive: str) -> int:
        agent, colon, name = directive.partition(":")
        if colon and agent.strip() in self._agents:
            directive = name.strip()
        return self._ranks.get(directive, len(self._ranks))


def site_verdicts(media: Urls, pages: Urls, rules: pa.Table, agents: list[str]) -> pa.StringArray:
    """consent:robots.txt or consent:ai.txt of each row, or null.

    rules: SITE_RULES of any hosts. robots.txt of the media's host is asked for the media; ai.txt of the media's host
    for the media, that of the page's host for the page and for the media, whose kind it may refuse (*.jpg) although
    they lie elsewhere. A host of which there are several files is asked by all of them: one refusal is enough.
    """
    sites = _sites(rules, agents)
    robots = _own(media, sites[ROBOTS])
    ai = _own(media, sites[AI]) | _own(pages, sites[AI]) | _of_page_hosts(media, pages, sites[AI])
    codes = np.where(robots, 0, np.where(ai, 1, 2))
    return pa.array([_PREFIX + ROBOTS, _PREFIX + AI, None], pa.string()).take(pa.array(codes))


def _sites(rules: pa.Table, agents: list[str]) -> dict[str, _Sites]:
    """The rules by kind and host, one SiteRules per file; files with the same rules (http, https) are one."""
    files: dict[tuple[object, ...], list[Rule]] = defaultdict(list)
    names = [rules.column(name).to_pylist() for name in (*_FILE_COLUMNS, *_RULE_COLUMNS)]
    for row in zip(*names, strict=True):
        files[row[: len(_FILE_COLUMNS)]].append(Rule(*row[len(_FILE_COLUMNS) :]))
    distinct = {(str(host), str(kind), tuple(found)): None for (host, kind, *_), found in files.items()}
    sites: dict[str, _Sites] = {ROBOTS: {}, AI: {}}
    for host, kind, found in distinct:
        sites[kind].setdefault(host, []).append(SiteRules(found, agents))
    return sites


def _own(urls: Urls, sites: _Sites) -> npt.NDArray[np.bool_]:
    """For each row whether the URL's own host refuses it."""
    values = np.arange(len(urls.values))
    return urls.by_row(_refused(urls, values, _site_of(urls, sites), sites), False)


def _of_page_hosts(media: Urls, pages: Urls, sites: _Sites) -> npt.NDArray[np.bool_]:
    """For each row whether the page's host refuses the media, wherever these lie."""
    site_of_row = pages.by_row(_site_of(pages, sites), -1)
    asked = np.flatnonzero((site_of_row >= 0) & (media.index >= 0))
    wide = len(sites) + 1
    pairs, inverse = np.unique(media.index[asked] * wide + site_of_row[asked], return_inverse=True)
    refused = np.zeros(len(media.index), np.bool_)
    refused[asked] = _refused(media, pairs // wide, pairs % wide, sites)[inverse]
    return refused


def _site_of(urls: Urls, sites: _Sites) -> Ints:
    """For each value the position of its host's site, -1 where it has none."""
    places = {host: place for place, host in enumerate(sites)}
    return urls.by_value(np.array([places.get(host, -1) for host in urls.hosts], np.int64), -1)


def _refused(urls: Urls, values: Ints, site_of_value: Ints, sites: _Sites) -> npt.NDArray[np.bool_]:
    """For each of some values of `urls` whether the site given with it refuses; no site (-1) refuses nothing."""
    files = list(sites.values())
    refused = np.zeros(len(values), np.bool_)
    asked = np.flatnonzero(site_of_value >= 0)
    paths = urls.values.take(pa.array(values[asked])).to_pylist()
    for position, site, url in zip(asked.tolist(), site_of_value[asked].tolist(), paths, strict=True):
        path = url_path(url)
        refused[position] = not all(file.allows(path) for file in files[site])
    return refused
