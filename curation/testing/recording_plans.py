"""Plans which videos and sounds a page names, and in which ways."""

from __future__ import annotations

import random

from curation.testing.facts import PageFact
from curation.testing.hosts import Host
from curation.testing.phrases import Writer
from curation.testing.recordings import (
    SCHEMA_FORMS,
    Mention,
    Recording,
    file_recording,
    popular_recordings,
    unknown_recording,
)

# How often pages of a kind of host name a video or a sound.
_VIDEOS = {"video": 1.0, "news": 0.3, "blog": 0.15, "travel": 0.15}
_AUDIOS = {"podcast": 1.0, "news": 0.08, "blog": 0.06}
# The ways one page names one recording, by modality and kind.
_FORMS = {
    ("video", "file"): (
        ("video",), ("video", "json-ld"), ("source", "og"), ("source", "microdata"), ("link",), ("json-ld", "og"),
        ("video", "graph"), ("object",), ("video", "bare"), ("graph",), ("link", "twitter"),
    ),
    ("video", "player"): (
        ("iframe",), ("lazy-iframe",), ("iframe", "json-ld"), ("share",), ("share", "iframe"), ("iframe", "microdata"),
        ("embed",), ("iframe", "twitter"), ("graph",), ("iframe", "og"),
    ),
    ("video", "unknown"): (("iframe",), ("iframe", "json-ld"), ("iframe", "twitter"), ("iframe", "og")),
    ("audio", "file"): (("audio",), ("audio", "json-ld"), ("link",), ("audio", "og"), ("json-ld",), ("audio", "bare")),
    ("audio", "player"): (("iframe",), ("share",), ("iframe", "json-ld")),
}  # fmt: skip
_TITLED = ("iframe", "lazy-iframe", "link", "share")
_POPULAR_WEIGHTS = (40, 22, 14, 10, 8, 6)


def is_recorded(host: Host) -> bool:
    """Whether a host is all about videos or sounds, so that its pages are about what these are about."""
    return host.kind in ("video", "podcast")


def plan_recordings(host: Host, lang: str, topic: str, number: int, seed: int) -> tuple[Mention, ...]:
    """The recordings of page `number` of a host: they depend on the arguments alone. Each is there once."""
    rng = random.Random(f"recordings {seed} {host.name} {number}")
    writer = Writer(lang, rng, recorded=True)
    found: dict[str, Recording] = {}
    if rng.random() < _VIDEOS.get(host.kind, 0.0):
        for _ in range(rng.randint(1, 3) if host.kind == "video" else 1):
            concept = topic if is_recorded(host) and rng.random() < 0.45 else writer.concept()
            recording = _video(host, writer, rng, concept, seed)
            found.setdefault(recording.url, recording)
    if rng.random() < _AUDIOS.get(host.kind, 0.0):
        popular = popular_recordings(lang, seed, "audio")
        own = rng.random() < 0.7
        recording = file_recording(host, writer, rng, topic, "audio") if own else rng.choice(popular)
        found.setdefault(recording.url, recording)
    mentions: list[Mention] = []
    for recording in found.values():
        mentions += _mentions(recording, list(found.values()), writer, rng)
    first_twitter = next((mention for mention in mentions if mention.form == "twitter"), None)  # a page has one player
    return tuple(mention for mention in mentions if mention.form != "twitter" or mention is first_twitter)


def _video(host: Host, writer: Writer, rng: random.Random, concept: str, seed: int) -> Recording:
    roll = rng.random()
    if roll < 0.5:
        return file_recording(host, writer, rng, concept)
    if roll < 0.88:
        return rng.choices(popular_recordings(writer.lang, seed), _POPULAR_WEIGHTS)[0]
    return unknown_recording(host, writer, rng, concept)


def _mentions(recording: Recording, all_of_page: list[Recording], writer: Writer, rng: random.Random) -> list[Mention]:
    alone = sum(other.modality == recording.modality for other in all_of_page) == 1
    mentions = []
    for planned in rng.choice(_FORMS[recording.modality, recording.kind]):
        form = "json-ld" if planned == "bare" and not alone else planned  # without an address: about which of them?
        text = link_title = figcaption = None
        if form in _TITLED or (form in ("audio", "object", "embed") and rng.random() < 0.7):
            text = recording.title
        if form in ("link", "share") and rng.random() < 0.3:
            text = f"{recording.title} {recording.description}"  # longer than what a WAT keeps
        if form in ("link", "share") and rng.random() < 0.4:
            link_title = writer.caption(recording.concepts[0] if recording.concepts else "").text
        if form in ("video", "source", "iframe") and rng.random() < 0.25:
            figcaption = writer.caption(writer.concept()).text
        mentions.append(Mention(form, _src(form, recording, rng), recording, text, link_title, figcaption))
    return mentions


def _src(form: str, recording: Recording, rng: random.Random) -> str:
    """The URL under which a form names a recording."""
    if form == "bare":
        return ""
    if recording.kind != "player":
        relative = form in ("video", "source", "audio", "link", "iframe", "object") and rng.random() < 0.2
        return recording.url.removeprefix("https:") if relative else recording.url
    if form == "share":
        return rng.choice(recording.pages)
    player = rng.choice(recording.embeds)
    if form in ("og", "twitter", *SCHEMA_FORMS) and player.startswith("//"):
        return f"https:{player}"
    return player


def keeps_open(page: PageFact) -> bool:
    """Whether a page shows what many pages show: one that refused it would take it from all of them."""
    return any(mention.recording.kind == "player" for mention in page.recordings)
