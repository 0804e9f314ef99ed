"""What changed between two manifests, as tables: `curation diff` for notebooks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from curation.inspect.manifest_diff import TOP, ManifestDiff, diff_manifests

_TOTALS = pa.schema([("what", pa.string()), ("samples", pa.int64())])
_CHANGES = pa.schema(
    {"kind": pa.string(), "value": pa.string(), "lang": pa.string(), "a": pa.int64(), "b": pa.int64(),
     "change": pa.int64()}
)  # fmt: skip
_REASONS = pa.schema(
    {"side": pa.string(), "stage": pa.string(), "reason": pa.string(), "samples": pa.int64(), "example": pa.string()}
)
_SETTINGS = pa.schema({"stage": pa.string(), "setting": pa.string()})


def manifest_diff(a: str | Path, b: str | Path, concept: str | None = None, top: int = TOP) -> ManifestDiff:
    """Compares the manifests of two work folders, A and B, by sample_id; of one concept, or all samples."""
    return diff_manifests(str(a), str(b), concept, top)


def diff_totals(diff: ManifestDiff) -> pa.Table:
    """what, samples: those of A and of B, of both, of one alone, and of both with another text, split or bytes."""
    rows = [("in A", diff.samples_a), ("in B", diff.samples_b), ("in both", diff.both), ("only in A", diff.only_a),
            ("only in B", diff.only_b)]  # fmt: skip
    rows += [(f"in both, with another {what}" if what != "bytes" else "in both, with other bytes", samples)
             for what, samples in diff.changed.items()]  # fmt: skip
    return pa.Table.from_pylist([{"what": what, "samples": samples} for what, samples in rows], _TOTALS)


def diff_changes(diff: ManifestDiff) -> pa.Table:
    """What most samples were lost or gained with: kind (concept, domain, language ...), value, lang (of a concept's
    vocabulary), a and b (samples), change (b - a). By kind, losses first, the largest first.
    """
    return pa.Table.from_pylist(
        [{"kind": changes.kind, "value": each.value, "lang": each.lang, "a": each.a, "b": each.b,
          "change": each.b - each.a} for changes in diff.changes for each in (*changes.losses, *changes.gains)],
        _CHANGES,
    )  # fmt: skip


def diff_reasons(diff: ManifestDiff) -> pa.Table:
    """Why samples are in one manifest alone: side (only in A, only in B), stage and reason of the run that is without
    them, samples, example (the smallest sample_id).
    """
    return pa.Table.from_pylist(
        [{"side": side, "stage": each.stage, "reason": each.reason, "samples": each.samples, "example": each.example}
         for side, found in (("only in A", diff.left), ("only in B", diff.came)) for each in found],
        _REASONS,
    )  # fmt: skip


def diff_settings(diff: ManifestDiff, stage: str | None = None) -> pa.Table:
    """stage, setting: what differs between the settings of the two runs, in words, in the order of the pipeline.

    stage: of one alone.
    """
    return pa.Table.from_pylist(
        [{"stage": name, "setting": line} for name, lines in diff.settings.items() for line in lines
         if stage in (None, name)],
        _SETTINGS,
    )  # fmt: skip
