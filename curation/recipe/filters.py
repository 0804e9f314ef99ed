"""The recipe's section for what is refused before anything is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.functional_validators import AfterValidator, model_validator

from curation.recipe.fields import Name, Section

LIST_MARK: Final = "@"
"""Starts an item of `domains` that names a file with one domain a line."""

_LowerCase = Annotated[Name, AfterValidator(str.lower)]
_AtLeastOne = Field(min_length=1)


class Consent(Section):
    """Which of the signals that a page or a site gives against use are honoured, and how far they reach."""

    refuse: list[_LowerCase] = Field(
        ["noai", "noimageai", "noindex", "noimageindex", "none", "tdm-reservation"],
        description="directives of a page that refuse its media; a row is counted for the first that it has. "
        "noimageai and noimageindex concern images only, the others every modality; [] switches this off",
    )
    agents: list[_LowerCase] = Field(
        ["curation", "ccbot"],
        description="crawlers whose own directives ('ccbot: noindex') and groups in robots.txt and ai.txt bind us too",
    )
    site_rules: bool = Field(
        True,
        description="honour robots.txt of the media's host, and ai.txt of the media's and the page's host, "
        "where the archives hold them",
    )
    scope: Literal["media", "page"] = Field(
        "media",
        description="media: one refusing page keeps the media out wherever else it is linked; page: only there. "
        "noindex and none always concern their page only: sites put them on lists of what they offer elsewhere",
    )


class Domains(Section):
    """Domains to take and to leave, of the media's host and of the page's; each covers what lies below it."""

    allow: Annotated[list[Name], _AtLeastOne] | None = Field(
        None,
        description="take a row only if its media or its page lies on one of these; null takes all. example.org covers "
        "www.example.org, .org all of org; @FILE is a list, one domain a line (.gz too, local or fsspec)",
    )
    deny: list[Name] = Field(
        [], description="refuse a row if its media or its page lies on one of these; written as in allow"
    )


class Classifier(Section):
    """A fastText model that judges texts: exactly one of refuse and require."""

    name: Name = Field(description="what its refusals are counted under: classifier:NAME")
    model: Name = Field(description="supervised fastText model, .bin or .ftz, local or fsspec")
    refuse: Annotated[list[Name], _AtLeastOne] | None = Field(
        None, description="refuse a text if one of these labels (__label__nsfw) reaches min_score"
    )
    require: Annotated[list[Name], _AtLeastOne] | None = Field(
        None, description="keep a text only if one of these labels reaches min_score"
    )
    min_score: float = Field(0.5, gt=0, le=1, description="probability from which a label holds")

    @model_validator(mode="after")
    def _one_way(self) -> Classifier:
        if (self.refuse is None) == (self.require is None):
            raise ValueError("give exactly one of refuse and require")
        return self


class Filters(Section):
    """What is refused before anything is downloaded, each with its counted reason."""

    consent: Consent = Field(Consent(), description="signals of pages and sites against use")
    licences: Annotated[list[Name], _AtLeastOne] | None = Field(
        None,
        description="take only media under these licences ([CC], [CC-BY, CC0-1.0]), none without a known one; "
        "null takes all",
    )
    domains: Domains = Field(Domains(), description="domains to take and to leave")
    refusals: list[Name] = Field(
        [],
        description="folders of lists (*.txt, *.txt.gz; local or fsspec) of media and pages to refuse, one a line: a "
        "URL, a domain, or a hex digest of a URL (MD5, SHA-1, SHA-256, or a media_id); counted as refused:LIST",
    )
    classifiers: list[Classifier] = Field([], description="models that refuse texts, asked in this order")

    @model_validator(mode="after")
    def _names_differ(self) -> Filters:
        names = [classifier.name for classifier in self.classifiers]
        if len(set(names)) < len(names):
            raise ValueError(f"classifiers: each needs a name of its own, not {', '.join(names)}")
        return self

    def anchored(self, anchor: Callable[[str], str]) -> Filters:
        """The same with `anchor` applied to every location of a file or folder."""

        def domains(items: list[str]) -> list[str]:
            return [
                LIST_MARK + anchor(item.removeprefix(LIST_MARK)) if item.startswith(LIST_MARK) else item
                for item in items
            ]

        allow = None if self.domains.allow is None else domains(self.domains.allow)
        return self.model_copy(
            update={
                "domains": Domains(allow=allow, deny=domains(self.domains.deny)),
                "refusals": [anchor(folder) for folder in self.refusals],
                "classifiers": [
                    classifier.model_copy(update={"model": anchor(classifier.model)}) for classifier in self.classifiers
                ],
            }
        )
