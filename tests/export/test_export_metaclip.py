"""MetaCLIP 2's layout, read as its IterativeWebDatasetWorldWide does; and what probabilities are left at any t."""

from __future__ import annotations

import json
import re
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_manifests import Folder, hostile

from curation.balance.shares import tail_share, threshold_for_tail_share
from curation.errors import InputError
from curation.export import metaclip
from curation.export.view import Selection
from curation.inspect.views import connect
from curation.testing.manifests import write_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"))


def read(exported: Path, told: str) -> tuple[dict[str, bytes], dict[str, list[Any]], str]:
    """Shard by shard, with the paths that the loader makes of its arguments: images, texts, t."""
    start, end = re.search(r"tars/\{(\d+)\.\.(\d+)\}\.tar", told).groups()
    t = re.search(r"--t (\d+)", told)[1]
    images: dict[str, bytes] = {}
    texts: dict[str, list[Any]] = {}
    for shard in range(int(start), int(end)):
        of = json.loads((exported / "json" / f"{shard - shard % 2000}" / f"{shard}.json").read_text())
        assert not texts.keys() & of.keys()
        texts |= of
        with tarfile.open(exported / "tars" / f"{shard - shard % 2000}" / f"{shard}.tar") as tar:
            for member in tar.getmembers():
                assert member.name.endswith(".jpeg")
                uuid = member.name.removesuffix(".jpeg")
                assert uuid in of
                images[uuid] = tar.extractfile(member).read()
    return images, texts, t


def expected(folder: Folder) -> dict[str, list[list[Any]]]:
    found = {}
    for row in folder.rows:
        texts = [[text["text"], text["vocabulary_lang"], text["entry_ids"]] for text in row["texts"]
                 if text["entry_ids"] and text["keep_probability"] is not None]
        if row["modality"] == "image" and texts:
            found[row["sample_id"]] = texts
    return found


def test_the_loader_finds_images_texts_and_probabilities(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metaclip, "SHARD_SAMPLES", 7)
    monkeypatch.setattr(metaclip, "_GROUP", 2000)
    images, texts, t = read(tmp_path, folder.export("metaclip", tmp_path)[1])
    assert texts == expected(folder) and len(list((tmp_path / "tars").rglob("*.tar"))) == -(-len(texts) // 7)
    stored = {row["sample_id"]: row["size_bytes"] for row in folder.rows}
    assert {key: len(data) for key, data in images.items()} == {key: stored[key] for key in texts}
    for each in texts.values():
        for _, lang, ids in each:
            probabilities = np.load(tmp_path / "probabilities" / "per_lang_t" / f"{t}_{lang}.npy", mmap_mode="r")
            assert probabilities.dtype == np.float32
            assert 1.0 - np.prod(1.0 - probabilities[ids]) == 1  # drawn at this t already: nothing is drawn again


def test_shards_of_other_thousands_lie_in_their_folder(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metaclip, "SHARD_BYTES", 1)
    monkeypatch.setattr(metaclip, "_GROUP", 20)
    folder.export("metaclip", tmp_path)
    placed = defaultdict(list)
    for path in (tmp_path / "tars").rglob("*.tar"):
        placed[int(path.parent.name)].append(int(path.stem))
    assert len(placed) > 3 and all(number - number % 20 == group for group, of in placed.items() for number in of)


def test_at_a_smaller_t_what_is_left_is_the_ratio(tmp_path: Path) -> None:
    write_manifest(tmp_path / "work", 20_000)
    folder, tmp_path = Folder(tmp_path / "work"), tmp_path / "out"
    sql = "SELECT vocabulary_lang, entry_id, count, threshold FROM entry_probabilities WHERE modality = 'image'"
    rows = connect(folder.work).sql(sql).fetchall()
    counts = {lang: [count for of, _, count, _ in rows if of == lang] for lang in {row[0] for row in rows}}
    wanted = {lang: threshold for lang, _, _, threshold in rows}["en"] / 5
    folder.export("metaclip", tmp_path, Selection(t=wanted), media="none")
    share = tail_share(counts["en"], wanted)
    found = {}
    assert len(counts) > 1
    for lang, entry_id, count, threshold in rows:
        t = wanted if lang == "en" else threshold_for_tail_share(counts[lang], share)
        left = np.load(tmp_path / "probabilities" / "per_lang_t" / f"{round(wanted)}_{lang}.npy")[entry_id]
        once, now = min(1.0, threshold / count), min(1.0, t / count)
        found[lang, entry_id] = left
        assert left == pytest.approx(min(1.0, now / once))
    assert min(found.values()) == pytest.approx(1 / 5) and max(found.values()) == 1
    assert json.loads((tmp_path / "export.json").read_text())["options"]["online_t"] == wanted
    assert not (tmp_path / "tars").exists()
    with pytest.raises(InputError, match=r"--t 1e\+06 is above"):
        folder.export("metaclip", tmp_path / "more", Selection(t=1e6))


def test_a_language_has_its_texts_alone(folder: Folder, tmp_path: Path) -> None:
    folder.export("metaclip", tmp_path, Selection(lang="de"), media="none")
    told = json.loads((tmp_path / "json" / "0" / "0.json").read_text())
    assert {lang for texts in told.values() for _, lang, _ in texts} == {"de"}
