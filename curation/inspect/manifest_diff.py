"""What changed between two manifests: samples, concepts, hosts, languages, and why samples left or came."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import duckdb

from curation.errors import InputError
from curation.inspect.explain import holding
from curation.inspect.manifest_reasons import Lost, lost_samples
from curation.inspect.manifest_side import ManifestSide
from curation.inspect.wording import changed_settings, changed_thresholds, changed_vocabularies, quoted
from curation.query import open_duckdb
from curation.storage import Store, storage_errors

TOP: Final = 10
"""Concepts, hosts and others that are told, of gains and of losses each."""
_NEAREST = 5
_HOST = "nullif(lower(regexp_extract({0}, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)', 1)), '')"
_COLUMNS: Final = {
    "modality": "modality",
    "split": "split",
    "media host": _HOST.format("media_url"),
    "page host": _HOST.format("page_url"),
    "language": "text_lang",
    "licence": "licence",
    "text kind": "text_kind",
    "snapshot": "snapshot",
}
"""What samples are counted by: its name and its SQL over a manifest."""
_CHANGES = {"text": "text", "split": "split", "bytes": "sha256"}
_NAMES = ("media_id", "clip_id", "modality", "split", "text", "sha256", "archive")


@dataclass(frozen=True)
class Change:
    """Samples with some value, in A and in B; null: none is known. lang: of the vocabulary, of concepts."""

    value: str | None
    a: int
    b: int
    lang: str | None = None


@dataclass(frozen=True)
class Changes:
    """Values of one kind that most samples were lost or gained with; `others` more have changed, too."""

    kind: str
    losses: list[Change]
    gains: list[Change]
    others: int


@dataclass(frozen=True)
class ManifestDiff:
    """From manifest A to manifest B. samples_a, samples_b: those that hold `concept`, where one is given, of all_a and
    all_b. changed: samples of both, by what is not the same. left and came add up to only_a and only_b.
    """

    a: str
    b: str
    concept: str | None
    all_a: int
    all_b: int
    samples_a: int
    samples_b: int
    both: int
    only_a: int
    only_b: int
    changed: dict[str, int]
    left: list[Lost]
    came: list[Lost]
    changes: list[Changes]
    settings: dict[str, list[str]]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def diff_manifests(a: str, b: str, concept: str | None = None, top: int = TOP) -> ManifestDiff:
    """Compares two manifests, in work folders or exported to Parquet, by sample_id.

    Reasons are told where the folder of the one that is without a sample has all datasets. Memory is DuckDB's limit,
    beyond which it spills; a million samples each take less than a minute. Raises InputError, WorkFolderError.
    """
    with open_duckdb(Store("/")) as database:
        sides = ManifestSide(database, a, "a"), ManifestSide(database, b, "b")
        for side in sides:
            if side.catalog is None:
                side.samples  # noqa: B018 - refuses repeated ones
                continue
            with storage_errors(side.catalog.store):
                side.samples  # noqa: B018
        return _Comparison(database, sides, concept, top).made()


class _Comparison:
    """The tables a_rows and b_rows: the compared samples of each side."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        sides: tuple[ManifestSide, ManifestSide],
        concept: str | None,
        top: int,
    ) -> None:
        self._db, self._sides, self._concept, self._top = database, sides, concept, top
        self._notes: list[str] = []
        self._name_entries()
        for side in sides:
            held = "true" if concept is None else holding(self._places(side, concept))
            columns = ", ".join(f'"{name}"' for name in _NAMES)
            self._run(
                f"CREATE TEMP TABLE {side.letter}_rows AS SELECT sample_id, {columns} FROM {side.relation} WHERE {held}"
            )
        self._held = {
            side.letter: "true" if concept is None else holding(self._places(side, concept)) for side in sides
        }
        if concept is not None and not (self._count("a_rows") or self._count("b_rows")):
            self._refuse_unknown(concept)

    def _run(self, sql: str) -> None:
        self._db.execute(sql).fetchall()

    def _count(self, relation: str, where: str = "true") -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {relation} WHERE {where}").fetchall()[0][0])

    def _name_entries(self) -> None:
        """Tables a_names and b_names; of a side without names those of the other."""
        named = [side.names() for side in self._sides]
        for place, side in enumerate(self._sides):
            other = self._sides[1 - place]
            if named[place]:
                continue
            if named[1 - place]:
                self._run(f"INSERT INTO {side.letter}_names SELECT * FROM {other.letter}_names")
                self._notes.append(
                    f"{side.location} does not name its entries: they are taken to be those of {other.location}"
                )
        if not any(named):
            self._notes.append("neither side names its entries: they are told by number")

    def _places(self, side: ManifestSide, concept: str) -> list[tuple[str, int]]:
        return [
            (str(lang), int(entry))
            for lang, entry in self._db.execute(
                f"SELECT DISTINCT vocabulary_lang, entry_id FROM {side.letter}_names WHERE entry = ? ORDER BY ALL",
                [concept],
            ).fetchall()
        ]

    def _refuse_unknown(self, concept: str) -> None:
        """Raises InputError for a concept that no vocabulary has; one that no sample holds is an answer."""
        names = "(SELECT DISTINCT entry FROM (FROM a_names UNION ALL FROM b_names))"
        if self._db.execute(f"SELECT 1 FROM {names} WHERE entry = ? LIMIT 1", [concept]).fetchall():
            return
        near = self._db.execute(
            f"SELECT entry FROM {names} ORDER BY jaro_winkler_similarity(lower(entry), lower(?)) DESC, entry LIMIT ?",
            [concept, _NEAREST],
        ).fetchall()
        told = ", ".join(quoted(entry) for (entry,) in near)
        raise InputError(f"{quoted(concept)} is no entry of either side{': nearest are ' + told if told else ''}")

    def made(self) -> ManifestDiff:
        a, b = self._sides
        self._run("CREATE TEMP TABLE left_ AS SELECT * FROM a_rows ANTI JOIN b_rows USING (sample_id)")
        self._run("CREATE TEMP TABLE came AS SELECT * FROM b_rows ANTI JOIN a_rows USING (sample_id)")
        only_a, only_b = self._count("left_"), self._count("came")
        rows_a, rows_b = self._count("a_rows"), self._count("b_rows")
        narrowed = self._concept is not None
        return ManifestDiff(
            a.location,
            b.location,
            self._concept,
            a.samples,
            b.samples,
            rows_a,
            rows_b,
            rows_a - only_a,
            only_a,
            only_b,
            self._changed(),
            lost_samples("left_", b, a, narrowed=narrowed) if only_a else [],
            lost_samples("came", a, b, narrowed=narrowed) if only_b else [],
            [*([self._concepts()] if not narrowed else []), *self._of_columns()],
            changed_stages(a, b),
            self._notes,
        )

    def _changed(self) -> dict[str, int]:
        """Samples of both sides, by what is not the same; not of columns that a side lacks."""
        missing = {name for side in self._sides for name in side.missing}
        told = {what: name for what, name in _CHANGES.items() if name not in missing}
        lost = [what for what, name in _CHANGES.items() if name in missing]
        if lost:
            self._notes.append(f"not compared, because a side has no such column: {', '.join(lost)}")
        if not told:
            return {}
        counts = ", ".join(f"count(*) FILTER (a_rows.{name} IS DISTINCT FROM b_rows.{name})" for name in told.values())
        found = self._db.execute(f"SELECT {counts} FROM a_rows JOIN b_rows USING (sample_id)").fetchall()[0]
        return dict(zip(told, map(int, found), strict=True))

    def _concepts(self) -> Changes:
        """Samples by entry of their chosen text, the same entry where its words are the same in the same language."""
        counted = (
            f"""
            SELECT vocabulary_lang AS lang, coalesce(entry, 'entry ' || entry_id) AS value,
                   sum(samples)::BIGINT AS samples
            FROM (SELECT vocabulary_lang, entry_id, count(*) AS samples
                  FROM (SELECT vocabulary_lang, unnest(entry_ids) AS entry_id FROM {side.relation}) GROUP BY ALL)
            LEFT JOIN {side.letter}_names USING (vocabulary_lang, entry_id) GROUP BY ALL"""
            for side in self._sides
        )
        return self._ranked("concept", *counted)

    def _of_columns(self) -> list[Changes]:
        missing = {name for side in self._sides for name in side.missing}
        found = []
        for kind, sql in _COLUMNS.items():
            if any(name in sql for name in missing):
                continue
            counted = (
                f"SELECT NULL::VARCHAR AS lang, {sql} AS value, count(*) AS samples FROM {side.relation} "
                f"WHERE {self._held[side.letter]} GROUP BY ALL"
                for side in self._sides
            )
            found.append(self._ranked(kind, *counted))
        return found

    def _ranked(self, kind: str, counted_a: str, counted_b: str) -> Changes:
        self._run(f"""CREATE OR REPLACE TEMP TABLE counted AS
            SELECT coalesce(one.lang, two.lang) AS lang, coalesce(one.value, two.value) AS value,
                   coalesce(one.samples, 0)::BIGINT AS a, coalesce(two.samples, 0)::BIGINT AS b
            FROM ({counted_a}) AS one FULL JOIN ({counted_b}) AS two
              ON one.lang IS NOT DISTINCT FROM two.lang AND one.value IS NOT DISTINCT FROM two.value""")
        losses, gains = (self._largest(sign) for sign in ("<", ">"))
        others = self._count("counted", "a <> b") - len(losses) - len(gains)
        return Changes(kind, losses, gains, others)

    def _largest(self, sign: str) -> list[Change]:
        rows = self._db.execute(
            f"SELECT value, a, b, lang FROM counted WHERE b {sign} a "
            "ORDER BY abs(b - a) DESC, a + b, lang, value LIMIT ?",
            [self._top],
        ).fetchall()
        return [Change(*row) for row in rows]


def changed_stages(a: ManifestSide, b: ManifestSide) -> dict[str, list[str]]:
    """What differs between the settings of two runs, by stage in the order of the pipeline."""
    if a.catalog is None or b.catalog is None:
        return {}
    found: dict[str, list[str]] = {}
    told: set[str] = set()
    for name in a.catalog.stages:
        one, two = a.stage(name), b.stage(name)
        if one is None and two is None:
            continue
        if one is None or two is None:
            found[name] = [f"only in {'B' if one is None else 'A'}"]
            continue
        lines = changed_settings(one.settings, two.settings, name)
        lines += changed_vocabularies(one.context, two.context) if name == "match" else []
        lines += [line for line in changed_thresholds(one.context, two.context) if line not in told]
        told.update(lines)  # stages hand thresholds on
        if lines:
            found[name] = lines
    return found
