"""HTML elements of the demo web's images, videos and sounds."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from curation.testing.facts import ImageFact
from curation.testing.recordings import Mention


def attributes(**values: str | int | None) -> str:
    """Attributes in the given order; None leaves one out, underscores are hyphens."""
    pairs = ((name.strip("_").replace("_", "-"), value) for name, value in values.items() if value is not None)
    return "".join(f' {name}="{escape(str(value))}"' for name, value in pairs)


def licence_link(licence: str) -> str:
    """A link that says under which licence something is."""
    name = "CC " + " ".join(urlsplit(licence).path.strip("/").split("/")[1:]).upper()
    return f'<a rel="license"{attributes(href=licence)}>{name}</a>'


def image_element(image: ImageFact, *, shouts: bool) -> str:
    """An <img> with what stands around it; shouts: in capitals, as old pages write it."""
    lazy = image.form == "lazy"
    named = attributes(
        itemprop="contentUrl" if image.described == "microdata" else None,
        src=image.src,
        srcset=image.srcset if image.form == "srcset" else None,
        data_src=image.real_src,
        data_srcset=image.srcset if lazy else None,
        alt=image.alt,
        title=image.title,
        data_image_title=image.data_title,
        loading="lazy" if lazy else None,
        width=image.width,
        height=image.height,
    )
    tag = f"<IMG{named.replace(' src=', ' SRC=', 1)}>" if shouts and image.form == "plain" else f"<img{named}>"
    return _as_item(_wrapped(tag, image), image)


def _wrapped(tag: str, image: ImageFact) -> str:
    if image.form == "figure":
        licence = licence_link(image.licence) if image.licence else ""
        return f"<figure>{tag}{_caption(image.figcaption)}{licence}</figure>"
    if image.form == "link":
        text = f" <span>{escape(image.link_text, quote=False)}</span>" if image.link_text else ""
        return f"<a{attributes(href=f'/view?show={image.kind}', title=image.link_title)}>{tag}{text}</a>"
    if image.form == "picture":
        source = attributes(srcset=image.srcset or image.src, type="image/webp")
        return f"<picture><source{source}>{tag}</picture>"
    if image.form == "noscript":
        return f"<noscript>{tag}</noscript>"
    return tag


def _as_item(markup: str, image: ImageFact) -> str:
    if image.described != "microdata":
        return markup
    texts = (("name", image.schema_name), ("caption", image.schema_caption))
    said = "".join(
        f'<span itemprop="{name}">{escape(text, quote=False)}</span>' for name, text in texts if text is not None
    )
    return f'<div itemscope itemtype="https://schema.org/ImageObject">{markup}{said}</div>'


def _caption(text: str | None) -> str:
    return f"<figcaption>{escape(text, quote=False)}</figcaption>" if text else ""


def recording_element(mention: Mention) -> str:
    """What the body holds of a mention; empty for those that speak in the head."""
    element = _element(mention)
    return f"<figure>{element}{_caption(mention.figcaption)}</figure>" if mention.figcaption else element


def _element(mention: Mention) -> str:
    form, src, recording = mention.form, mention.src, mention.recording
    said = escape(recording.title, quote=False)
    size = {"width": recording.width, "height": recording.height}
    if form in ("video", "source"):
        return _video(mention, said)
    titled = attributes(title=mention.text, **size)
    elements = {
        "audio": f"<audio controls{attributes(src=src, title=mention.text)}>{said}</audio>",
        "iframe": f"<iframe{attributes(src=src)}{titled} allowfullscreen></iframe>",
        "lazy-iframe": f'<iframe src="about:blank"{attributes(data_src=src)}{titled}></iframe>',
        "embed": f"<embed{attributes(src=src)}{titled}>",
        "object": f"<object{attributes(data=src, type='video/mp4')}{titled}>{said}</object>",
    }
    if form in ("link", "share"):
        text = escape(mention.text or "", quote=False)
        return f"<p><a{attributes(href=src, title=mention.link_title)}>{text}</a></p>"
    return elements.get(form, "")


def _video(mention: Mention, said: str) -> str:
    """A <video> with its address, or with sources and tracks."""
    recording = mention.recording
    if mention.form == "video":
        named = attributes(src=mention.src, poster=recording.poster, width=recording.width, height=recording.height)
        return f"<video controls{named}>{said}</video>"
    sources = "".join(f"<source{attributes(src=url, type=kind)}>" for url, kind in _sources(mention.src))
    tracks = "".join(f"<track{attributes(src=url, kind=kind, srclang=lang)}>" for url, kind, lang in mention.tracks)
    return f"<video controls{attributes(poster=recording.poster)}>{sources}{tracks}{said}</video>"


def _sources(src: str) -> list[tuple[str, str]]:
    """The file and the same in another format, which is no medium of its own."""
    stem = src.partition("?")[0].rpartition(".")[0]
    return [(src, "video/mp4"), (f"{stem}.ogv", "video/ogg")]
