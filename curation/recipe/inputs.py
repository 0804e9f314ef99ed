"""Inputs: which files are read, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from curation.recipe.fields import Modality, Name, Section


class TableColumns(Section):
    """Which columns of a table mean what."""

    media_url: Name = Field(description="column that holds the media's absolute URL")
    texts: dict[Name, Name] = Field(min_length=1, description="text_source -> column, in the order of preference")
    page_url: Name | None = Field(None, description="column that holds the page's URL")


class WatInput(Section):
    """Common Crawl WAT files."""

    kind: Literal["wat"] = Field(description="wat: Common Crawl WAT files")
    paths: list[Name] = Field(min_length=1, description="files, folders, globs or *.paths[.gz] lists; local or fsspec")
    base: str | None = Field(None, description="folder or URL that a list's lines start from; null: the list's folder")
    snapshot: str | None = Field(None, description="crawl name; default: what the archive itself says")


class TableInput(Section):
    """Parquet, CSV, TSV or JSONL files with one media per row."""

    kind: Literal["table"] = Field(description="table: files with one media per row")
    paths: list[Name] = Field(min_length=1, description="files, folders or globs; local or fsspec")
    columns: TableColumns = Field(description="which columns mean what")
    modality: Modality = Field("image", description="what the URLs point to")
    snapshot: str = Field("table", description="name kept as the pairs' snapshot")


Input = Annotated[WatInput | TableInput, Field(discriminator="kind")]
