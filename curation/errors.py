"""What can go wrong: errors that end a run, and reason codes of rows that were refused.

An error that ends a run is one line that says what was wrong, where, and what to do; the command line
prints it and exits with code 2. Everything smaller is a row in the `rejections` dataset.
"""

from __future__ import annotations

from enum import StrEnum


class CurationError(Exception):
    """Base of every error that the command line reports as one line with exit code 2."""


class RecipeError(CurationError):
    """The recipe cannot be used: unknown key, wrong type, contradiction."""


class InputError(CurationError):
    """The inputs named by the recipe cannot be used at all (nothing found, folder unreadable)."""


class VocabularyError(CurationError):
    """A vocabulary is missing, empty or malformed."""


class BalanceError(CurationError):
    """Thresholds cannot be derived from these counts and settings."""


class WorkFolderError(CurationError):
    """The work folder cannot be used: in use by another run, not writable, full, or of another version."""


class StaleDatasetError(WorkFolderError):
    """A dataset was made from inputs that have since been replaced, and is being redone."""


class StageError(CurationError):
    """A unit of a stage failed for a reason that concerns the whole run, not one row."""


class ConservationError(StageError):
    """Committed row counts contradict a stage's conservation law: rows were lost or doubled."""


class Reason(StrEnum):
    """Reason codes of the `rejections` dataset."""

    MISSING_FILE = "missing_file"
    UNREADABLE_FILE = "unreadable_file"
    BROKEN_GZIP = "broken_gzip"
    BROKEN_BZIP2 = "broken_bzip2"
    TRUNCATED_RECORD = "truncated_record"
    BAD_HEADER = "bad_header"
    BAD_LENGTH = "bad_length"
    BAD_JSON = "bad_json"
    BAD_ENCODING = "bad_encoding"
    TOO_LARGE = "too_large"
    NOT_AN_ARCHIVE = "not_an_archive"
    MISSING_COLUMN = "missing_column"
    BAD_ROW = "bad_row"
    BAD_URL = "bad_url"
    BAD_PAGE = "bad_page"
    PAGE_TIMEOUT = "page_timeout"
    PLACEHOLDER = "placeholder"
    OVERLAP = "overlap"
