"""examples/train_clip.py, as its users run it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from faults_shards import exported

from curation.errors import InputError
from curation.testing.manifests import write_manifest

pytest.importorskip("torch", reason="extra train")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_clip.py"
TINY = ("--batch=8", "--size=16", "--width=64", "--layers=1", "--workers=0", "--say=1", "--rate=0.003", "--warm-up=5")

if not EXAMPLE.exists():
    pytest.skip("the examples are in a checkout alone", allow_module_level=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_manifest(folder, 60, with_bytes=True, videos=0.0)
    exported(folder, max_samples=25)
    return folder


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_clip", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lines(example: ModuleType, work: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """What it prints, without its speed."""

    def printed(*options: str) -> list[str]:
        example.main([str(work), *TINY, *options])
        return [re.sub(r", [\d,]+ samples/s.*", "", line) for line in capsys.readouterr().out.splitlines()]

    return printed


@pytest.mark.parametrize("kind", [(), ("--manifest",)])
def test_the_loss_goes_down_and_texts_are_found(lines: Callable[..., list[str]], kind: tuple[str, ...]) -> None:
    told = lines("--epochs", "5", *kind)
    found = [re.fullmatch(r"step (\d+), epoch (\d): loss (\d+\.\d+)", line) for line in told[:-2]]
    steps = [(int(match[1]), int(match[2]), float(match[3])) for match in found if match]
    assert len(steps) == len(found) == 7 * 5
    first, last = ([loss for _, epoch, loss in steps if epoch == number] for number in (0, 4))
    assert sum(last) / 7 < sum(first) / 7 - 0.3
    assert re.match(r"35 steps in .* s: loss \d", told[-2])
    assert re.match(r"\d+ pictures of (val|train, which it has seen: there is no val): their text found", told[-1])


def test_it_goes_on_where_it_stopped(lines: Callable[..., list[str]], tmp_path: Path) -> None:
    whole = lines("--steps", "9")
    assert lines("--steps", "4", "--checkpoint", str(tmp_path / "c.pt"))[:4] == whole[:4]
    rest = lines("--steps", "9", "--checkpoint", str(tmp_path / "c.pt"))
    assert rest[0] == "goes on behind step 4, in epoch 0"
    assert rest[1:6] == whole[4:9]


def test_it_stops_before_a_step_where_all_are_done(lines: Callable[..., list[str]], tmp_path: Path) -> None:
    assert lines("--steps", "0")[0].startswith("0 steps in ")
    lines("--steps", "3", "--checkpoint", str(tmp_path / "c.pt"))
    told = lines("--steps", "2", "--checkpoint", str(tmp_path / "c.pt"))
    assert told[0] == "goes on behind step 3, in epoch 0" and told[1].startswith("0 steps in ")


def test_an_epoch_that_was_done_is_not_trained_again(lines: Callable[..., list[str]], tmp_path: Path) -> None:
    lines("--steps", "7", "--checkpoint", str(tmp_path / "c.pt"))
    told = lines("--epochs", "1", "--checkpoint", str(tmp_path / "c.pt"))
    assert told[0] == "goes on behind step 7, in epoch 1" and told[1].startswith("0 steps in ")


def test_checkpoints_need_a_folder(lines: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lines("--steps", "1", "--checkpoint", "nowhere/c.pt")
    assert "--checkpoint nowhere/c.pt: there is no folder nowhere" in capsys.readouterr().err


def test_tars_without_splits_have_no_val(
    example: ModuleType, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in work.glob("shards/*/train/*.tar"):
        shutil.copy(path, tmp_path)
    example.main([str(tmp_path), *TINY, "--steps", "1"])
    assert "pictures of train, which it has seen: there is no val" in capsys.readouterr().out


def test_texts_that_no_sample_has_are_said(lines: Callable[..., list[str]]) -> None:
    with pytest.raises(InputError, match="epoch 0 has no batch: skipped:no_text"):
        lines("--text", "vlm.none")


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "has no shards of the split 'train': give a folder of tars, of shards, or a work folder"
    assert done.stderr == f"train_clip: {tmp_path} {said}\n"
