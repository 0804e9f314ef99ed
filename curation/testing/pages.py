"""Plans pages: which images and videos, under which texts, with which habits. The facts come first, HTML after them."""

from __future__ import annotations

import random
from dataclasses import replace
from urllib.parse import quote, urljoin

from curation.testing.facts import ImageFact, PageFact, Picture, VideoFact
from curation.testing.hosts import CDN, WORLD, Host
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
}  # fmt: skip
_COUNTS = {
    "blog": (4, 9), "stock": (13, 24), "shop": (9, 16), "news": (4, 9), "travel": (6, 12), "forum": (5, 10),
    "video": (3, 6), "world": (6, 6),
}  # fmt: skip
_GENERIC = ("image", "photo", "picture", "img", "Untitled", "thumbnail", "logo", "banner", "foto", "Image")
_FILE_NAMES = ("IMG_{}.jpg", "DSC{:05}.JPG", "P10{:05}", "WhatsApp-Image-{}.jpeg", "{}.png")
_VIDEO_FORMS = (
    ("video",), ("source", "og"), ("video", "json-ld"), ("iframe",), ("iframe",), ("link",), ("json-ld", "og"),
)  # fmt: skip
_FORMS = ("plain", "plain", "plain", "figure", "figure", "link", "picture", "srcset")


def plan_page(host: Host, number: int, seed: int) -> PageFact:
    """The facts of page `number` (from 0) of a host: they depend on (seed, host, number) alone."""
    return _Planner(host, number, seed).page()


class _Planner:
    """Plans one page; every choice comes from one generator that is seeded by the page's name."""

    def __init__(self, host: Host, number: int, seed: int) -> None:
        self.rng = random.Random(f"page {seed} {host.name} {number}")
        self.host = host
        self.number = number
        self.seed = seed
        self.lang = list(WORLD)[number % len(WORLD)] if host.lang == "*" else host.lang
        self.writer = Writer(self.lang, self.rng)
        self.topic = self.writer.concept()
        slug = quote((self.topic or f"story {number}").replace(" ", "-"), safe="")
        self.url = f"https://{host.name}/{host.kind}/{2016 + number % 10}/{slug}-{number}.html"
        travels = host.kind == "travel" and self.rng.random() < 0.5
        self.base = f"https://img.{host.name}/archive/2020/" if travels else None

    def page(self) -> PageFact:
        title = self.writer.title(self.topic)
        videos = self._videos()
        images = [self._logo(), *self._main(), *self._sidebar(title)]
        first = next((image.url for image in images if image.kind == "caption" and image.url), None)
        return PageFact(
            url=self.url,
            lang=self.lang,
            title=f"{title} | {self.host.name}",
            charset=self.host.charset,
            charset_in=self.host.charset_in,
            base=self.base,
            robots=self._robots(),
            robots_header=("noai", "noimageai") if self.rng.random() < 0.03 else (),
            tdm_reserved=self.rng.random() < 0.03,
            licence=self.host.licence,
            og=self._open_graph(title, first, videos),
            images=tuple(images),
            videos=tuple(videos),
        )

    def _robots(self) -> tuple[str, ...]:
        choices = ((), ("noindex",), ("nofollow", "noindex"), ("noai", "noimageai"), ("noimageai",), ("noai",))
        weights = (83, 4, 3, 4, 3, 3)
        directives: tuple[str, ...] = self.rng.choices(choices, weights)[0]
        if not directives and self.rng.random() < 0.2:
            directives = ("follow", "index", "max-image-preview:large")
        return directives

    def _open_graph(self, title: str, image: str | None, videos: list[VideoFact]) -> tuple[tuple[str, str], ...]:
        if self.rng.random() < 0.3:
            return ()
        pairs = [("og:title", title), ("og:type", "article"), ("og:url", self.url)]
        if image is not None:
            pairs.append(("og:image", image))
        pairs += [("og:video", video.url) for video in videos if video.form == "og"]
        return (*pairs, ("og:description", self.writer.body(self.topic)))

    # Images

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
            images.append(self._fact("spacer", SPACER, f"{title} ({self.number})"))
        if host.kind == "forum":
            for name in rng.sample(self.writer.phrases.names, 3):
                images.append(self._fact("avatar", f"/avatars/{rng.randrange(99)}.png", f"avatar of {name}"))
        if rng.random() < 0.2:
            images.append(self._fact("pixel", f"https://stats.test/p.gif?page={self.number}", None))
        return [replace(image, url=urljoin(self.base or self.url, image.src)) for image in images]

    # Videos

    def _videos(self) -> list[VideoFact]:
        share = {"video": 1.0, "news": 0.3, "blog": 0.15, "travel": 0.15}.get(self.host.kind, 0.0)
        if self.rng.random() >= share:
            return []
        count = self.rng.randint(1, 2) if self.host.kind == "video" else 1
        return [video for _ in range(count) for video in self._video()]

    def _video(self) -> list[VideoFact]:
        """One video, named by the page in one to three ways."""
        rng = self.rng
        concept = self.writer.concept()
        title = self.writer.video(concept)
        name = f"{quote((concept or 'story').replace(' ', '_'), safe='')}-{rng.randrange(1, 200):03d}"
        file = f"https://video.{self.host.name}/clips/{self.lang}/{name}.mp4"
        # The eleventh character of a real identifier is never a B: no such video exists.
        player = rng.choice((
            f"https://player.videohub.example/embed/{name}",
            f"https://player.videohub.example/embed/{name}",
            f"https://www.youtube-nocookie.com/embed/demo{rng.randrange(10**6):06d}B",
        ))  # fmt: skip
        poster = f"https://video.{self.host.name}/posters/{self.lang}/{name}.jpg"
        return [
            VideoFact(form, player if form == "iframe" else file, title.text, title.concepts, poster)
            for form in rng.choice(_VIDEO_FORMS)
        ]


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
