"""The verdict on a text: its language, and the rule that drops it, if one does."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from curation.recipe import Pairs
from curation.text.language import LanguageIdentifier
from curation.text.rules import drop_rules

LANGUAGE_RULE = "language"
"""Name under which texts are counted whose language the recipe does not keep; asked after all other rules."""


def judge(texts: pa.StringArray, settings: Pairs) -> tuple[pa.StringArray, pa.FloatArray, pa.StringArray]:
    """(language, its score, name of the rule that drops the text or null) of texts that are redacted already."""
    langs, scores = _identifier().identify(texts)
    if settings.language.min_score > 0:
        sure = pc.greater_equal(scores, pa.scalar(settings.language.min_score, pa.float32()))
        langs = pc.if_else(sure, langs, "")
    rules = drop_rules(texts, langs, settings.rules)
    if settings.language.keep is not None:
        foreign = pc.invert(pc.is_in(langs, value_set=pa.array(settings.language.keep, pa.string())))
        rules = pc.if_else(pc.and_(foreign, pc.is_null(rules)), LANGUAGE_RULE, rules)
    return langs, scores, rules


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier()
