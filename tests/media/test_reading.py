"""Stored media by id, from a folder and from an object store, and what is said where there is nothing to read."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from faults_web import picture

from curation.errors import WorkFolderError
from curation.media.reading import MediaReader, MediaUnavailableError
from curation.media.refusals import Tombstones
from curation.media.shards import Sample, write_shard
from curation.schemas import MEDIA
from curation.storage import Store

IDS = [f"{number:024x}" for number in range(4)]
TAR = "media/tars/one.tar"


def _fill(store: Store) -> None:
    """Three stored media, one that failed."""
    datas = [picture(number) for number in range(3)]
    with store.whole(TAR) as file:
        members = write_shard(file, (Sample(IDS[n], {"jpg": data}) for n, data in enumerate(datas)))
    rows = []
    for number, media_id in enumerate(IDS):
        row = {name: [] if name == "findings" else None for name in MEDIA.columns}
        row |= {"media_id": media_id, "media_bucket": 0, "modality": "image", "media_url": f"http://a.test/{number}"}
        row |= {"transient": False, "attempts": 1, "status": "failed", "error": "http_4xx", "detail": "404 Not Found"}
        if number < 3:
            member = members[number]
            row |= {"status": "ok", "error": None, "detail": None, "path": TAR, "offset": member.offset}
            row |= {"size_bytes": member.size_bytes, "stored_sha256": hashlib.sha256(datas[number]).hexdigest()}
        rows.append(row)
    store.put_table("media/1/unit/x/00000.parquet", pa.Table.from_pylist(rows, schema=MEDIA.schema))
    files = {"media": [{"path": "media/1/unit/x/00000.parquet"}]}
    store.put_json("_runs/fetch/1/manifest.json", {"reports": {"unit": {"files": files}}})
    store.put_json("media/_current.json", {"manifest": "_runs/fetch/1/manifest.json"})


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path / "work" if request.param == "local" else "memory://reading/work")
    _fill(store)
    yield store
    if not store.is_local:
        fsspec.filesystem("memory").rm("/reading", recursive=True)


def test_bytes_come_back_by_one_range_read(store: Store) -> None:
    reader = MediaReader(store.root)
    assert [reader.bytes(media_id) for media_id in IDS[:3]] == [picture(number) for number in range(3)]
    wanted = [IDS[2], IDS[0], IDS[2]]
    assert list(reader.read(wanted)) == [(media_id, picture(IDS.index(media_id))) for media_id in wanted]
    row = reader.rows(IDS[1:2])[IDS[1]]
    assert pickle.loads(pickle.dumps(reader)).of_row(row) == picture(1)


def test_why_there_is_nothing_to_read(store: Store) -> None:
    reader = MediaReader(store)
    with pytest.raises(MediaUnavailableError, match=r"was not obtained: http_4xx \(404 Not Found\)"):
        reader.bytes(IDS[3])
    with pytest.raises(MediaUnavailableError, match="is not in the ledger"):
        reader.bytes("f" * 24)
    store.put_json("_forgotten/1.json", Tombstones(media_ids=frozenset([IDS[0], "e" * 24])).to_json())
    for media_id in (IDS[0], "e" * 24):
        with pytest.raises(MediaUnavailableError, match="was forgotten"):
            reader.bytes(media_id)
    data = store.read(TAR)
    place = reader.rows([IDS[1]])[IDS[1]]["offset"]
    store.put(TAR, data[:place] + b"?" + data[place + 1 :])
    with pytest.raises(MediaUnavailableError, match="was altered"):
        reader.bytes(IDS[1])
    store.put(TAR, data[:place])
    with pytest.raises(MediaUnavailableError, match="torn"):
        reader.bytes(IDS[1])
    store.remove(TAR)
    with pytest.raises(MediaUnavailableError, match="is gone"):
        reader.bytes(IDS[1])


def test_a_folder_without_media_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkFolderError, match="has no fetched media"):
        MediaReader(tmp_path)
