"""Named, versioned departures from MetaCLIP's definition of a match. None is on unless asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from curation.errors import VocabularyError
from curation.recipe import MatchOption
from curation.recipe.sections import check_options

VERSION = 1
"""Of every option's meaning, as `curation.concepts.prepare` writes it; one that changes gets a number of its own."""


@dataclass(frozen=True)
class MatchOptions:
    """Which holes of the definition are closed; what each does is written in `curation.concepts.prepare`.

    The fields are the names of `curation.recipe.MatchOption`.

    spaced_entries: an entry's marks and blanks are spaced as a text's are, so "St. Louis" is found.
    no_space_kana: kana and hangul, and the letters 々〆〇, count as scripts without spaces (matters in v2 only).
    nfc: entries and texts are composed (Unicode NFC) before anything else.
    case_fold: entries and texts are case-folded (`str.casefold`) before anything else.
    """

    spaced_entries: bool = False
    no_space_kana: bool = False
    nfc: bool = False
    case_fold: bool = False

    @classmethod
    def of(cls, names: Iterable[MatchOption]) -> MatchOptions:
        """Those with these names, as recipes list them."""
        return cls(**dict.fromkeys(names, True))

    @classmethod
    def chosen(cls, names: Sequence[str], definition: str) -> MatchOptions:
        """Those that a user names. Raises VocabularyError for an unknown one, and for what a recipe refuses too."""
        chosen = cls.from_json(dict.fromkeys(names, VERSION))
        try:
            check_options(definition, names)
        except ValueError as error:
            raise VocabularyError(str(error)) from None
        return chosen

    def to_json(self) -> dict[str, int]:
        """{name: version} of what is on; {} for the plain definition."""
        return {field.name: VERSION for field in fields(self) if getattr(self, field.name)}

    @classmethod
    def from_json(cls, described: Mapping[str, int]) -> MatchOptions:
        """The inverse of `to_json`. Raises VocabularyError for a name or a version this release does not know."""
        known = [field.name for field in fields(cls)]
        for name, version in described.items():
            if name not in known:
                raise VocabularyError(f"unknown matching option {name!r}: choose from {', '.join(known)}")
            if version != VERSION:
                raise VocabularyError(
                    f"unknown matching option {name!r} version {version!r}: this release has version {VERSION}"
                )
        return cls(**dict.fromkeys(described, True))

    def fingerprint(self, vocabulary_fingerprint: str) -> str:
        """32 hex digits that change with the vocabulary or any option; without options the vocabulary's own."""
        described = self.to_json()
        if not described:
            return vocabulary_fingerprint
        text = json.dumps([vocabulary_fingerprint, described], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


PLAIN = MatchOptions()
"""MetaCLIP's definition as it is."""
