"""Facts of a page as HTML bytes, in the manners of the web: old and new markup, cards, consent, licence links."""

from __future__ import annotations

import random
from html import escape

from curation.testing.elements import attributes, image_element, licence_link, recording_element
from curation.testing.facts import PageFact
from curation.testing.hosts import Host
from curation.testing.phrases import Writer
from curation.testing.structured_data import json_ld_scripts, microdata_item

_RTL = ("ar",)


def render(page: PageFact, host: Host, seed: int) -> bytes:
    """The page's HTML in its charset; what the charset lacks becomes a character reference."""
    rng = random.Random(f"markup {seed} {page.url}")
    writer = Writer(page.lang, rng)
    direction = ' dir="rtl"' if page.lang in _RTL else ""
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="{page.lang}"{direction}>',
        "<head>",
        *_head(page, host),
        "</head>",
        "<body>",
        *_body(page, host, writer, rng),
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(lines).encode(page.charset, errors="xmlcharrefreplace")


def card_metas(page: PageFact) -> list[tuple[str, str]]:
    """(name, content) of the page's Open Graph and Twitter tags, in their order."""
    card, pairs = page.card, []
    if card is not None:
        pairs += [(f"{card.kind}:title", card.title)]
        if card.kind == "og":
            pairs += [("og:type", "article"), ("og:url", page.url)]
        if card.image is not None:
            pairs.append((f"{card.kind}:image", card.image))
            if card.image_alt is not None:
                pairs.append((f"{card.kind}:image:alt", card.image_alt))
    for mention in page.recordings:
        recording = mention.recording
        name = {"og": f"og:{recording.modality}", "twitter": "twitter:player"}.get(mention.form)
        if name is not None:
            pairs.append((name, mention.src))
            pairs += [
                (f"{name}:{side}", str(size))
                for side, size in (("width", recording.width), ("height", recording.height))
                if size
            ]
            if mention.form == "og":
                pairs.append((f"{name}:duration", str(recording.duration_ms // 1000)))
    if card is not None:
        pairs.append((f"{card.kind}:description", card.description))
    return pairs


def _head(page: PageFact, host: Host) -> list[str]:
    lines = []
    if page.charset_in == "meta":
        lines.append(f'<meta http-equiv="Content-Type" content="text/html; charset={page.charset}">')
    if page.base is not None:
        lines.append(f"<base{attributes(href=page.base)}>")
    lines += [
        f"<title>{escape(page.title, quote=False)}</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<link rel="canonical"{attributes(href=page.canonical)}>',
        '<link rel="stylesheet" type="text/css" href="/assets/site.css">',
    ]
    if page.robots:
        content = ", ".join(page.robots)
        loud = f'<META NAME="ROBOTS" CONTENT="{content.upper()}">'
        lines.append(loud if "nofollow" in page.robots else f'<meta name="robots" content="{content}">')
    if page.tdm_reserved:
        lines.append('<meta name="tdm-reservation" content="1">')
    for name, text in card_metas(page):
        lines.append(f"<meta{attributes(**{'property' if name.startswith('og:') else 'name': name}, content=text)}>")
    if page.licence and host.kind in ("blog", "video"):
        lines.append(f'<link rel="license"{attributes(href=page.licence)}>')
    return lines + json_ld_scripts(page)


def _body(page: PageFact, host: Host, writer: Writer, rng: random.Random) -> list[str]:
    home, about, contact, licensed, _ = writer.phrases.site
    chrome = [image for image in page.images if image.kind == "logo"]
    side = [image for image in page.images if image.kind in ("teaser", "spacer", "avatar", "pixel")]
    main = [image for image in page.images if image not in chrome and image not in side]
    topic = next((image.concepts[0] for image in main if image.concepts), None) or writer.concept()
    lines = ["<header>", *(image_element(image, shouts=False) for image in chrome)]
    links = (("/", home), ("/about.html", about), ("/contact.html", contact))
    lines += ["<nav>", *(f'<a href="{path}">{text}</a>' for path, text in links), "</nav>"]
    lines += ["</header>", "<main>", f"<h1>{escape(page.h1, quote=False)}</h1>"]
    for position, image in enumerate(main):
        if position % 3 == 0:
            lines.append(f"<p>{escape(_paragraph(writer, topic, page.lang), quote=False)}</p>")
        lines.append(image_element(image, shouts=rng.random() < 0.08))
    for mention in page.recordings:
        lines.append(microdata_item(mention) if mention.form == "microdata" else recording_element(mention))
    lines += ["</main>", "<aside>", *(image_element(image, shouts=False) for image in side), "</aside>", "<footer>"]
    lines.append(f'<p><a href="mailto:desk@{host.name}">desk@{host.name}</a></p>')
    if page.licence:
        lines.append(f"<p>{licensed} {licence_link(page.licence)}</p>")
    return [line for line in [*lines, "</footer>"] if line]


def _paragraph(writer: Writer, topic: str, lang: str) -> str:
    known = writer.concept() if lang != "en" else topic
    joint = "" if lang in ("zh", "ja") else " "
    return joint.join(writer.body(writer.concept() or known) for _ in range(3))
