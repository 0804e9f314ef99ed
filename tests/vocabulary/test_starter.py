"""The vocabularies that travel with the package are those of their locks, and the README tells the truth of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.concepts import Matcher, Vocabulary, packaged_languages
from curation.errors import VocabularyError
from curation.recipe import load_vocabulary_recipe
from curation.vocabulary.languages import name
from curation.vocabulary.lock import content_sha256, parameters
from curation.vocabulary.merging import read_vocabulary

METADATA = Path(__file__).resolve().parents[2] / "metadata"
STARTER = METADATA / "starter"
LANGUAGES = packaged_languages("starter")


def lock(lang: str) -> dict:
    return json.loads((STARTER / f"{lang}.lock.json").read_text())


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.slow
def test_a_starter_vocabulary_is_that_of_its_lock_and_recipe(lang: str) -> None:
    file = STARTER / f"{lang}.parquet"
    table = read_vocabulary(str(file))
    assert lock(lang)["output"]["entries"] == len(table)
    assert lock(lang)["output"]["content_sha256"] == content_sha256(table)
    assert lock(lang)["output"]["file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert set(table["lang"].to_pylist()) == {lang}
    recipe = STARTER / f"{lang}.yaml"
    loaded = load_vocabulary_recipe(recipe if recipe.exists() else STARTER / "languages.yaml", [f"lang={lang}"])
    assert lock(lang)["parameters"] == json.loads(json.dumps(parameters(loaded)))
    new = sum(source["new"] for source in lock(lang)["counts"]["sources"].values())
    assert new == len(table)


def test_english_and_at_least_eight_further_languages() -> None:
    assert "en" in LANGUAGES and len(LANGUAGES) >= 9
    assert len(Vocabulary.starter("en")) > 100_000
    assert sum(path.stat().st_size for path in STARTER.iterdir()) < 2 << 20


def test_a_starter_vocabulary_by_its_name() -> None:
    words = Vocabulary.starter("en")
    assert words.entries[:100].to_pylist() == sorted(map(str, range(100)))
    (found,) = Matcher(words, cache=False).match(pa.array(["a golden retriever"])).to_pylist()
    assert {words.entries[entry].as_py() for entry in found} >= {"golden retriever", "retriever", "golden"}
    assert words.fingerprint == Vocabulary.load("starter:en", "en").fingerprint
    with pytest.raises(VocabularyError, match=r"no starter vocabulary 'starter:xx' in .*: choose one of ar, de, en"):
        Vocabulary.starter("xx")


def test_the_readme_tells_their_languages_and_counts() -> None:
    text = (METADATA / "README.md").read_text()
    for lang in LANGUAGES:
        sources = ", ".join(f"{n} {row['new']:,}" for n, row in lock(lang)["counts"]["sources"].items())
        assert f"| {lang} | {name(lang)} | {lock(lang)['output']['entries']:,} | {sources} |" in text
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in (STARTER / "LICENSE-wordnet.txt").read_text()


def test_duckdb_reads_them() -> None:
    import duckdb

    file = STARTER / "de.parquet"
    rows = duckdb.sql(f"SELECT count(*), min(entry_id), max(entry_id), count(DISTINCT entry) FROM '{file}'")
    entries = pq.read_metadata(file).num_rows
    assert rows.fetchall()[0] == (entries, 0, entries - 1, entries)


@pytest.mark.parametrize("recipe", sorted([*METADATA.glob("*.yaml"), *STARTER.glob("*.yaml")]), ids=lambda p: p.stem)
def test_recipes_of_vocabularies_load(recipe: Path) -> None:
    loaded = load_vocabulary_recipe(recipe)
    assert loaded.downloads
    assert all(Path(path).is_absolute() for path in (loaded.wikipedia.paths if loaded.wikipedia else []))
