"""Figures of answers (extra `notebooks`: matplotlib), and answers as tables.

    db = connect("DIR")
    plots.cumulative_counts(questions.cumulative_counts(db))
    plots.picture_grid(questions.samples(db, 8), "DIR")
    plots.as_table(questions.audit(db))

Each function returns a matplotlib Figure that belongs to no window: a notebook with `%matplotlib inline` shows it,
`figure.savefig("x.png")` stores it. Units are on the axes. Texts that the font lacks are shown by `as_table` alone.
"""

from curation.inspect.plots.distributions import (
    breakdown,
    cumulative_at,
    cumulative_counts,
    diff_changes,
    head_and_tail,
    matches_per_text,
    sizes_at,
    sizes_following,
    top_entries,
)
from curation.inspect.plots.media import (
    captions_by_kind,
    clip_lengths,
    image_sizes,
    link_rot,
    link_rot_by,
    score_histograms,
    texts_per_sample,
)
from curation.inspect.plots.pictures import key_frame_strips, picture_grid
from curation.inspect.plots.tables import ShownTable, as_table

__all__ = [
    "ShownTable",
    "as_table",
    "breakdown",
    "captions_by_kind",
    "clip_lengths",
    "cumulative_at",
    "cumulative_counts",
    "diff_changes",
    "head_and_tail",
    "image_sizes",
    "key_frame_strips",
    "link_rot",
    "link_rot_by",
    "matches_per_text",
    "picture_grid",
    "score_histograms",
    "sizes_at",
    "sizes_following",
    "texts_per_sample",
    "top_entries",
]
