"""Compiled vocabularies in files: found again, shared, and never believed when anything is wrong with them."""

import json
import multiprocessing
import os
import struct
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from curation.concepts import Matcher, Vocabulary, compiled, matcher, vocabulary_cache
from curation.concepts.options import MatchOptions

ENTRIES = ["cat", "black cat", "extraordinarily", "猫", "cat", "a\tb", "#" + "y" * 300, "dog"]
TEXTS = pa.array(["a black cat, extraordinarily", "白い猫", "dog", "#" + "y" * 300])
EXPECTED = [[0, 1, 2, 4], [3], [7], [6]]


def words(**settings):
    return Matcher(Vocabulary.from_entries(ENTRIES, definition="v2"), **settings)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def builds(monkeypatch):
    """Grows by one with every build."""
    made = []

    def counting(*arguments):
        made.append(1)
        return compiled.compile_vocabulary(*arguments)

    monkeypatch.setattr(matcher, "compile_vocabulary", counting)
    return made


def only_file(folder):
    (file,) = folder.iterdir()
    return file


def test_built_once_then_mapped_read_only(folder, builds):
    for _ in range(3):
        found = words()
        assert found.match(TEXTS).to_pylist() == EXPECTED
        assert not found._kernels[0]._trie.lines.flags.writeable
        assert found._kernels[0]._trie.lines.ctypes.data % 64 == 0
        assert found._kernels[0]._trie.lines.base is not None
    assert len(builds) == 1
    assert only_file(folder).stat().st_mode & 0o777 == 0o600


def test_without_cache_nothing_is_written(folder, builds):
    for _ in range(2):
        assert words(cache=False).match(TEXTS).to_pylist() == EXPECTED
    assert len(builds) == 2
    assert not folder.exists()


def test_entries_definition_and_options_each_have_a_file(folder, builds):
    for entries in (["cat"], ["cat", "dog"]):
        for definition in ("v1", "v2"):
            for options in (MatchOptions(), MatchOptions(nfc=True), MatchOptions(case_fold=True)):
                Matcher(Vocabulary.from_entries(entries, definition=definition), options)
    assert len(builds) == len(list(folder.iterdir())) == 12


