"""Labels: lists as ViFi-CLIP's readers split them, CoOp's json, and the laws of K-shot draws and halves."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from export_manifests import Folder, hostile

from curation.captions.hashtags import fold
from curation.errors import InputError
from curation.export.classes import read_classes
from curation.export.view import Selection
from curation.inspect.views import connect

SHOTS = (2, 4, 8, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"), 500)


@pytest.fixture(scope="module")
def exported(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("labels")
    folder.export("labels", to, labels="entries", min_samples=3)
    return to


def entries(folder: Folder, modality: str = "video") -> dict[str, set[str]]:
    """Sample -> texts of the entries in its chosen text."""
    sql = "SELECT DISTINCT vocabulary_lang, entry_id, entry FROM entry_probabilities"
    names = {(lang, entry_id): entry for lang, entry_id, entry in connect(folder.work).sql(sql).fetchall()}
    return {
        row["sample_id"]: {names[row["vocabulary_lang"], entry] for entry in row["entry_ids"]}
        for row in folder.rows if row["modality"] == modality
    }  # fmt: skip


def hashtags(folder: Folder) -> dict[str, set[str]]:
    return {
        row["sample_id"]: {text["text"] for text in row["texts"] if text["kind"] == "hashtag"} for row in folder.videos
    }


def rarest(held: dict[str, set[str]], least: int) -> dict[str, str]:
    """By the definition: of its classes that so many samples hold, the rarest, then the first by name."""
    counts = Counter(name for names in held.values() for name in names)
    chosen = {sample: [(counts[name], name) for name in names if counts[name] >= least and name != "NaN"]
              for sample, names in held.items()}  # fmt: skip
    return {sample: min(names)[1] for sample, names in chosen.items() if names}


def listed(path: Path) -> list[tuple[str, int]]:
    """As mmaction's VideoDataset: split at white space."""
    found = []
    for line in path.open():
        name, number = line.strip().split()
        found.append((name, int(number)))
    return found


def names_of(path: Path) -> list[str]:
    rows = pd.read_csv(path).values.tolist()
    assert [number for number, _ in rows] == list(range(len(rows)))
    return [name for _, name in rows]


def test_lists_say_the_class_of_every_sample_that_has_one(folder: Folder, exported: Path) -> None:
    names, expected = names_of(exported / "labels.csv"), rarest(entries(folder), 3)
    splits = {row["sample_id"]: row["split"] for row in folder.videos}
    found = {}
    for split in ("train", "val"):
        for name, label in listed(exported / f"{split}.txt"):
            assert (exported / "media" / name).is_file()
            found[Path(name).stem] = names[label]
            assert splits[Path(name).stem] == split
    assert found == expected and len(set(found.values())) > 10
    assert names == sorted(set(expected.values()))


def test_hashtags_are_classes(folder: Folder, tmp_path: Path) -> None:
    folder.export("labels", tmp_path, labels="hashtags", min_samples=10, media="none")
    assert names_of(tmp_path / "labels.csv") == ["cat", "dog"]  # NaN would be read as missing, the others are rare
    found = {Path(name).stem: ["cat", "dog"][label] for split in ("train", "val")
             for name, label in listed(tmp_path / f"{split}.txt")}  # fmt: skip
    assert found == rarest(hashtags(folder), 10) and len(set(found.values())) == 2


def test_classes_of_ones_own(folder: Folder, tmp_path: Path) -> None:
    words = Counter(name for names in entries(folder).values() for name in names).most_common(3)
    (tmp_path / "classes.txt").write_text(
        f"felines\tCAT\tkitten\n\nthings\t{words[0][0].upper()}\t{words[1][0]}\nno such thing, anywhere\n", "utf-8"
    )
    folder.export("labels", tmp_path / "out", labels=str(tmp_path / "classes.txt"), media="none")
    assert names_of(tmp_path / "out" / "labels.csv") == ["felines", "things", "no such thing, anywhere"]
    mine = {fold("cat"): "felines", fold(words[0][0]): "things", fold(words[1][0]): "things"}
    held = {sample: {mine[fold(name)] for name in names | hashtags(folder)[sample] if fold(name) in mine}
            for sample, names in entries(folder).items()}  # fmt: skip
    found = {Path(name).stem: ["felines", "things"][label] for split in ("train", "val")
             for name, label in listed(tmp_path / "out" / f"{split}.txt")}  # fmt: skip
    assert found == rarest(held, 1) and len(set(found.values())) == 2


