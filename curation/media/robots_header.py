"""Consent in the headers of a media's own answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from curation.crawl.consent import consent_headers


def refused_directive(
    headers: Mapping[str, Sequence[str]], refuse: Collection[str], agents: Collection[str]
) -> str | None:
    """The first directive, by name, that refuses the media, or None.

    headers: names in any case -> values. agents: lower case; their own directives ("curation: noai") bind us too.
    """
    for directive in consent_headers(headers):
        agent, colon, name = directive.partition(":")
        if directive in refuse or (colon and agent.strip() in agents and name.strip() in refuse):
            return directive
    return None


def product_token(user_agent: str) -> str:
    """The name a site would address a user agent by: "MyBot/1.0 (+https://...)" is mybot."""
    return user_agent.partition("/")[0].partition(" ")[0].lower()
