"""Vocabularies that come with the package: small hand-written lists for demos, and starter vocabularies."""

from __future__ import annotations

import re
from pathlib import Path

from curation.errors import VocabularyError

KINDS = {"demo": ".txt", "starter": ".parquet"}
"""What a location begins with, before a colon and a language, and the ending of the files that it stands for."""


def packaged_folder(kind: str) -> Path:
    """Folder of the vocabularies of a kind, one file per language: in a wheel, or in a source checkout.

    Raises VocabularyError where the installation has none.
    """
    package = Path(__file__).resolve().parents[1]
    # The wheel's own copy first: the folder beside an installed package belongs to somebody else.
    for folder in (package / "_data" / "metadata" / kind, package.parent / "metadata" / kind):
        if folder.is_dir():
            return folder
    raise VocabularyError(
        f"the {kind} vocabularies (metadata/{kind}) are not installed: reinstall, or give a vocabulary file"
    )


def packaged_languages(kind: str) -> list[str]:
    """Languages that there is a vocabulary of this kind for, sorted."""
    return sorted(file.stem for file in packaged_folder(kind).glob(f"*{KINDS[kind]}"))


def resolved(location: str) -> str:
    """The file that demo:LANG or starter:LANG stands for; any other location as it is.

    Raises VocabularyError where there is none for the language.
    """
    kind, colon, lang = location.partition(":")
    if not colon or kind not in KINDS:
        return location
    path = packaged_folder(kind) / f"{lang}{KINDS[kind]}"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", lang) or not path.is_file():
        known = ", ".join(packaged_languages(kind)) or "none"
        raise VocabularyError(f"no {kind} vocabulary {location!r} in {path.parent}: choose one of {known}")
    return str(path)