def test_damage_anywhere_is_found_and_repaired(folder, builds):
    words()
    file = only_file(folder)
    whole = file.read_bytes()
    magic, size, _ = struct.unpack("<8sQQ", whole[:24])
    assert magic == b"CURATVOC"
    header = json.loads(whole[24 : 24 + size])
    regions = [(0, 8), (8, 16), (16, 24), (24, 24 + size), *((begin, end) for _, _, begin, end, _ in header["arrays"])]
    places = {place for begin, end in regions if end > begin for place in (begin, (begin + end) // 2, end - 1)}
    assert len(places) > 30
    for place in sorted(places):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        before = len(builds)
        assert words().match(TEXTS).to_pylist() == EXPECTED
        assert len(builds) == before + 1
        assert only_file(folder).read_bytes() == whole


@pytest.mark.parametrize("kept", [0, 1, 23, 24, 100, 1000, -65, -1])
def test_a_file_cut_off_is_built_anew(folder, builds, kept):
    words()
    file = only_file(folder)
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    assert words().match(TEXTS).to_pylist() == EXPECTED
    assert len(builds) == 2
    assert file.read_bytes() == whole
    file.write_bytes(whole + b"more")
    words()
    assert len(builds) == 3


def test_another_format_is_another_file(folder, builds, monkeypatch):
    words()
    first = only_file(folder)
    monkeypatch.setattr(vocabulary_cache, "_format", lambda: "0123456789abcdef")
    words()
    assert len(builds) == 2
    second = next(file for file in folder.iterdir() if file != first)
    second.write_bytes(first.read_bytes())  # an old file under a new name
    words()
    assert len(builds) == 3


def test_the_format_follows_the_sources_and_the_unicode_tables(monkeypatch):
    formats = {vocabulary_cache._format()}
    vocabulary_cache._format.cache_clear()
    monkeypatch.setattr(vocabulary_cache, "source_digest", lambda *modules: str(len(modules)))
    formats.add(vocabulary_cache._format())
    vocabulary_cache._format.cache_clear()
    monkeypatch.setattr(vocabulary_cache.unicodedata, "unidata_version", "99.0")
    formats.add(vocabulary_cache._format())
    vocabulary_cache._format.cache_clear()
    assert len(formats) == 3


def test_imported_from_an_archive(folder, builds, monkeypatch):
    monkeypatch.setattr(vocabulary_cache, "_format", failing)
    assert words().match(TEXTS).to_pylist() == EXPECTED
    assert not folder.exists()


def test_a_file_of_another_vocabulary_under_this_name(folder, builds):
    words()
    file = only_file(folder)
    Matcher(Vocabulary.from_entries(["something else"]))
    other = next(path for path in folder.iterdir() if path != file)
    file.write_bytes(other.read_bytes())
    assert words().match(TEXTS).to_pylist() == EXPECTED
    assert len(builds) == 3


def test_files_that_others_may_write_are_not_believed(folder, builds):
    words()
    only_file(folder).chmod(0o666)
    words()
    assert len(builds) == 2
    assert only_file(folder).stat().st_mode & 0o777 == 0o600  # replaced
    folder.chmod(0o777)
    for _ in range(2):
        assert words().match(TEXTS).to_pylist() == EXPECTED
    assert len(builds) == 4


def test_files_of_another_user_are_not_believed(folder, builds, monkeypatch):
    words()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert words().match(TEXTS).to_pylist() == EXPECTED
    assert len(builds) == 2


def failing(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("broken", ["tempfile.mkstemp", "pathlib.Path.mkdir", "os.link pathlib.Path.replace"])
def test_a_folder_that_cannot_be_written_only_costs_time(folder, builds, monkeypatch, broken):
    for name in broken.split():
        monkeypatch.setattr(name, failing)
    for _ in range(2):
        assert words().match(TEXTS).to_pylist() == EXPECTED
    assert len(builds) == 2


def test_a_disk_that_fills_up_leaves_nothing_behind(folder, builds, monkeypatch):
    monkeypatch.setattr(vocabulary_cache.os, "fdopen", failing)
    assert words().match(TEXTS).to_pylist() == EXPECTED
    assert list(folder.iterdir()) == []


def test_a_cache_folder_that_is_a_file(tmp_path, monkeypatch, builds):
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert words().match(TEXTS).to_pylist() == EXPECTED


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(folder, builds):
    folder.mkdir(mode=0o500)
    assert words().match(TEXTS).to_pylist() == EXPECTED


def test_the_users_cache_folder_and_then_a_private_temporary_one(tmp_path, monkeypatch, builds):
    monkeypatch.delenv("CURATION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words()
    assert len(list((tmp_path / "xdg" / "curation" / "vocabularies").iterdir())) == 1
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "blocked"))
    for _ in range(2):
        words()
    assert len(builds) == 2
    private = tmp_path / f"curation-vocabularies-{os.getuid()}"
    assert len(list(private.iterdir())) == 1
    assert private.stat().st_mode & 0o777 == 0o700


def test_no_temporary_directory(tmp_path, monkeypatch, builds):
    monkeypatch.delenv("CURATION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setattr(tempfile, "gettempdir", failing)
    for _ in range(2):
        assert words().match(TEXTS).to_pylist() == EXPECTED
    assert len(builds) == 2


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch, builds):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CURATION_CACHE", "~/cache")
    words()
    assert only_file(tmp_path / "cache").name.endswith(".vocabulary")


@pytest.mark.parametrize("mode", [0o775, 0o777])
def test_a_chosen_folder_that_is_refused_is_told_once(folder, builds, caplog, mode):
    folder.mkdir()
    folder.chmod(mode)
    for _ in range(2):
        assert words().match(TEXTS).to_pylist() == EXPECTED
    assert list(folder.iterdir()) == []
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"CURATION_CACHE: {folder} keeps no compiled vocabularies (others own it, or may write it)" in record.message


def test_a_chosen_folder_without_a_name_is_told(tmp_path, monkeypatch, builds, caplog):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    monkeypatch.setenv("CURATION_CACHE", str(tmp_path / "circle" / "cache"))
    assert words().match(TEXTS).to_pylist() == EXPECTED
    assert "CURATION_CACHE" in caplog.text


def test_nothing_is_told_where_nothing_was_chosen_or_all_is_well(folder, monkeypatch, builds, caplog):
    words()
    monkeypatch.delenv("CURATION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setattr(tempfile, "gettempdir", failing)
    words()
    assert caplog.records == []


def in_a_process(barrier, results, links):
    def building(*arguments):
        made = compiled.compile_vocabulary(*arguments)
        barrier.wait()  # every process has found no file by now
        return made

    matcher.compile_vocabulary = building
    if not links:
        os.link = failing
    matching = words()
    found = matching.match(TEXTS).to_pylist()
    maps = Path("/proc/self/maps").read_text().splitlines() if Path("/proc/self/maps").exists() else []
    results.put((found, {line.split(maxsplit=4)[4] for line in maps if ".vocabulary" in line}))


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.slow
def test_processes_that_build_at_once_share_the_file_of_the_first(folder, links):
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(3), spawn.Queue()
    processes = [spawn.Process(target=in_a_process, args=(barrier, results, links)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert [answer for answer, _ in found] == [EXPECTED] * 3
    assert only_file(folder).name.endswith(".vocabulary")
    if links and Path("/proc/self/maps").exists():
        (mapped,) = {frozenset(files) for _, files in found}
        assert len(mapped) == 1  # one inode, and none that was replaced since
        assert "(deleted)" not in min(mapped)
