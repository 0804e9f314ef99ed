"""The verdict on a text: its language, and the rule or classifier that drops it, if one does."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from curation.filters.candidates import CandidateFilters
from curation.recipe import Filters, Pairs
from curation.text import judge


def text_verdicts(
    texts: pa.StringArray, settings: Pairs, filters: CandidateFilters
) -> tuple[pa.StringArray, pa.FloatArray, pa.StringArray]:
    """(language, its score, name of the rule or classifier that drops the text or null) of redacted texts."""
    langs, scores, rules = judge(texts, settings)
    if settings.filters.classifiers:
        kept = pc.is_null(rules)
        rules = pc.replace_with_mask(rules, kept, filters.text_verdicts(texts.filter(kept)))
    return langs, scores, rules


@lru_cache(maxsize=4)
def loaded_filters(settings: str, fingerprint: str) -> CandidateFilters:
    """The filters of a recipe's section (as JSON), read once per process; `fingerprint` tells contents apart."""
    return CandidateFilters(Filters.model_validate_json(settings))
