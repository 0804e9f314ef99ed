"""Plans the images of a page: which, under which texts, in which markup."""

from __future__ import annotations

import random
from dataclasses import replace
from urllib.parse import urljoin

from curation.testing.facts import ImageFact, Picture
from curation.testing.hosts import CDN, LICENCES, PRIVATE_KINDS, WORLD, Host
from curation.testing.phrases import Writer

INLINE_IMAGE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SPACER = f"https://{CDN}/assets/spacer.gif"

# How often each kind of alt comes, per 100 images: roughly what alt-texts of the web look like; the first row is the
# ground, the others say what differs. Captions aside, most of it never matches a vocabulary.
_MIX = {
    "blog": {
        "caption": 48, "recased": 8, "label": 4, "unknown": 16, "file-name": 5, "generic": 4, "url": 1, "contact": 1,
        "empty": 5, "missing": 3, "title-only": 2, "lazy": 3, "inline": 0,
    },
    "stock": {"caption": 62, "recased": 10, "label": 8, "unknown": 12, "lazy": 0, "empty": 2},
    "shop": {"caption": 20, "recased": 6, "label": 10, "unknown": 42, "lazy": 8, "generic": 6},
    "news": {"caption": 40, "unknown": 30, "inline": 2},
    "travel": {"caption": 56, "unknown": 16, "empty": 4},
    "forum": {"caption": 30, "file-name": 18, "url": 8, "contact": 8, "generic": 10},
    "video": {"caption": 50, "unknown": 20},
    "podcast": {"caption": 40, "unknown": 40},
}  # fmt: skip
_COUNTS = {
    "blog": (4, 9), "stock": (13, 24), "shop": (9, 16), "news": (4, 9), "travel": (6, 12), "forum": (5, 10),
    "video": (3, 6), "podcast": (2, 5), "world": (6, 6),
}  # fmt: skip
_GENERIC = ("image", "photo", "picture", "img", "Untitled", "thumbnail", "logo", "banner", "foto", "Image")
_FILE_NAMES = ("IMG_{}.jpg", "DSC{:05}.JPG", "P10{:05}", "WhatsApp-Image-{}.jpeg", "{}.png")
_FORMS = ("plain", "plain", "plain", "figure", "figure", "link", "picture", "srcset")


