"""Real captions, alt texts and vocabularies as Arrow arrays."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache

import pyarrow as pa

from bench.data import real_data
from curation.concepts import Vocabulary
from curation.crawl import Reading, ReadLog, wat_batches


@lru_cache(maxsize=1)
def english() -> pa.StringArray:
    """Flickr8k, COCO (Karpathy's validation split), Multi30k, xFlickrCO, and the crawl's alt texts."""
    texts: list[str] = []
    flickr, coco, multi = real_data(
        "captions/flickr8k.token.txt.gz", "captions/mscoco_karpathy_val.json.gz", "captions/multi30k_train.en.txt.gz"
    )
    with gzip.open(flickr, "rt", encoding="utf-8") as lines:
        texts += [line.rstrip("\n").partition("\t")[2] for line in lines]
    with gzip.open(coco, "rt", encoding="utf-8") as file:
        texts += [said for row in json.load(file) for said in row["captions"]]
    with gzip.open(multi, "rt", encoding="utf-8") as lines:
        texts += [line.rstrip("\n") for line in lines]
    return pa.array(texts + translated("en") + alt_texts(), pa.string())


def translated(lang: str) -> list[str]:
    """Captions of xFlickrCO in one of de en es id ja ru tr zh."""
    (path,) = real_data("captions/xflickrco_iglue_test_8lang.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [said for row in rows if row["lang"] == lang for said in row["sentences"]]


def alt_texts() -> list[str]:
    """Alt texts of the crawl's WAT files."""
    found: list[str] = []
    for path in real_data("crawl/*.wat.gz"):
        for batch in wat_batches(str(path), ReadLog(str(path)), Reading(variant="v1-wat")):
            found += batch.column("text").to_pylist()
    return found


@lru_cache(maxsize=4)
def english_vocabulary(definition: str = "v1") -> Vocabulary:
    """442,176 entries: WordNet, words, n-grams, titles, visual concepts."""
    (path,) = real_data("vocab/union_real_vocab.tsv.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        entries = [line.rstrip("\n").partition("\t")[0] for line in lines]
    return Vocabulary.from_entries(entries, "en", definition=definition)  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def spaceless_vocabulary(lang: str) -> Vocabulary:
    """Chinese: n-grams of books and visual tags. Others have no list here: runs of two to four characters of texts."""
    entries: dict[str, None] = {}
    if lang == "zh":
        for path in real_data("vocab/google_ngrams/*chinese*.csv.gz"):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                entries.update(dict.fromkeys(line.split(",")[0].replace(" ", "") for line in list(lines)[1:]))
        (tags,) = real_data("vocab/ram_tag_list_zh.txt")
        entries.update(dict.fromkeys(tags.read_text(encoding="utf-8").split("\n")))
    for text in spaceless(lang).to_pylist()[::2]:
        for size in (2, 3, 4):
            entries.update(dict.fromkeys(text[at : at + size] for at in range(0, len(text) - size, 3)))
    entries.pop("", None)
    return Vocabulary.from_entries([entry for entry in entries if entry.strip()], lang, definition="v2")


@lru_cache(maxsize=4)
def spaceless(lang: str) -> pa.StringArray:
    """Texts in Chinese and Japanese (captions) and Thai (titles of films), repeated to 16,000 where there are fewer."""
    if lang in ("zh", "ja"):
        texts = translated(lang)
    else:
        (path,) = real_data("video_text/3b1b_titles_descriptions.jsonl.gz")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts = [row["title"] for row in map(json.loads, lines) if row["language"] == "thai"]
    return pa.array((texts * (16_000 // len(texts) + 1))[:16_000], pa.string())
