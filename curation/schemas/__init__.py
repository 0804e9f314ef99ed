"""Every dataset's Arrow schema, one description per column: the contract between stages and with users.

`curation describe DATASET` and docs/schemas.md are made from this package. Sizes are in bytes, offsets count from 0.
Imports nothing of ours.
"""

from curation.schemas.columns import MODALITIES, NEARLY_ALL_DIFFER, Dataset
from curation.schemas.media import (
    DUPLICATE_GROUPS,
    DUPLICATES,
    FINAL_PAIRS,
    MEDIA,
    MEDIA_SHARDS,
    SURVIVOR_COUNTS,
    SURVIVORS,
)
from curation.schemas.selection import (
    CANDIDATES,
    DRAW_HISTOGRAMS,
    DRAWS,
    ENTRY_COUNTS,
    KEPT_COUNTS,
    KEPT_PAIRS,
    MATCH_COUNTS,
    MATCHES,
    PAIRS,
    REJECTIONS,
    SITE_RULES,
)
from curation.schemas.videos import (
    CLIP_GROUPS,
    CLIP_SHARDS,
    CLIPS,
    KEPT_CLIPS,
    KEPT_VIDEOS,
    PIECES,
    SCENES,
    SCORES,
    VIDEOS,
)
from curation.schemas.vocabulary import SOURCE_FILES, TERM_COUNTS, TERMS, VOCABULARY

DATASETS = {
    dataset.name: dataset
    for dataset in (
        CANDIDATES,
        SITE_RULES,
        PAIRS,
        MATCHES,
        MATCH_COUNTS,
        ENTRY_COUNTS,
        DRAWS,
        DRAW_HISTOGRAMS,
        KEPT_PAIRS,
        KEPT_COUNTS,
        REJECTIONS,
        MEDIA,
        MEDIA_SHARDS,
        VIDEOS,
        SCENES,
        PIECES,
        CLIPS,
        CLIP_SHARDS,
        SCORES,
        CLIP_GROUPS,
        KEPT_CLIPS,
        KEPT_VIDEOS,
        DUPLICATE_GROUPS,
        DUPLICATES,
        SURVIVORS,
        SURVIVOR_COUNTS,
        FINAL_PAIRS,
    )
}
"""All datasets of `curation run`, in the order in which they come to be."""

VOCABULARY_DATASETS = {dataset.name: dataset for dataset in (SOURCE_FILES, TERM_COUNTS, TERMS, VOCABULARY)}

__all__ = [
    "CANDIDATES",
    "CLIPS",
    "CLIP_GROUPS",
    "CLIP_SHARDS",
    "DATASETS",
    "DRAWS",
    "DRAW_HISTOGRAMS",
    "DUPLICATES",
    "DUPLICATE_GROUPS",
    "ENTRY_COUNTS",
    "FINAL_PAIRS",
    "KEPT_CLIPS",
    "KEPT_COUNTS",
    "KEPT_PAIRS",
    "KEPT_VIDEOS",
    "MATCHES",
    "MATCH_COUNTS",
    "MEDIA",
    "MEDIA_SHARDS",
    "MODALITIES",
    "NEARLY_ALL_DIFFER",
    "PAIRS",
    "PIECES",
    "REJECTIONS",
    "SCENES",
    "SCORES",
    "SITE_RULES",
    "SOURCE_FILES",
    "SURVIVORS",
    "SURVIVOR_COUNTS",
    "TERMS",
    "TERM_COUNTS",
    "VIDEOS",
    "VOCABULARY",
    "VOCABULARY_DATASETS",
    "Dataset",
]
