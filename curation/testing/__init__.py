"""Public builders for tests and demos: a small web, damaged archives, tables of any size. All reproducible.

    web = build_web(folder)                                   # WARC and WAT files
    web.warc_candidates(), web.candidates()                   # what readers of the one and the other must find
    edges = build_edge_archives(folder)                       # one known damage each
    table = build_table(path, 5_000_000, vocabulary=entries)  # (url, caption, page_url) with a long tail
    with curation.testing.mirror.Mirror() as mirror: ...      # the web's images, drawn and served, with usual losses
"""

from curation.testing.candidates import Candidate
from curation.testing.concepts import starter_entries, starter_languages
from curation.testing.edges import EdgeArchive, EdgeArchives, EdgePage, build_edge_archives
from curation.testing.facts import Card, Damage, ImageFact, PageFact, Picture, picture_of
from curation.testing.recordings import Chapter, Mention, Recording
from curation.testing.rows import PLACEHOLDER_URL, Table, Traits, build_table
from curation.testing.web import SNAPSHOT, Web, build_web

__all__ = [
    "PLACEHOLDER_URL",
    "SNAPSHOT",
    "Candidate",
    "Card",
    "Chapter",
    "Damage",
    "EdgeArchive",
    "EdgeArchives",
    "EdgePage",
    "ImageFact",
    "Mention",
    "PageFact",
    "Picture",
    "Recording",
    "Table",
    "Traits",
    "Web",
    "build_edge_archives",
    "build_table",
    "build_web",
    "picture_of",
    "starter_entries",
    "starter_languages",
]
