"""Questions about texts: who says how much, which texts stand for their samples, and all texts of one sample."""

from __future__ import annotations

import pyarrow as pa

from curation.errors import InputError
from curation.inspect.questions.asking import Database, ask, bounded, require


def captions_by_kind(db: Database) -> pa.Table:
    """What each captioner said: captioner, kind, samples, captions, silent, failed, mean_chars, chosen.

    samples have a caption of the kind; silent and failed are of captioners as a whole, with an empty kind; chosen:
    captions that stand for their sample. The most first.
    """
    require(db, "captions", "chosen_captions")
    return ask(
        db,
        """
        WITH told AS (
            SELECT captioner, CASE WHEN status = 'ok' THEN kind ELSE '' END AS kind,
                   count(DISTINCT sample_id) FILTER (status = 'ok') AS samples,
                   count(*) FILTER (status = 'ok') AS captions, count(*) FILTER (status = 'silent') AS silent,
                   count(*) FILTER (status = 'failed') AS failed,
                   avg(length(text)) FILTER (status = 'ok') AS mean_chars
            FROM captions GROUP BY ALL),
        chosen AS (SELECT captioner, kind, count(*) AS chosen FROM chosen_captions GROUP BY ALL)
        SELECT told.*, coalesce(chosen, 0) AS chosen FROM told LEFT JOIN chosen USING (captioner, kind)
        ORDER BY captions DESC, captioner, kind""",
    )


def chosen_kinds(db: Database) -> pa.Table:
    """Which texts stand for samples of the manifest: modality, text_kind (CAPTIONER.KIND), samples, share, mean_chars.

    share is of the modality's samples. The most first.
    """
    require(db, "manifest")
    return ask(
        db,
        """
        SELECT modality, text_kind, count(*) AS samples,
               count(*) / sum(count(*)) OVER (PARTITION BY modality) AS share, avg(length(text)) AS mean_chars
        FROM manifest GROUP BY modality, text_kind ORDER BY modality, samples DESC, text_kind""",
    )


def texts_per_sample(db: Database, most: int = 10) -> pa.Table:
    """How many texts samples of the manifest have: modality, texts, samples; `most` stands for as many or more."""
    require(db, "manifest")
    return ask(
        db,
        """
        SELECT modality, least(len(texts), $1)::BIGINT AS texts, count(*) AS samples
        FROM manifest GROUP BY ALL ORDER BY modality, texts""",
        [bounded("most", most)],
    )


def texts_of(db: Database, sample_id: str, most: int = 100) -> pa.Table:
    """`texts_of_samples` of one sample, without its sample_id."""
    return texts_of_samples(db, [sample_id], most).drop_columns(["sample_id"])


def texts_of_samples(db: Database, sample_ids: list[str], most: int = 100) -> pa.Table:
    """All texts of some samples side by side, in the order of the samples, the chosen text first.

    sample_id, place (0: the chosen one), captioner, kind, text_sources, lang, text, start_ms and end_ms (of the part it
    is about, on the sample's own clock; null: all of it), weight, similarity, keep_probability, critical_threshold. At
    most `most` texts of each. Raises InputError for a sample that the manifest does not have.
    """
    require(db, "manifest")
    bounded("the number of samples", len(sample_ids))
    known = {name for (name,) in db.execute(
        "SELECT sample_id FROM manifest WHERE sample_id IN (SELECT unnest(?))", [sample_ids]).fetchall()}  # fmt: skip
    missing = [name for name in sample_ids if name not in known]
    if missing:
        raise InputError(f"the manifest has no sample {missing[0]!r}: `curation why ID` tells what became of it")
    return ask(
        db,
        """
        WITH asked AS (SELECT unnest($1) AS sample_id, unnest(range(len($1))) AS number),
        said AS (SELECT number, sample_id, unnest(range(len(texts))) AS place, unnest(texts) AS said
                 FROM asked JOIN manifest USING (sample_id))
        SELECT sample_id, place, said.captioner, said.kind, said.text_sources, said.lang, said.text, said.start_ms,
               said.end_ms, said.weight, said.similarity, said.keep_probability, said.critical_threshold
        FROM said WHERE place < $2 ORDER BY number, place""",
        [sample_ids, bounded("most", most)],
    )
