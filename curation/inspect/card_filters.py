"""The data card's section on the filters that act before anything is downloaded."""

from __future__ import annotations

from curation.inspect.card_words import Row, count, escaped, parts_words

_TITLES = {
    "consent": "Consent",
    "licence": "Licences",
    "domain": "Domains",
    "refused": "Lists of refusals",
    "classifier": "Text classifiers",
}
_SCOPES = {
    "media": "one refusing page keeps a media out wherever it is shown, but noindex and none concern only their page",
    "page": "a page speaks for itself only",
}


def filters_section(card: Row) -> list[str]:
    """What the recipe's filters were told and refused, one line each; those that it does not use together."""
    filters = card["filters"]
    licences, refusals = filters["licences"] or [], filters["refusals"]
    used = {
        "consent": _consent(filters),
        "licence": f"only {', '.join(map(escaped, licences))}" if licences else "",
        "domain": _domains(filters["domains"]),
        "refused": f"of {', '.join(map(escaped, refusals))}" if refusals else "",
        "classifier": ", ".join(map(escaped, filters["classifiers"])),
    }
    lines = []
    for kind, words in used.items():
        parts = {name: lost for name, lost in filters["refused"].items() if name.split(":")[0] == kind}
        if words or parts:
            refused = f"{count(sum(parts.values()))} candidates refused{escaped(parts_words(parts))}"
            lines.append(f"- {_TITLES[kind]}: {refused} ({words or 'not in this recipe'}).")
    unused = [_TITLES[kind].lower() for kind, words in used.items() if not words]
    if unused:
        lines.append(f"- Not used: {', '.join(unused)}.")
    return ["## Filters before any download", "\n".join(lines)]


def _consent(filters: Row) -> str:
    """Which signals count and how far; "" where none does."""
    consent = filters["consent"]
    directives = ", ".join(map(escaped, consent["refuse"]))
    if not directives and not consent["site_rules"]:
        return ""
    honoured = [f"honoured: {directives}" if directives else "no directive of a page is honoured"]
    if consent["site_rules"]:
        held = f"hold {count(filters['site_rules'])} rules" if filters["site_rules"] else "hold none"
        agents = ", ".join(map(escaped, consent["agents"]))
        honoured.append(f"robots.txt and ai.txt for {agents or 'all agents'}, of which the archives {held}")
    else:
        honoured.append("robots.txt and ai.txt are not asked")
    return "; ".join([*honoured, _SCOPES[consent["scope"]]])


def _domains(domains: Row) -> str:
    """How many domains or lists of them are named: they can be many."""
    parts = [f"{len(domains[name])} {words}" for name, words in (("allow", "allowed"), ("deny", "denied"))
             if domains[name]]
    return " and ".join(parts) + " in the recipe" if parts else ""
