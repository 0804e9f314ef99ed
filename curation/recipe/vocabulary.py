"""The recipe of a vocabulary: which sources, in which order, and what of each becomes an entry."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import Field
from pydantic.functional_validators import field_validator, model_validator

from curation.recipe.fields import Int, Name, PositiveInt, Section, Share, VocabularyLanguage
from curation.recipe.sections import Runtime

Score = Annotated[float, Field()]
_WIKI = re.compile("[a-z]{2,}(-[a-z0-9]+)*")
_LIST_NAME = re.compile(r"\w[\w.-]*")


class Limits(Section):
    """Which terms of a scored source become entries; what is not set does not limit."""

    min_score: Score | None = Field(None, description="smallest score")
    top_share: Share | None = Field(None, description="this share of the source's distinct terms, the best first")
    max_entries: PositiveInt | None = Field(None, description="no more than this, the best first")


class Numbers(Section):
    """The numbers from 0 to 99, which MetaCLIP's list begins with."""

    kind: Literal["numbers"] = Field(description="what this is")
    expected: PositiveInt | None = Field(None, description="entries to expect; told by plan, never used")


class WordNet(Section):
    """Synset names of a wordnet."""

    kind: Literal["wordnet"] = Field(description="what this is")
    paths: list[Name] = Field(min_length=1, description="data.* files, or one Open Multilingual Wordnet file")
    format: Literal["wndb", "tab", "lmf"] = Field("wndb", description="WordNet's own files, or OMW's tab or LMF")
    lemmas: Literal["first", "all"] = Field("first", description="of a synset (wndb); the first is its name")
    file_lang: Name | None = Field(None, description="the language as an OMW file writes it; default: its usual code")
    expected: PositiveInt | None = Field(None, description="entries to expect; told by plan, never used")


class Unigrams(Limits):
    """Words of Wikipedia by their count."""

    kind: Literal["unigrams"] = Field(description="what this is")
    expected: PositiveInt | None = Field(None, description="entries to expect; told by plan, never used")


class Bigrams(Limits):
    """Neighbouring words of Wikipedia by pointwise mutual information.

    score = log2(count(a b) * N) - log2(count(a) * count(b)), N the number of all words: at most log2 N.
    """

    kind: Literal["bigrams"] = Field(description="what this is")
    min_count: PositiveInt = Field(1, description="rarer ones are not even ranked")
    share_of_unigrams: Share | None = Field(None, description="no more than this share of the number of unigrams")
    expected: PositiveInt | None = Field(None, description="entries to expect; told by plan, never used")


class Titles(Limits):
    """Titles of Wikipedia's pages by their views."""

    kind: Literal["titles"] = Field(description="what this is")
    paths: list[Name] = Field(min_length=1, description="hourly pageviews-*.gz; globs are allowed")
    min_hourly_views: PositiveInt = Field(1, description="an hour's line counts from this many views on (MetaCLIP: 50)")
    merge_mobile: bool = Field(True, description="views of the mobile site count too (MetaCLIP v2; v1: false)")
    drop_colon: bool = Field(True, description="titles with a colon are left out: most name no article")
    expected: PositiveInt | None = Field(None, description="entries to expect; told by plan, never used")


class WordList(Limits):
    """A list of entries: hashtags, class names, words by frequency."""

    kind: Literal["list"] = Field(description="what this is")
    name: Name = Field(description="name of the source in the vocabulary, such as openimages")
    path: Name = Field(description=".txt .csv .tsv .json .parquet, or wordfreq's .msgpack; also .gz")
    entry_column: Name | PositiveInt | None = Field(
        None, description="column that holds the entry; its number from 1 in a .csv or .tsv without a header"
    )
    score_column: Name | PositiveInt | None = Field(None, description="column that holds the score, likewise")
    join_words: bool = Field(False, description="takes blanks out of entries, for scripts that write none")
    strip_hash: bool = Field(False, description="takes the # from the front of hashtags")
    expected: PositiveInt | None = Field(None, description="entries to expect; told by plan, never used")


Source = Annotated[Numbers | WordNet | Unigrams | Bigrams | Titles | WordList, Field(discriminator="kind")]
SourceKind = Literal["numbers", "wordnet", "unigrams", "bigrams", "titles", "list"]


class Wikipedia(Section):
    """The dumps that unigrams and bigrams are counted in."""

    paths: list[Name] = Field(min_length=1, description="pages-articles*.xml.bz2 of one Wikipedia; globs are allowed")
    lower_case: bool = Field(False, description="count words in lower case; matching keeps case, so the default does")
    range_mb: PositiveInt = Field(64, description="MB of a dump in one unit of work; never changes a result")


class Download(Section):
    """What a user fetches before a build; told by plan, never fetched by it."""

    about: Name = Field(description="what it is")
    url: Name = Field(description="where it is; {lang} and {wiki} stand for the language")
    files: PositiveInt = Field(1, description="number of files")
    size_mb: Annotated[Int, Field(ge=0)] = Field(description="of all of them together")
    licence: Name = Field(description="their licence")


class VocabularyRecipe(Section):
    """How the vocabulary of one language is made. Paths may hold {lang} and {wiki}, a Wikipedia's code."""

    name: Name = Field(description="name of the vocabulary")
    lang: VocabularyLanguage = Field(description="its language, as match.vocabularies calls it, or other")
    wikis: list[Name] | None = Field(None, description="codes of its Wikipedias; default all that the language has")
    wikipedia: Wikipedia | None = Field(None, description="what unigrams and bigrams are counted in")
    sources: list[Source] = Field(min_length=1, description="in the order of their entry ids")
    extend: Name | None = Field(None, description="an older vocabulary (.parquet) whose entries keep their ids")
    downloads: list[Download] = Field([], description="what plan tells to fetch")
    runtime: Runtime = Field(Runtime(), description="how a build uses the machine; never changes a result")

    @model_validator(mode="after")
    def _one_of_each(self) -> VocabularyRecipe:
        names = [source_name(source) for source in self.sources]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"sources name {repeated[0]} more than once: keep one, or give lists names of their own")
        for name in (source.name for source in self.sources if isinstance(source, WordList)):
            if name in get_args(SourceKind):
                raise ValueError(f"sources: a list cannot be called {name}, which is a kind: give it another name")
            if not _LIST_NAME.fullmatch(name):
                raise ValueError(f"sources: {name!r} is no name of a list: give letters, digits, and . _ -")
        counted = [name for name in names if name in ("unigrams", "bigrams")]
        if counted and self.wikipedia is None:
            raise ValueError(f"sources: {counted[0]} are counted in wikipedia.paths: give some")
        for at, source in enumerate(self.sources):
            if isinstance(source, Bigrams) and source.share_of_unigrams and "unigrams" not in names[:at]:
                raise ValueError("sources: share_of_unigrams needs a source of kind unigrams before bigrams")
        return self

    @field_validator("wikis")
    @classmethod
    def _wiki_codes(cls, wikis: list[str] | None) -> list[str] | None:
        for code in wikis or []:
            if not _WIKI.fullmatch(code):
                raise ValueError(f"{code!r} is no code of a Wikipedia: write it as its address does: en, zh-min-nan")
        return wikis and list(dict.fromkeys(wikis))


def source_name(source: Source) -> str:
    """What the vocabulary calls a source: its kind, or a list's own name."""
    return source.name if isinstance(source, WordList) else source.kind
