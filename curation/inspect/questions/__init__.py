"""Ready questions: functions of a connection that return Arrow tables of a bounded size, in a fixed order.

    from curation.inspect import connect, plots, questions
    db = connect("DIR")
    questions.head_and_tail(db).to_pandas()
    plots.cumulative_counts(questions.cumulative_counts(db, lang="en"))

Each says its columns and units. A dataset that a question needs and the folder does not have is a WorkFolderError; what
cannot be asked for is an InputError. Numbers are of the moment of `connect`.
"""

from curation.inspect.questions.audit import audit, leaks, nulls, repeated_texts
from curation.inspect.questions.captions import (
    captions_by_kind,
    chosen_kinds,
    texts_of,
    texts_of_samples,
    texts_per_sample,
)
from curation.inspect.questions.changes import (
    diff_changes,
    diff_reasons,
    diff_settings,
    diff_totals,
    manifest_diff,
)
from curation.inspect.questions.media import (
    SCORES,
    clip_lengths,
    image_sizes,
    link_rot,
    link_rot_by_host,
    link_rot_by_snapshot,
    score_histogram,
    score_histograms,
    score_summary,
)
from curation.inspect.questions.samples import clips_with_key_frames, samples, samples_at, samples_of
from curation.inspect.questions.selection import (
    breakdown,
    by_domain,
    by_language,
    cumulative_at,
    cumulative_counts,
    head_and_tail,
    licences,
    matches_per_text,
    sizes_at,
    sizes_following,
    thresholds,
    top_entries,
)

__all__ = [
    "SCORES",
    "audit",
    "breakdown",
    "by_domain",
    "by_language",
    "captions_by_kind",
    "chosen_kinds",
    "clip_lengths",
    "clips_with_key_frames",
    "cumulative_at",
    "cumulative_counts",
    "diff_changes",
    "diff_reasons",
    "diff_settings",
    "diff_totals",
    "head_and_tail",
    "image_sizes",
    "leaks",
    "licences",
    "link_rot",
    "link_rot_by_host",
    "link_rot_by_snapshot",
    "manifest_diff",
    "matches_per_text",
    "nulls",
    "repeated_texts",
    "samples",
    "samples_at",
    "samples_of",
    "score_histogram",
    "score_histograms",
    "score_summary",
    "sizes_at",
    "sizes_following",
    "texts_of",
    "texts_of_samples",
    "texts_per_sample",
    "thresholds",
    "top_entries",
]
