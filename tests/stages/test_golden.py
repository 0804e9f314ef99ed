"""A stage that gives another result for the same inputs has another code_version, or finished units are reused wrongly.

Where this fails because a change was meant: raise that stage's code_version and write the file anew with
`python tests/stages/test_golden.py`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from curation.pipeline import STAGES
from curation.recipe import load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.storage import Store
from curation.testing import build_web

GOLDEN = Path(__file__).with_name("golden_stages.json")
RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "demo.yaml"


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """Per stage its code_version and a digest of all rows it gives for a small web."""
    build_web(folder / "web", pages=60)
    web = folder / "web"
    inputs = f"inputs=[{{kind: wat, paths: ['{web}']}}, {{kind: warc, paths: ['{web / 'warc'}']}}]"
    recipe = load_recipe(RECIPE, [inputs])
    run = Run(Store.at(folder / "work"), recipe, STAGES, LocalEngine, Silent())
    found = {}
    for stage in STAGES:
        manifest = run.execute(stage).manifest
        rows = [
            json.dumps([dataset.name, {name: _rounded(value) for name, value in row.items()}], sort_keys=True)
            for dataset in stage.outputs
            if dataset.name != "rejections"  # they name the folder
            for batch in run.store.batches(manifest.paths(dataset.name))
            for row in batch.to_pylist()
        ]
        digest = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()[:16]
        found[stage.name] = {"code_version": stage.code_version, "rows": len(rows), "digest": digest}
    return found


def _rounded(value: Any) -> Any:
    """Machines differ in the last digits of what the language model computes."""
    return round(value, 3) if isinstance(value, float) else value


def test_another_result_has_another_code_version(tmp_path: Path) -> None:
    assert digests(tmp_path) == json.loads(GOLDEN.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        GOLDEN.write_text(json.dumps(digests(Path(scratch)), indent=1) + "\n")
    sys.stdout.write(GOLDEN.read_text())
