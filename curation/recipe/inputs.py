"""Inputs: which files are read, and how."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field
from pydantic.functional_validators import BeforeValidator, model_validator

from curation.recipe.fields import Modality, Name, Section

Fact = Literal[
    "duration",
    "duration_ms",
    "start",
    "start_ms",
    "end",
    "end_ms",
    "width",
    "height",
    "licence",
    "upload_date",
    "poster_url",
    "page_lang",
    "tracks",
]

_TEMPLATE = re.compile(r"https?://(?:[^{}]|\{[^{}]+\})*").fullmatch


def _columns(value: Any) -> Any:
    """One message for both forms of the field: pydantic's would be one for each."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError("give a column, or a list of columns, of which the first that holds something counts")
    if "" in names:
        raise ValueError("String should have at least 1 character")
    return value


def _templates(value: Any) -> Any:
    for name in value if isinstance(value, list) else [value]:
        if isinstance(name, str) and ("{" in name or "}" in name) and not _TEMPLATE(name):
            raise ValueError(f"{name!r:.80} is no template like https://host/{{column}}")
    return value


Column = Annotated[str | list[str], BeforeValidator(_columns)]
"""A column, or several that a row is looked up in, in this order."""


class TableColumns(Section):
    """Which columns of a table mean what. Instead of one column there may be a list: the first that holds something."""

    media_url: Annotated[Column, BeforeValidator(_templates)] = Field(
        description="column that holds the media's absolute URL, or a template: https://www.youtube.com/watch?v={id}"
    )
    texts: dict[Name, Column] = Field(min_length=1, description="text_source -> column, in the order of preference")
    tags: Column | None = Field(None, description="list, JSON list or comma-separated; one text, joined by ', '")
    chapters: Column | None = Field(
        None,
        description="list or JSON list of {start, title}, optionally with end, or a mapping start -> title, with "
        "start and end in seconds or as H:MM:SS; each is a text about its part of the media",
    )
    page_url: Column | None = Field(None, description="column that holds the page's URL")
    facts: dict[Fact, Column] = Field(
        {}, description="fact -> column; duration, start and end in seconds, as H:MM:SS or ISO 8601 (PT8S), or with _ms"
    )
    optional: list[Name] = Field([], description="columns that a file may lack, as long as it has any text column")


class TablePreset(NamedTuple):
    """A published layout of tables."""

    modality: Modality
    columns: TableColumns


_YOUTUBE = "https://www.youtube.com/watch?v={video_id}"
_IMAGES = TablePreset(
    "image",
    TableColumns(
        media_url=["url", "URL"],
        texts={"caption": ["caption", "TEXT", "text"]},
        facts={  # in img2dataset's own output width and height are those after resizing
            "width": ["original_width", "WIDTH", "width"],
            "height": ["original_height", "HEIGHT", "height"],
            "licence": ["LICENSE", "license"],
        },
        optional=["width", "height", "license"],
    ),
)

TABLE_PRESETS = {
    "webvid": TablePreset(
        "video",
        TableColumns(
            media_url="contentUrl", texts={"title": "name"}, facts={"duration": "duration"}, optional=["duration"]
        ),
    ),
    "hd-vila": TablePreset(  # has no texts of its own: clips with a text, or a title joined to the rows, give some
        "video",
        TableColumns(
            media_url=["url", _YOUTUBE],
            texts={"title": "title", "description": "description"},
            chapters="clip",
            optional=["title", "description"],
        ),
    ),
    "vidchapters": TablePreset(
        "video",
        TableColumns(
            media_url=["url", _YOUTUBE],
            texts={"title": "title", "description": "description"},
            tags="tags",
            chapters="chapters",
            facts={"duration": "duration"},
            optional=["title", "description", "tags", "duration"],
        ),
    ),
    "video2dataset-youtube": TablePreset(
        "video",
        TableColumns(
            media_url=["url", "videoLoc"],
            texts={"title": "title", "caption": "caption", "description": "description"},
            facts={"start": "start", "end": "end"},
            optional=["title", "caption", "description", "start", "end"],
        ),
    ),
    "img2dataset": _IMAGES,
    "laion": _IMAGES,
}
"""Presets by name."""


def _preset_columns(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in TABLE_PRESETS:
        raise ValueError(f"no preset {value!r:.60}: give {', '.join(TABLE_PRESETS)}, or a mapping of columns")
    return TABLE_PRESETS[value].columns


class ArchiveInput(Section):
    """Crawl archives."""

    kind: str
    paths: list[Name] = Field(min_length=1, description="files, folders, globs or *.paths[.gz] lists; local or fsspec")
    base: str | None = Field(None, description="folder or URL that a list's lines start from; null: the list's folder")
    snapshot: str | None = Field(None, description="crawl name; default: what the archive itself says")


class WatInput(ArchiveInput):
    """Common Crawl WAT files."""

    kind: Literal["wat"] = Field(description="wat: Common Crawl WAT files, the links of pages")


class WarcInput(ArchiveInput):
    """WARC files."""

    kind: Literal["warc"] = Field(description="warc: WARC files, whole pages and sites' robots.txt and ai.txt")


class TableInput(Section):
    """Parquet, CSV, TSV or JSONL files with one media per row."""

    kind: Literal["table"] = Field(description="table: files with one media per row")
    paths: list[Name] = Field(min_length=1, description="files, folders or globs; local or fsspec")
    columns: Annotated[TableColumns, BeforeValidator(_preset_columns)] = Field(
        description=f"which columns mean what, or the name of a preset: {', '.join(TABLE_PRESETS)}"
    )
    modality: Modality = Field("image", description="what the URLs point to; default: the preset's, else image")
    snapshot: str = Field("table", description="name kept as the pairs' snapshot")

    @model_validator(mode="before")
    @classmethod
    def _modality_of_preset(cls, data: Any) -> Any:
        preset = data.get("columns") if isinstance(data, dict) else None
        if isinstance(preset, str) and preset in TABLE_PRESETS and "modality" not in data:
            return {**data, "modality": TABLE_PRESETS[preset].modality}
        return data


Input = Annotated[WatInput | WarcInput | TableInput, Field(discriminator="kind")]
