"""schema.org's words about images, videos and sounds on the demo web: as JSON-LD and as microdata."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from curation.testing.elements import attributes
from curation.testing.facts import ImageFact, PageFact
from curation.testing.recordings import Chapter, Mention

_TYPES = {"video": "VideoObject", "audio": "AudioObject"}


def json_ld_scripts(page: PageFact) -> list[str]:
    """The page's JSON-LD, one script for each thing that it describes."""
    nodes = [_recording_node(mention) for mention in page.recordings if mention.form in ("json-ld", "bare")]
    for mention in page.recordings:
        if mention.form == "graph":
            node = {"@id": "#recording", **_recording_node(mention)}
            nodes.append({"@graph": [{"@type": "WebPage", "url": page.url, "mainEntity": {"@id": "#recording"}}, node]})
    nodes += [
        _image_node(image, page) for image in page.images if image.described in ("json-ld", "article")
    ]
    return [_script(node, page.charset) for node in nodes]


def _script(node: dict[str, Any], charset: str) -> str:
    text = json.dumps({"@context": "https://schema.org"} | node, ensure_ascii=charset != "utf-8")
    harmless = text.replace("</", "<\\/")
    return f'<script type="application/ld+json">{harmless}</script>'


def _image_node(image: ImageFact, page: PageFact) -> dict[str, Any]:
    url = image.best_url or image.url
    words = {"name": image.schema_name, "caption": image.schema_caption}
    said = {key: text for key, text in words.items() if text is not None}
    if image.described == "article":
        return {"@type": "NewsArticle", "headline": page.h1, "image": {"@type": "ImageObject", "url": url, **said}}
    return {"@type": "ImageObject", "contentUrl": url, **said} | ({"license": page.licence} if page.licence else {})


def _address(mention: Mention) -> dict[str, str]:
    if not mention.src:
        return {}
    return {"contentUrl" if mention.recording.kind == "file" else "embedUrl": mention.src}


def _recording_node(mention: Mention) -> dict[str, Any]:
    recording = mention.recording
    node: dict[str, Any] = {
        "@type": _TYPES[recording.modality],
        "name": recording.title,
        "description": recording.description,
        **_address(mention),
        "thumbnailUrl": [recording.poster] if recording.poster else None,
        "uploadDate": recording.upload_date,
        "duration": _iso_duration(recording.duration_ms),
        "keywords": list(recording.keywords) or None,
        "transcript": recording.transcript,
        "license": recording.licence,
        "width": recording.width,
        "height": {"@type": "QuantitativeValue", "value": recording.height} if recording.height else None,
        "hasPart": [_clip(chapter) for chapter in recording.chapters] or None,
    }
    return {key: value for key, value in node.items() if value is not None}


def _clip(chapter: Chapter) -> dict[str, Any]:
    clip: dict[str, Any] = {"@type": "Clip", "name": chapter.name, "startOffset": chapter.start_ms // 1000}
    return clip | ({"endOffset": chapter.end_ms // 1000} if chapter.end_ms is not None else {})


def _iso_duration(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"PT{minutes}M{seconds}S"


def microdata_item(mention: Mention) -> str:
    """A recording in microdata: what is not shown as <meta> and <link>."""
    recording = mention.recording
    kind = _TYPES[recording.modality]
    lines = [
        f'<div itemscope itemtype="https://schema.org/{kind}">',
        f'<h3 itemprop="name">{escape(recording.title, quote=False)}</h3>',
        f'<p itemprop="description">{escape(recording.description, quote=False)}</p>',
    ]
    lines += [f"<link{attributes(itemprop=name, href=url)}>" for name, url in _address(mention).items()]
    for name, url in (("thumbnailUrl", recording.poster), ("license", recording.licence)):
        lines += [f"<link{attributes(itemprop=name, href=url)}>"] if url else []
    metas: tuple[tuple[str, str | int | None], ...] = (
        ("uploadDate", recording.upload_date), ("duration", _iso_duration(recording.duration_ms)),
        ("transcript", recording.transcript), ("width", recording.width), ("height", recording.height),
        *(("keywords", keyword) for keyword in recording.keywords),
    )  # fmt: skip
    lines += [f"<meta{attributes(itemprop=name, content=text)}>" for name, text in metas if text is not None]
    for chapter in recording.chapters:
        clip = _clip(chapter)
        inner = "".join(f"<meta{attributes(itemprop=name, content=clip[name])}>" for name in clip if name != "@type")
        lines.append(f'<div itemprop="hasPart" itemscope itemtype="https://schema.org/Clip">{inner}</div>')
    return "".join([*lines, "</div>"])