def test_a_byte_order_mark_is_no_part_of_a_class(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n", encoding="utf-8-sig")
    assert set(read_classes(str(tmp_path / "classes.txt")).values()) == {"cat", "dog"}


@pytest.mark.parametrize(("text", "told"), [
    ("", "names no class"), ("cat\nCAT\tx\n", "'CAT' means 'cat' and 'CAT'"), ("null\n", "take a class called 'null'"),
    ("a b\nab\n", "means 'a b' and 'ab'"),
])  # fmt: skip
def test_files_of_classes_that_cannot_be_used(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(InputError, match=told):
        read_classes(str(tmp_path / "classes.txt"))
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="neither hashtags nor entries"):
        read_classes(str(tmp_path / "classes.txt"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_k_shot_lists_have_k_or_all_of_each_class(exported: Path, seed: int) -> None:
    available = Counter(label for _, label in listed(exported / "train.txt"))
    before: set[tuple[str, int]] = set()
    for shots in SHOTS:
        drawn = listed(exported / "few_shot" / f"train_{shots}_shot_s{seed}.txt")
        assert Counter(label for _, label in drawn) == {label: min(shots, n) for label, n in available.items()}
        assert before <= set(drawn) <= set(listed(exported / "train.txt"))
        before = set(drawn)


def test_a_draw_is_a_function_of_its_seed(folder: Folder, exported: Path, tmp_path: Path) -> None:
    lists = {seed: (exported / "few_shot" / f"train_2_shot_s{seed}.txt").read_bytes() for seed in (1, 2, 3)}
    assert len(set(lists.values())) == 3
    folder.export("labels", tmp_path, labels="entries", min_samples=3, seeds=(2,), media="none")
    assert (tmp_path / "few_shot" / "train_2_shot_s2.txt").read_bytes() == lists[2]
    assert {path.name for path in (tmp_path / "few_shot").iterdir()} == {f"train_{k}_shot_s2.txt" for k in SHOTS}


def test_base_and_novel_are_disjoint_halves_with_labels_from_0(exported: Path) -> None:
    names = names_of(exported / "labels.csv")
    base, novel = (names_of(exported / "base_novel" / f"{half}_labels.csv") for half in ("base", "novel"))
    assert [*base, *novel] == names and len(base) == math.ceil(len(names) / 2)
    every = {
        split: {(name, names[label]) for name, label in listed(exported / f"{split}.txt")} for split in ("train", "val")
    }
    for name, split, half in (("base_train", "train", base), ("base_val", "val", base), ("novel_val", "val", novel)):
        told = {(file, half[label]) for file, label in listed(exported / "base_novel" / f"{name}.txt")}
        assert told == {(file, label) for file, label in every[split] if label in half} and told
    for seed in (1, 2, 3):
        drawn = listed(exported / "base_novel" / f"fs_base_s{seed}_train.txt")
        full = listed(exported / "few_shot" / f"train_16_shot_s{seed}.txt")
        assert drawn == [(file, label) for file, label in full if label < len(base)]


def read_split(path: Path, images: Path) -> dict[str, list[tuple[str, int, str]]]:
    """As CoOp's read_split."""
    split: dict[str, Any] = json.loads(path.read_text())
    for part in split.values():
        for impath, label, classname in part:
            assert (images / impath).is_file() and isinstance(label, int) and isinstance(classname, str)
    return split


def test_coop(folder: Folder, tmp_path: Path) -> None:
    folder.export("coop", tmp_path, labels="entries", min_samples=3)
    split = read_split(tmp_path / "split_zhou_curation.json", tmp_path / "images")
    assert list(split) == ["train", "val", "test"]
    images = {row["sample_id"]: row for row in folder.rows if row["modality"] == "image"}
    of = {part: {Path(path).stem for path, _, _ in items} for part, items in split.items()}
    assert sum(map(len, of.values())) == len(of["train"] | of["val"] | of["test"]) > 40
    assert {images[key]["split"] for key in of["test"]} == {"val"}
    assert {images[key]["split"] for key in of["train"] | of["val"]} == {"train"}
    sources = {part: {images[key]["media_id"] for key in keys} for part, keys in of.items()}
    assert not sources["train"] & sources["val"]
    assert 0.1 < len(of["val"]) / len(of["train"] | of["val"]) < 0.3
    names = {label: name for items in split.values() for _, label, name in items}
    assert [names[label] for label in sorted(names)] == sorted(names.values())
    for seed in (1, 2, 3):
        for shots in SHOTS:
            drawn = read_split(tmp_path / "split_fewshot" / f"shot_{shots}-seed_{seed}.json", tmp_path / "images")
            for part, most in (("train", shots), ("val", min(shots, 4))):
                per_class: dict[int, int] = defaultdict(int)
                for item in drawn[part]:
                    assert item in split[part]
                    per_class[item[1]] += 1
                available = Counter(label for _, label, _ in split[part])
                assert per_class == {label: min(most, n) for label, n in available.items()}


def test_coop_draws_at_most_four_of_val(folder: Folder, tmp_path: Path) -> None:
    words = {name for names in entries(folder, "image").values() for name in names}
    (tmp_path / "classes.txt").write_text("all\t" + "\t".join(sorted({fold(word) for word in words})), "utf-8")
    folder.export("coop", tmp_path / "out", labels=str(tmp_path / "classes.txt"), media="none", seeds=(1,))
    for shots in SHOTS:
        drawn = json.loads((tmp_path / "out" / "split_fewshot" / f"shot_{shots}-seed_1.json").read_text())
        assert (len(drawn["train"]), len(drawn["val"])) == (shots, min(shots, 4))


def test_images_may_be_asked_for(folder: Folder, tmp_path: Path) -> None:
    folder.export("labels", tmp_path, Selection(modality="image"), labels="entries", min_samples=3, media="none")
    assert all(name.endswith(".jpg") for name, _ in listed(tmp_path / "train.txt"))
    assert listed(tmp_path / "train.txt")