class ImagePlanner:
    """Plans the images of one page; its choices come from the page's generator, those about markup from another."""

    def __init__(self, host: Host, number: int, seed: int, writer: Writer, rng: random.Random) -> None:
        self.host = host
        self.number = number
        self.seed = seed
        self.lang = writer.lang
        self.writer = writer
        self.rng = rng
        self.habits = random.Random(f"habits {seed} {host.name} {number}")

    def images(self, topic: str, title: str, page_url: str, base: str | None) -> list[ImageFact]:
        """All images of the page, in document order."""
        self.topic, self.url, self.base = topic, page_url, base
        main = [self._in_markup(image) for image in self._main()]
        return [self._logo(), *self._described(main), *self._private(), *self._sidebar(title)]

    # What is shown

    def _main(self) -> list[ImageFact]:
        if self.host.kind == "world":
            return [self._world(position) for position in range(len(WORLD[self.lang]))]
        mix = _MIX["blog"] | _MIX[self.host.kind]
        kinds = self.rng.choices(list(mix), list(mix.values()), k=self.rng.randint(*_COUNTS[self.host.kind]))
        return [image for kind in kinds for image in self._image(kind)]

    def _image(self, kind: str) -> list[ImageFact]:
        rng = self.rng
        concept = self.topic if rng.random() < 0.3 else self.writer.concept()
        src = self._src(concept)
        alt, concepts = self._alt(kind, concept)
        image = self._fact(kind, src, alt, concepts, form=rng.choice(_FORMS))
        if kind == "title-only":
            return [replace(image, alt="", title=alt)]
        if kind == "inline":
            return [replace(image, src=INLINE_IMAGE, url=None)]
        if kind == "lazy":
            lazy = replace(image, src=INLINE_IMAGE, url=None, form="lazy", real_src=src)
            return [lazy, replace(image, form="noscript")] if rng.random() < 0.3 else [lazy]
        if kind == "caption":
            return [self._decorated(image, concept)]
        return [image]

    def _alt(self, kind: str, concept: str) -> tuple[str | None, tuple[str, ...]]:
        rng = self.rng
        if kind in ("caption", "recased", "lazy", "inline", "title-only"):
            sentence = self.writer.caption(concept)
            words = sentence.text.split(" ")
            recased = " ".join(word[:1].upper() + word[1:] for word in words)
            return recased if kind == "recased" else sentence.text, sentence.concepts
        if kind == "label":
            return (concept, (concept,)) if concept else (self.writer.unknown(), ())
        texts: dict[str, str | None] = {
            "unknown": self.writer.unknown(),
            "file-name": rng.choice(_FILE_NAMES).format(rng.randrange(1000, 9999)),
            "generic": rng.choice(_GENERIC),
            "url": f"https://{self.host.name}/go?id={rng.randrange(9999)}",
            # 555-0100 to 555-0199 are numbers for fiction.
            "contact": rng.choice((f"Write to sales@{self.host.name}", f"Call +1 212 555 01{rng.randrange(10, 99)}")),
            "empty": "",
            "missing": None,
        }
        return texts[kind], ()

    def _decorated(self, image: ImageFact, concept: str) -> ImageFact:
        """A caption as careless pages write it: line breaks, spaces around it, repeated as title or figcaption."""
        roll, alt = self.rng.random(), image.alt or ""
        if roll < 0.04:
            image = replace(image, alt=f"  {alt.replace(' ', chr(10), 1)} ")
        elif roll < 0.14:
            image = replace(image, title=alt)
        elif roll < 0.2:
            other = self.writer.caption(concept)
            image = replace(image, title=other.text, concepts=(*image.concepts, *other.concepts))
        elif roll < 0.25:
            image = replace(image, data_title=self.writer.caption(concept).text)
        if image.form == "figure":
            image = replace(image, figcaption=self.writer.caption(concept).text)
        return image

    def _src(self, concept: str) -> str:
        rng = self.rng
        # A few pictures of each concept are everywhere: one picture behind many URLs, and duplicates across pages.
        number = rng.randint(1, 3) if rng.random() < 0.15 else rng.randint(4, 900)
        path = Picture(self.lang, concept or "story", number).path
        if self.base is not None:
            return rng.choice((f"../..{path}", path, f"https://{CDN}{path}"))
        sources = (
            f"https://img.{self.host.name}{path}",
            path,
            f"//{CDN}{path}",
            f"../..{path}",
            f"https://{CDN}{path}?w={rng.choice((320, 640, 1024))}&q=80",
        )
        return rng.choices(sources, (40, 25, 12, 13, 10))[0]

    def _fact(
        self, kind: str, src: str, alt: str | None, concepts: tuple[str, ...] = (), form: str = "plain"
    ) -> ImageFact:
        return ImageFact(kind, src, urljoin(self.base or self.url, src), alt, concepts=concepts, form=form)

    def _world(self, position: int) -> ImageFact:
        """The same picture, under the same URL, on a page of every language."""
        concept = WORLD[self.lang][position]
        src = f"https://{CDN}{Picture('en', WORLD['en'][position], 1 + self.number // len(WORLD) % 3).path}"
        sentence = self.writer.caption(concept)
        return self._fact("world", src, sentence.text, sentence.concepts, "figure")

    def _logo(self) -> ImageFact:
        return self._fact("logo", "/assets/logo.png", self.host.name, form="link")

    def _sidebar(self, title: str) -> list[ImageFact]:
        rng, host = self.rng, self.host
        images = _teasers(host, self.lang, self.seed)
        if rng.random() < 0.5:
            spacer = self._fact("spacer", SPACER, f"{title} ({self.number})")
            images.append(replace(spacer, width=1, height=1))
        if host.kind == "forum":
            for name in rng.sample(self.writer.phrases.names, 3):
                images.append(self._fact("avatar", f"/avatars/{rng.randrange(99)}.png", f"avatar of {name}"))
        if rng.random() < 0.2:
            pixel = self._fact("pixel", f"https://stats.test/p.gif?page={self.number}", None)
            images.append(replace(pixel, width=1, height=1))
        return [replace(image, url=urljoin(self.base or self.url, image.src)) for image in images]

    # What markup adds

    def _absolute(self, src: str) -> str:
        return urljoin(self.base or self.url, src)

    def _in_markup(self, image: ImageFact) -> ImageFact:
        """The image with its size, other candidates of its URL, and what stands around it."""
        rng = self.habits
        if image.form in ("plain", "figure") and rng.random() < 0.5:
            image = replace(image, width=640, height=480)
        if image.form == "figure" and rng.random() < 0.1:
            image = replace(image, licence=rng.choice((self.host.licence or LICENCES["by"], LICENCES["by-sa"])))
        if image.form == "link" and rng.random() < 0.5:
            text = self._caption(image)
            image = replace(image, link_text=text, link_title=self._caption(image) if rng.random() < 0.4 else None)
        return self._with_candidates(image)

    def _with_candidates(self, image: ImageFact) -> ImageFact:
        rng, src = self.habits, image.real_src or image.src
        best = self._absolute(src)
        many = "?" not in src and rng.random() < 0.5
        large = f"{src}?w=1600"
        srcset = None
        if image.form == "srcset" and image.url and "?" not in src:
            srcset = f"{src}?w=320 320w, {large} 1600w, {src} 640w" if many else f"{src} 640w"
        elif image.form == "picture" and image.url and many:
            srcset = f"{src} 1x, {large} 2x"
        elif image.form == "lazy" and many:
            srcset = f"{src} 640w, {large} 1600w"
        if srcset is not None and many:
            best = self._absolute(large)
        shown = image.url is not None or image.form == "lazy"
        return replace(image, srcset=srcset, best_url=best if shown and best != image.url else None)

    def _caption(self, image: ImageFact) -> str:
        """Another sentence about the same, by the other generator."""
        return Writer(self.lang, self.habits).caption(image.concepts[0] if image.concepts else self.topic).text

    def _described(self, images: list[ImageFact]) -> list[ImageFact]:
        """Some hosts say more of one image, in schema.org's words."""
        form = {"stock": self.habits.choice(("json-ld", "microdata")), "news": "article"}.get(self.host.kind)
        fitting = [
            at
            for at, image in enumerate(images)
            if image.kind == "caption" and image.url and (form != "microdata" or image.form == "plain")
        ]
        if form is not None and fitting:
            chosen = images[fitting[0]]
            caption = self._caption(chosen) if self.habits.random() < 0.6 else None
            images[fitting[0]] = replace(chosen, described=form, schema_name=chosen.alt, schema_caption=caption)
        return images

    def _private(self) -> list[ImageFact]:
        """An image in a folder that robots.txt disallows."""
        if self.host.kind not in PRIVATE_KINDS or self.habits.random() < 0.6:
            return []
        picture = Picture(self.lang, self.topic or "story", self.habits.randint(4, 900))
        url = f"https://img.{self.host.name}/private{picture.path}"
        sentence = Writer(self.lang, self.habits).caption(self.topic)
        return [ImageFact("private", url, url, sentence.text, concepts=sentence.concepts)]


def _teasers(host: Host, lang: str, seed: int) -> list[ImageFact]:
    """Images that every page of a host repeats, texts and all."""
    rng = random.Random(f"teasers {seed} {host.name} {lang}")
    writer = Writer(lang, rng)
    teasers = []
    for position in range(2):
        concept = writer.concept()
        sentence = writer.caption(concept)
        src = f"https://img.{host.name}{Picture(lang, concept or 'story', 901 + position).path}"
        teasers.append(ImageFact("teaser", src, src, sentence.text, concepts=sentence.concepts, form="link"))
    return teasers
