"""Facts of a page as HTML bytes, in the manners of the web: old and new markup, JSON-LD, players, licence links."""

from __future__ import annotations

import json
import random
from html import escape
from typing import Any
from urllib.parse import urlsplit

from curation.testing.facts import ImageFact, PageFact, VideoFact, picture_of
from curation.testing.hosts import Host
from curation.testing.phrases import Writer

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


def _attributes(**values: str | None) -> str:
    """Attributes in the given order; None leaves one out, underscores are hyphens."""
    pairs = ((name.strip("_").replace("_", "-"), value) for name, value in values.items() if value is not None)
    return "".join(f' {name}="{escape(value)}"' for name, value in pairs)


def _head(page: PageFact, host: Host) -> list[str]:
    lines = []
    if page.charset_in == "meta":
        lines.append(f'<meta http-equiv="Content-Type" content="text/html; charset={page.charset}">')
    if page.base is not None:
        lines.append(f"<base{_attributes(href=page.base)}>")
    lines += [
        f"<title>{escape(page.title, quote=False)}</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<link rel="canonical"{_attributes(href=page.url)}>',
        '<link rel="stylesheet" type="text/css" href="/assets/site.css">',
    ]
    if page.robots:
        content = ", ".join(page.robots)
        loud = f'<META NAME="ROBOTS" CONTENT="{content.upper()}">'
        lines.append(loud if "nofollow" in page.robots else f'<meta name="robots" content="{content}">')
    if page.tdm_reserved:
        lines.append('<meta name="tdm-reservation" content="1">')
    lines += [f"<meta{_attributes(property=name, content=text)}>" for name, text in page.og]
    if page.licence and host.kind in ("blog", "video"):
        lines.append(f'<link rel="license"{_attributes(href=page.licence)}>')
    lines += [_script(item, page.charset) for item in _linked_data(page, host)]
    return lines


def _script(item: dict[str, Any], charset: str) -> str:
    text = json.dumps({"@context": "https://schema.org"} | item, ensure_ascii=charset != "utf-8")
    harmless = text.replace("</", "<\\/")
    return f'<script type="application/ld+json">{harmless}</script>'


def _linked_data(page: PageFact, host: Host) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    licence = {"license": page.licence} if page.licence else {}
    for video in page.videos:
        if video.form == "json-ld":
            items.append({
                "@type": "VideoObject", "name": video.title, "contentUrl": video.url, "thumbnailUrl": video.poster,
                "description": video.title, "duration": "PT1M30S", "uploadDate": "2025-05-04", **licence,
            })  # fmt: skip
    if host.kind == "stock":
        shown = next((image for image in page.images if image.kind == "caption" and image.url), None)
        if shown is not None:
            items.append({"@type": "ImageObject", "contentUrl": shown.url, "name": shown.alt, **licence})
    return items


def _body(page: PageFact, host: Host, writer: Writer, rng: random.Random) -> list[str]:
    home, about, contact, licensed, _ = writer.phrases.site
    chrome = [image for image in page.images if image.kind == "logo"]
    side = [image for image in page.images if image.kind in ("teaser", "spacer", "avatar", "pixel")]
    main = [image for image in page.images if image not in chrome and image not in side]
    topic = next((image.concepts[0] for image in main if image.concepts), None) or writer.concept()
    lines = ["<header>", *(_image(image, rng) for image in chrome)]
    links = (("/", home), ("/about.html", about), ("/contact.html", contact))
    lines += ["<nav>", *(f'<a href="{path}">{text}</a>' for path, text in links), "</nav>"]
    lines += ["</header>", "<main>", f"<h1>{escape(page.title.split(' | ')[0], quote=False)}</h1>"]
    for position, image in enumerate(main):
        if position % 3 == 0:
            lines.append(f"<p>{escape(_paragraph(writer, topic, page.lang), quote=False)}</p>")
        lines.append(_image(image, rng))
    lines += [_video(video) for video in page.videos]
    lines += ["</main>", "<aside>", *(_image(image, rng) for image in side), "</aside>", "<footer>"]
    lines.append(f'<p><a href="mailto:desk@{host.name}">desk@{host.name}</a></p>')
    if page.licence:
        link = f'<a rel="license"{_attributes(href=page.licence)}>{_licence_name(page.licence)}</a>'
        lines.append(f"<p>{licensed} {link}</p>")
    return [*lines, "</footer>"]


def _paragraph(writer: Writer, topic: str, lang: str) -> str:
    known = writer.concept() if lang != "en" else topic
    joint = "" if lang in ("zh", "ja") else " "
    return joint.join(writer.body(writer.concept() or known) for _ in range(3))


def _licence_name(licence: str) -> str:
    return "CC " + " ".join(urlsplit(licence).path.strip("/").split("/")[1:]).upper()


def _image(image: ImageFact, rng: random.Random) -> str:
    shouts = image.form == "plain" and rng.random() < 0.08
    sized = {"width": "640", "height": "480"} if image.form in ("plain", "figure") and rng.random() < 0.5 else {}
    if image.kind in ("spacer", "pixel"):
        sized = {"width": "1", "height": "1"}
    picture = picture_of(image.url) if image.form == "srcset" and image.url else None
    srcset = f"{image.src} 640w" if picture is not None and "?" not in image.src else None
    attributes = _attributes(
        src=image.src, srcset=srcset, data_src=image.real_src, alt=image.alt, title=image.title,
        data_image_title=image.data_title, loading="lazy" if image.form == "lazy" else None, **sized,
    )  # fmt: skip
    return _wrapped(f"<IMG{attributes.replace(' src=', ' SRC=', 1)}>" if shouts else f"<img{attributes}>", image)


def _wrapped(tag: str, image: ImageFact) -> str:
    if image.form == "figure":
        caption = f"<figcaption>{escape(image.figcaption, quote=False)}</figcaption>" if image.figcaption else ""
        return f"<figure>{tag}{caption}</figure>"
    if image.form == "link":
        return f'<a href="/view?show={image.kind}">{tag}</a>'
    if image.form == "picture":
        return f"<picture><source{_attributes(srcset=image.src, type='image/webp')}>{tag}</picture>"
    if image.form == "noscript":
        return f"<noscript>{tag}</noscript>"
    return tag


def _video(video: VideoFact) -> str:
    title = escape(video.title, quote=False)
    if video.form == "video":
        return f"<video controls{_attributes(src=video.url, poster=video.poster)}>{title}</video>"
    if video.form == "source":
        track = _attributes(src=video.url.removesuffix("mp4") + "vtt", kind="captions")
        source = _attributes(src=video.url, type="video/mp4")
        return f"<video controls{_attributes(poster=video.poster)}><source{source}><track{track}>{title}</video>"
    if video.form == "iframe":
        return f"<iframe{_attributes(src=video.url, title=video.title, width='560', height='315')}></iframe>"
    if video.form == "link":
        return f"<p><a{_attributes(href=video.url)}>{title}</a></p>"
    return ""  # og and json-ld speak in the head
