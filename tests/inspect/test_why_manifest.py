"""why, to the end: the row of the manifest, what took a sample out of it, and the shard that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faults_caption_rows import Row, manifest
from faults_captions import SHOTS, caption_web, two_shots
from faults_films import executed, rows
from manifest_fates import BUCKET, FATES, ids, publish
from typer.testing import CliRunner

from curation.cli import app
from curation.inspect.manifest_diff import diff_manifests
from curation.inspect.why_manifest import MOST_SAMPLES, media_and_sample, why_manifest_lines
from curation.pipeline import ALL_STAGES
from curation.query import open_query
from curation.runner.catalog import Catalog
from curation.schemas import DATASETS
from curation.storage import Store

MEDIA = "a" * 24
TEXT = {"text": "a dog", "captioner": "alt", "kind": "alt", "weight": 1.0}


def published(folder: Path, stages: dict[str, dict[str, list[Row]]]) -> Catalog:
    """stage -> dataset -> rows, all of one media where they do not say another."""
    store = Store.at(folder)
    catalog = Catalog(store, ALL_STAGES)
    for stage, datasets in stages.items():
        told = {DATASETS[name]: [{"media_id": MEDIA, **row} for row in own] for name, own in datasets.items()}
        units = {BUCKET: told} if stage not in ("entry_probabilities", "shards") else {"all": told}
        catalog.publish(manifest(store, stage, units))
    return catalog


def row(sample_id: str = MEDIA, **more: Any) -> Row:
    return {"sample_id": sample_id, "split": "train", "text": "a dog", "text_kind": "alt.alt", "text_lang": "en",
            "text_rule": "best_source", "texts": [_text(), *more.pop("others", [])], "entry_ids": [1, 2],
            "vocabulary_lang": "en", "keep_probability": 0.5, "critical_threshold": 12.5, "extension": "jpg",
            "path": "media/x.tar", "offset": 512, "size_bytes": 17_800, "width": 341, "height": 256,
            **more}  # fmt: skip


def _text(**more: Any) -> Row:
    fields = DATASETS["manifest"].schema.field("texts").type.value_type
    empty = {field.name: None if field.nullable else [] if "list" in str(field.type) else "" for field in fields}
    return {**empty, **TEXT, **more}


def lines(catalog: Catalog, media_id: str = MEDIA, wanted: str | None = None) -> list[str]:
    with open_query(catalog.store) as query:
        return why_manifest_lines(catalog, query, media_id, BUCKET, wanted)


def test_before_there_is_a_manifest_nothing_is_said(tmp_path: Path) -> None:
    assert lines(published(tmp_path, {"samples": {"samples": [{"sample_id": MEDIA}]}})) == []


def test_a_row_with_its_texts_entries_and_place(tmp_path: Path) -> None:
    names = [{"vocabulary_lang": "en", "entry_id": 1, "entry": "dog", "modality": m} for m in ("image", "video")]
    others = [_text(text="x\x1b[31m\ny", captioner="vlm", kind="brief", weight=0.25)]
    catalog = published(tmp_path, {
        "samples": {"samples": [{"sample_id": MEDIA}]},
        "manifest": {"manifest": [row(others=others, licence="CC0-1.0")]},
        "entry_probabilities": {"entry_probabilities": names},
    })  # fmt: skip
    assert lines(catalog) == [
        f"manifest   {MEDIA}: in train, licence CC0-1.0",
        "  bytes      17.8 kB of media/x.tar from byte 512 (jpg, 341 x 256)",
        '  text       "a dog" (alt.alt, en), chosen by best_source',
        '  or         "x\\x1b[31m\\ny" (vlm.brief), weight 0.25',
        '  entries    "dog", "entry 2"',
        "  balance    keep probability 0.5, critical threshold 12.5 (by the counts after losses)",
    ]


def test_of_many_texts_entries_and_samples_the_number_is_told(tmp_path: Path) -> None:
    clips = [f"{MEDIA}-{n:02}000-{n:02}900" for n in range(MOST_SAMPLES + 2)]
    many = [row(clip, others=[_text(text=f"text {n}") for n in range(9)], entry_ids=list(range(15))) for clip in clips]
    found = lines(published(tmp_path, {"manifest": {"manifest": many}}))
    assert sum(line.startswith("manifest") for line in found) == MOST_SAMPLES
    assert found[-1] == "           and 2 further samples"
    assert found.count("  or         4 further texts") == MOST_SAMPLES
    assert sum(line.endswith(" and 3 more") for line in found) == MOST_SAMPLES
    assert [line for line in lines(Catalog(Store.at(tmp_path), ALL_STAGES), wanted=clips[3]) if "manifest" in line] == [
        f"manifest   {clips[3]}: in train"
    ]


def test_the_shard_that_holds_it(tmp_path: Path) -> None:
    other = f"{MEDIA}-0-900"
    where = {"sample_id": MEDIA, "split": "train", "path": "shards/x/train/00003.tar", "offset": 13_423_104}
    catalog = published(tmp_path, {"manifest": {"manifest": [row(), row(other)]}, "shards": {"shard_samples": [where]}})
    found = lines(catalog)
    assert [line for line in found if line.startswith("shard")] == [
        "shard      shards/x/train/00003.tar at byte 13,423,104",
        "shard      in none: shards.modalities leaves it out, or its bytes could not be read (rejections)",
    ]


@pytest.mark.parametrize(
    ("chosen", "balanced", "removed", "told"),
    [
        (None, None, "bench.csv", 'taken out: "bench.csv" of manifest.decontaminate has it by its url'),
        (None, None, "a b\x1b its by", 'taken out: "a b\\x1b its by" of manifest.decontaminate has it by its url'),
        (None, None, None, "no text stands for it"),
        ([], None, None, "no caption stands for it"),
        ([{"entry_ids": []}], [], None, "its chosen caption holds no entry"),
        ([{"entry_ids": [1]}], [], None, "balanced out by its chosen caption"),
        ([{"entry_ids": [1]}], [{}], None, "no text stands for it"),
    ],
)
def test_why_a_sample_is_not_in_it(
    tmp_path: Path, chosen: list[Row] | None, balanced: list[Row] | None, removed: str | None, told: str
) -> None:
    reject = [{"id": MEDIA, "reason": "overlap", "detail": f"{MEDIA} is in {removed} by its url"}] if removed else []
    stages = {"samples": {"samples": [{"sample_id": MEDIA}]}, "manifest": {"manifest": [], "rejections": reject}}
    for name, own in (("chosen_captions", chosen), ("balanced_captions", balanced)):
        if own is not None:
            stages[name] = {name: [{"sample_id": MEDIA, **each} for each in own]}
    catalog = published(tmp_path, stages)
    assert lines(catalog) == [f"manifest   {MEDIA} is not in it: {told}"]
    assert lines(catalog, wanted=f"{MEDIA}-0-7") == [
        f"manifest   {MEDIA}-0-7 is not in it: it is no sample; its video was cut at other places, or the clip is not "
        "kept (see above)"
    ]
    assert lines(catalog, "b" * 24) == ["manifest   not in it: nothing of it became a sample"]


def test_the_rejection_of_one_clip_is_not_that_of_another(tmp_path: Path) -> None:
    clips = [f"{MEDIA}-0-900", f"{MEDIA}-0-9000"]
    reject = [{"id": MEDIA, "reason": "overlap", "detail": f"{clips[1]} is in x by its phash"}]
    catalog = published(tmp_path, {"samples": {"samples": [{"sample_id": clip} for clip in clips]},
                                   "manifest": {"manifest": [row(clips[0])], "rejections": reject}})  # fmt: skip
    found = [line for line in lines(catalog) if line.startswith("manifest")]
    assert found == [f"manifest   {clips[0]}: in train",
                     f'manifest   {clips[1]} is not in it: taken out: "x" of manifest.decontaminate has it by its phash'
                     ]  # fmt: skip


@pytest.mark.parametrize(
    ("id", "media", "sample"),
    [
        (MEDIA, MEDIA, None),
        (f" {MEDIA.upper()}-0-900 ", MEDIA, f"{MEDIA}-0-900"),
        ("b" * 32, "b" * 32, None),
        (f"{MEDIA}-0", f"{MEDIA}-0", None),
        (f"{MEDIA}-0-9-9", f"{MEDIA}-0-9-9", None),
    ],
)
def test_ids_of_clips_name_their_media(id: str, media: str, sample: str | None) -> None:
    assert media_and_sample(id) == (media, sample)


def test_diff_and_why_agree_on_folders_of_known_fates(tmp_path: Path) -> None:
    """For samples that became none of the manifest's, both tell the same words."""
    fates = {number: name for number, name in enumerate(sorted(FATES)) if FATES[name].stage in
             ("manifest", "chosen_captions", "balanced_captions")}  # fmt: skip
    publish(tmp_path, fates)
    catalog = Catalog(Store.at(tmp_path), ALL_STAGES)
    from curation.inspect.manifest_diff_text import reason_words

    for number, name in fates.items():
        media_id, sample_id = ids(number, FATES[name])
        (line,) = lines(catalog, media_id)
        words = reason_words(*FATES[name][:2])
        assert line.startswith(f"manifest   {sample_id} is not in it: ")
        assert words.removeprefix("a set of ").replace("a set", "") in line


