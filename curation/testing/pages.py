"""Plans pages: which images and recordings, under which texts, with which habits. Facts come first, HTML after them."""

from __future__ import annotations

import random
from dataclasses import replace
from urllib.parse import quote

from curation.testing.facts import Card, ImageFact, PageFact
from curation.testing.hosts import WORLD, Host
from curation.testing.image_plans import ImagePlanner
from curation.testing.phrases import Writer
from curation.testing.recording_plans import is_recorded, keeps_open, plan_recordings

_NO_ROBOTS: tuple[str, ...] = ()
# What a page's <meta name="robots"> says, and how often; of pages that show what many pages show the last is left out.
_ROBOTS = (
    (86, _NO_ROBOTS), (4, ("noindex",)), (3, ("nofollow", "noindex")), (3, ("noimageai",)),
    (4, ("noai", "noimageai")),
)  # fmt: skip
# The header as sent, and the directives it gives; the crawler that this project answers to is ccbot.
_SENT = (
    ("noai, noimageai", ("noai", "noimageai")),
    ("CCBot: noai", ("ccbot: noai",)),
    ("otherbot: noindex, nofollow", ("otherbot: nofollow", "otherbot: noindex")),
)


def plan_page(host: Host, number: int, seed: int) -> PageFact:
    """The facts of page `number` (from 0) of a host: they depend on (seed, host, number) alone."""
    rng = random.Random(f"page {seed} {host.name} {number}")
    lang = list(WORLD)[number % len(WORLD)] if host.lang == "*" else host.lang
    writer = Writer(lang, rng, recorded=is_recorded(host))
    topic = writer.concept()
    slug = quote((topic or f"story {number}").replace(" ", "-"), safe="")
    url = f"https://{host.name}/{host.kind}/{2016 + number % 10}/{slug}-{number}.html"
    base = f"https://img.{host.name}/archive/2020/" if host.kind == "travel" and rng.random() < 0.5 else None
    title = writer.title(topic)
    images = ImagePlanner(host, number, seed, writer, rng).images(topic, title, url, base)
    page = PageFact(
        url=url,
        lang=lang,
        title=f"{title} | {host.name}",
        charset=host.charset,
        charset_in=host.charset_in,
        canonical=f"https://{host.name}/permalink/{number}" if rng.random() < 0.08 else url,
        base=base,
        licence=host.licence,
        images=tuple(images),
        recordings=plan_recordings(host, lang, topic, number, seed),
    )
    return _with_signals(replace(page, card=_card(writer, topic, title, images, rng)), rng)


def _card(writer: Writer, topic: str, title: str, images: list[ImageFact], rng: random.Random) -> Card | None:
    roll = rng.random()
    if roll < 0.2:
        return None
    shown = next((image for image in images if image.kind == "caption" and image.url), None)
    alt = shown.alt if shown is not None and rng.random() < 0.3 else None
    kind = "twitter" if roll < 0.3 else "og"
    return Card(kind, title, writer.body(topic), shown.url if shown else None, alt)


def _with_signals(page: PageFact, rng: random.Random) -> PageFact:
    """The page with its signals of consent."""
    choices = _ROBOTS[:-1] if keeps_open(page) else _ROBOTS
    robots = rng.choices([said for _, said in choices], [weight for weight, _ in choices])[0]
    if not robots and rng.random() < 0.2:
        robots = ("follow", "index", "max-image-preview: large")
    reserved = 0.0 if keeps_open(page) else 0.03
    page = replace(page, robots=robots, tdm_reserved=rng.random() < reserved, tdm_header=rng.random() < reserved)
    if rng.random() < (0.0 if keeps_open(page) else 0.06):
        sent, directives = rng.choice(_SENT)
        page = replace(page, robots_sent=sent, robots_header=directives)
    return page
