"""Vocabularies, and matching texts against them by MetaCLIP's definition."""

from curation.concepts.matcher import Matcher
from curation.concepts.options import MatchOptions
from curation.concepts.packaged import packaged_folder, packaged_languages
from curation.concepts.prepare import pad, prepare
from curation.concepts.vocabulary import Vocabulary
from curation.concepts.vocabulary_files import check_location

__all__ = [
    "MatchOptions",
    "Matcher",
    "Vocabulary",
    "check_location",
    "packaged_folder",
    "packaged_languages",
    "pad",
    "prepare",
]