def _why(id: str, work: Path) -> list[str]:
    result = CliRunner().invoke(app, ["why", id, "--work", str(work)])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


@pytest.mark.slow
def test_runs_of_a_small_web_to_their_ends(tmp_path: Path) -> None:
    """Two real runs: what the second lost is told by diff and by why, sample by sample."""
    with caption_web(tmp_path / "web", two_shots(tmp_path / "films")) as web:
        urls = [web.picture(number) for number in range(6)]
        told = [(url, f"a {word} by the way, number {place}") for place, (url, word) in
                enumerate(zip(urls, ("dog", "dog", "cat", "house", "tree", "car"), strict=True))]  # fmt: skip
        film = {"url": web.film("dog.mp4"), "caption": "a dog in a film of two shots"}
        captions = {"captioners": [{"source": "alt"}]}
        first = web.recipe(told, [film], captions, "first.yaml", **SHOTS)
        before = executed(first, tmp_path / "a")
        (web.folder / "bench.csv").write_text(f"url\n{urls[1]}\n")
        changed = [told[0], told[1], (urls[2], "a bird by the way, number 2"), (urls[3], "a house"), *told[5:]]
        rules = {"pairs": {"media_buckets": 2, "rules": {"min_chars": 10}}}
        taken_out = {"manifest": {"decontaminate": [{"against": str(web.folder / "bench.csv")}]}}
        kept = {"kept_clips": {"rules": {"min_seconds": 1.8}}}
        second = web.recipe(changed, [film], captions, "second.yaml", shards={}, **SHOTS, **rules, **taken_out, **kept)
        del web.server.files["/pics/5.jpg"]
        after = executed(second, tmp_path / "b")
    diff = diff_manifests(str(tmp_path / "a"), str(tmp_path / "b"))
    lost = {(each.stage, each.reason): each for each in diff.left}
    assert {key: each.samples for key, each in lost.items()} == {
        ("extract", "other_archive"): 1,  # number 4, which the second table, of another name, does not have
        ("pairs", "min_chars"): 1,
        ("match", "no_entry"): 1,
        ("fetch", "http_4xx"): 1,
        ("kept_clips", "min_seconds"): 1,
        ("manifest", "overlap:url"): 1,
    }
    assert diff.came == []
    assert diff.only_a == len(rows(before, tmp_path / "a", "manifest")) - len(rows(after, tmp_path / "b", "manifest"))
    expected = {
        ("pairs", "min_chars"): "the rule pairs.rules.min_chars drops it",
        ("match", "no_entry"): "not kept: no entry of the vocabulary en stands in the text",
        ("fetch", "http_4xx"): "fetch      failed: http_4xx",
        ("kept_clips", "min_seconds"): "not kept: min_seconds",
        ("manifest", "overlap:url"): 'is not in it: taken out: "bench.csv" of manifest.decontaminate has it by its url',
    }
    for key, words in expected.items():
        assert any(words in line for line in _why(lost[key].example, tmp_path / "b")), key
    for found in rows(after, tmp_path / "b", "manifest"):
        own = _why(found["sample_id"], tmp_path / "b")
        assert sum(line.startswith(f"manifest   {found['sample_id']}: in {found['split']}") for line in own) == 1
        assert own[-1].startswith("shard      shards/") and f"/{found['split']}/00000.tar at byte" in own[-1]
    media = rows(after, tmp_path / "b", "manifest")[0]["media_id"]
    for name, told in (
        ("shards", "shards     not made yet: `curation run` makes it"),
        ("manifest", "manifest   not made yet: `curation run` makes it"),
        ("chosen_captions", "manifest   not made yet, nor what comes before it (chosen_captions): `curation run`"),
        ("media", "manifest   not made yet, nor what comes before it (fetch, near, duplicates, scenes, clips, "),
    ):
        (tmp_path / "b" / name / "_current.json").unlink()
        assert _why(media, tmp_path / "b")[-1].startswith(told)
    whole = _why(rows(before, tmp_path / "a", "manifest")[0]["sample_id"], tmp_path / "a")
    assert not any(line.startswith("shard") for line in whole)


def test_what_is_no_id_is_one_line(tmp_path: Path) -> None:
    publish(tmp_path, {0: "there"})
    for id in ("zz", f"{MEDIA}-1", "", f"{MEDIA}-1-2-3"):
        result = CliRunner().invoke(app, ["why", id, "--work", str(tmp_path)])
        assert result.exit_code != 0
        assert "a sample_id is a media_id, or a clip_id" in str(result.exception)
