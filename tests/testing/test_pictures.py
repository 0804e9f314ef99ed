"""The pictures of the generated web: always the same, what their URL says, and told apart as photographs are."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media.fingerprints import FLAT, hamming, phash
from curation.media.image_decoding import decode
from curation.media.image_headers import read_header, sniff
from curation.testing import Picture, Web, picture_of
from curation.testing.hosts import CDN, HOSTS
from curation.testing.pictures import MIMES, draw, extension

_SITE = "https://img.gardenpaths.example"
_NEAR = 3
"""Bits: duplicates.max_distance as it is by default."""
_pictures = st.builds(
    lambda number, concept: f"{_SITE}{Picture('en', concept, number).path}",
    st.integers(1, 9999),
    st.sampled_from(["dog", "cat", "loaf of bread", "猫", "Kätzchen", "story"]),
)


def _hash(url: str) -> int:
    return phash(decode(draw(url)))


def _sample(web: Web, step: int) -> list[str]:
    return sorted({image.url for _, image in web.images if image.url})[::step]


# The same URL, the same picture


def test_the_same_bytes_in_other_processes(tmp_path: Path) -> None:
    urls = [f"{_SITE}/pictures/en/dog/{number:04d}.jpg" for number in range(12)]
    urls += [f"{_SITE}/pictures/en/dog/0001.jpg?w=320&q=70", f"{_SITE}/assets/logo.png", f"{_SITE}/avatars/3.png"]
    program = "import sys, hashlib; from curation.testing.pictures import draw; " \
        "print(hashlib.sha256(b''.join(map(draw, sys.argv[1:]))).hexdigest())"  # fmt: skip
    for hash_seed, order in (("1", urls), ("2", urls)):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", program, *order], check=True, env=environment, cwd=tmp_path, capture_output=True
        )
        assert done.stdout.decode().strip() == hashlib.sha256(b"".join(map(draw, urls))).hexdigest()


@given(st.text(max_size=40), st.sampled_from([*MIMES, "jpeg", "mp4", ""]), st.text("w=q&0123456789x-%", max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_url_has_a_picture_of_its_extension(name: str, ending: str, query: str) -> None:
    path = name.translate(str.maketrans("", "", "?#[]"))
    url = f"https://a.test/x{path}.{ending}?{query}"
    assert sniff(draw(url)) == MIMES[extension(url) or "jpg"]
    assert extension(url) == (ending if ending in MIMES else None)


def test_every_url_of_a_web_gives_a_whole_image(web: Web) -> None:
    for url in [*_sample(web, 40), f"https://{CDN}/assets/spacer.gif", "https://stats.test/p.gif?page=3"]:
        data = draw(url)
        assert sniff(data) == MIMES[urlsplit(url).path.rpartition(".")[2]]
        assert decode(data).size > 0


# Sizes and turns


@pytest.mark.parametrize(("query", "width"), [("?w=320", 320), ("?w=1600", 1600), ("?w=99999&q=80", 1600), ("?w=1", 1)])
def test_a_variant_has_the_width_that_is_asked_for(query: str, width: int) -> None:
    assert decode(draw(f"{_SITE}/pictures/en/dog/0001.jpg{query}")).shape[1] == width


def test_sites_have_sizes_of_their_own() -> None:
    path = "/pictures/en/dog/0001.jpg"
    widths = {host.name: decode(draw(f"https://{host.name}{path}")).shape[1] for host in HOSTS[:20]}
    assert set(widths.values()) == {480, 640, 800, 1024}
    for name, width in widths.items():
        assert decode(draw(f"https://img.{name}{path}")).shape[1] == width


def test_spacers_are_one_pixel() -> None:
    for url in (f"https://{CDN}/assets/spacer.gif", "https://stats.test/p.gif?page=3"):
        assert decode(draw(url)).shape[:2] == (1, 1)
        assert phash(decode(draw(url))) == FLAT


def test_some_are_stored_turned_and_upright_they_are_the_same() -> None:
    seen = set()
    for number in range(1, 60):
        url = f"{_SITE}/pictures/en/dog/{number:04d}.jpg"
        original, variant = draw(url), draw(f"{url}?w=480")
        seen.add(read_header(original).orientation)
        assert read_header(variant).orientation == 1
        upright, straight = decode(original), decode(variant)
        assert upright.shape[1] / upright.shape[0] == pytest.approx(straight.shape[1] / straight.shape[0], rel=0.01)
        assert hamming(phash(upright), phash(straight)) <= _NEAR
    assert seen == {1, 3, 6, 8}


# Copies and strangers


@given(_pictures, st.sampled_from([host.name for host in HOSTS]), st.integers(160, 1600), st.integers(60, 95))
@settings(max_examples=60, deadline=None)
def test_variants_and_other_sites_copies_are_near(url: str, host: str, width: int, quality: int) -> None:
    original = _hash(url)
    assert hamming(original, _hash(f"{url}?w={width}&q={quality}")) <= _NEAR
    assert hamming(original, _hash(url.replace("gardenpaths.example", host))) <= _NEAR


def test_copies_of_one_size_are_the_same_bytes() -> None:
    path = "/pictures/de/Hund/0002.jpg"
    by_width: dict[int, set[bytes]] = {}
    for host in HOSTS:
        data = draw(f"https://{host.name}{path}")
        by_width.setdefault(max(decode(data).shape[:2]), set()).add(data)
    assert len(by_width) == 4
    assert {len(files) for files in by_width.values()} == {1}


def test_no_two_pictures_of_a_web_are_near(web: Web) -> None:
    urls = [url for url in _sample(web, 18) if extension(url) != "gif"]  # spacers are flat, and near nothing
    names = {picture_of(url) or url.replace("//img.", "//"): url for url in urls}
    hashes = np.array([_hash(url) for url in names.values()], np.uint64)
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None])[np.triu_indices(len(hashes), 1)]
    assert len(hashes) > 200
    assert distances.min() > 2 * _NEAR


def test_pictures_of_a_concept_share_their_colours() -> None:
    def colours(concept: str, number: int) -> np.ndarray:
        pixels = decode(draw(f"{_SITE}{Picture('en', concept, number).path}?w=64"))
        return pixels.reshape(-1, 3).mean(axis=0)

    concepts = ("dog", "cat", "tree", "house", "car")
    means = {name: np.array([colours(name, number) for number in range(1, 7)]) for name in concepts}
    spread = np.mean([found.std(axis=0).mean() for found in means.values()])
    apart = np.mean([np.abs(means[a].mean(axis=0) - means[b].mean(axis=0)).mean() for a, b in pairwise(concepts)])
    assert apart > 2 * spread
