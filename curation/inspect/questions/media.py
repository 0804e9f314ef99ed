"""Questions about media: what became of URLs, and how large, long and good images and clips are."""

from __future__ import annotations

import pyarrow as pa

from curation.inspect.card_media import ERRORS
from curation.inspect.questions.asking import HOST, Database, ask, bounded, has, one_of, require
from curation.schemas.manifest import SCORE

SCORES = tuple(SCORE.names)
"""What may be asked of `score_histogram`."""


def link_rot(db: Database) -> pa.Table:
    """What became of the media that were asked for, by error class.

    modality, error (null: obtained), meaning in words, media, share (of the modality's), transient (media that a later
    run asks for again). Obtained first, then the most frequent.
    """
    require(db, "media")
    words = ", ".join(f"'{error}': '{told.replace(chr(39), chr(39) * 2)}'" for error, told in ERRORS.items())
    return ask(
        db,
        f"""
        SELECT modality, error, CASE WHEN error IS NULL THEN 'obtained' ELSE coalesce(map_extract_value(
                   MAP {{{words}}}, error), error) END AS meaning,
               count(*) AS media, count(*) / sum(count(*)) OVER (PARTITION BY modality) AS share,
               count(*) FILTER (transient AND error IS NOT NULL) AS transient
        FROM media GROUP BY modality, error
        ORDER BY modality, error IS NOT NULL, media DESC, error""",
    )


def link_rot_by_host(db: Database, top: int = 20) -> pa.Table:
    """The hosts of media that lost most: host, others, media, lost, lost_share, most_common (the error of most).

    The last row is the sum of all others, of which `others` says how many; its host is null.
    """
    require(db, "media")
    return ask(db, _lost_by(HOST.format(url="media_url"), "host", "media"), [bounded("top", top)])


def link_rot_by_snapshot(db: Database, top: int = 100) -> pa.Table:
    """As `link_rot_by_host` by crawl: snapshot is the first, by name, that a kept pair of the media comes from."""
    require(db, "media", "pairs", "kept_pairs")
    told = """
        (SELECT media.*, snapshot FROM media LEFT JOIN (
            SELECT media_id, min(snapshot) AS snapshot
            FROM pairs SEMI JOIN kept_pairs USING (pair_id) GROUP BY media_id) USING (media_id))"""
    return ask(db, _lost_by("snapshot", "snapshot", told), [bounded("top", top)])


def _lost_by(value: str, name: str, source: str) -> str:
    return f"""
        WITH told AS (SELECT {value} AS value, error FROM {source}),
        errors AS (SELECT value, error, count(*) AS media FROM told WHERE error IS NOT NULL GROUP BY ALL),
        worst AS (SELECT value, first(error ORDER BY media DESC, error) AS error FROM errors GROUP BY value),
        summed AS (SELECT value, count(*) AS media, count(error) AS lost FROM told GROUP BY value),
        ranked AS (
            SELECT summed.*, worst.error AS most_common, row_number() OVER (
                ORDER BY summed.lost DESC, summed.media DESC, summed.value NULLS LAST) AS place
            FROM summed LEFT JOIN worst ON summed.value IS NOT DISTINCT FROM worst.value)
        SELECT CASE WHEN least(place, $1 + 1) <= $1 THEN any_value(value) END AS {name},
               CASE WHEN least(place, $1 + 1) <= $1 THEN 0 ELSE count(*) END AS others,
               sum(media)::BIGINT AS media, sum(lost)::BIGINT AS lost, sum(lost) / sum(media) AS lost_share,
               CASE WHEN least(place, $1 + 1) <= $1 THEN any_value(most_common) END AS most_common
        FROM ranked GROUP BY least(place, $1 + 1) ORDER BY least(place, $1 + 1)"""


def image_sizes(db: Database) -> pa.Table:
    """Images by their longest side, two bins an octave.

    from_px, to_px (both included), fetched (images as they were on the web), stored (as they lie in shards), samples
    (of the manifest, as stored). Null: the folder has no such dataset.
    """
    ledger, manifest = has(db, "media"), has(db, "manifest")
    if not ledger:
        require(db, "manifest")
    names = ("fetched", "stored", "samples")
    parts = [_sides("fetched", "original_width", "original_height", "media WHERE modality = 'image' AND path <> ''"),
             _sides("stored", "width", "height", "media WHERE modality = 'image' AND path <> ''")] if ledger else []
    if manifest:
        parts.append(_sides("samples", "width", "height", "manifest WHERE modality = 'image'"))
    there = {"fetched": ledger, "stored": ledger, "samples": manifest}
    sums = ", ".join(f"count(*) FILTER (kind = '{name}') AS {name}" if there[name] else f"NULL::BIGINT AS {name}"
                     for name in names)  # fmt: skip
    return ask(
        db,
        f"""
        SELECT ceil(2 ** (bin / 2))::BIGINT AS from_px, ceil(2 ** ((bin + 1) / 2))::BIGINT - 1 AS to_px, {sums}
        FROM (SELECT kind, floor(2 * log2(side))::INTEGER AS bin FROM ({" UNION ALL ".join(parts)}) WHERE side > 0)
        GROUP BY bin ORDER BY bin""",
    )


def _sides(kind: str, width: str, height: str, source: str) -> str:
    return f"SELECT '{kind}' AS kind, greatest({width}, {height}) AS side FROM {source}"


def clip_lengths(db: Database, width_s: float = 1.0, most: int = 60) -> pa.Table:
    """Clips by their length: from_s (included), to_s (excluded; null: no end), clips, kept, samples (of the manifest).

    Bins of width_s seconds, without gaps, `most` at most: the last has no end. Null: the folder has no such dataset.
    """
    bounded("most", most)
    cut, manifest = has(db, "clips") and has(db, "kept_clips"), has(db, "manifest")
    if not cut:
        require(db, "manifest")
    width_ms = bounded("width_s in milliseconds", round(width_s * 1000))
    parts = []
    if cut:
        parts.append("SELECT duration_ms, true AS cut, kept, false AS sample "
                     "FROM clips JOIN kept_clips USING (clip_id)")  # fmt: skip
    if manifest:
        parts.append("SELECT duration_ms, false AS cut, false AS kept, true AS sample "
                     "FROM manifest WHERE modality = 'video'")  # fmt: skip
    clips, samples = ("count(*) FILTER ({0})" if there else "NULL::BIGINT" for there in (cut, manifest))
    return ask(
        db,
        f"""
        WITH told AS (SELECT least(duration_ms // $1, $2 - 1) AS bin, * FROM ({" UNION ALL ".join(parts)})),
        counted AS (SELECT bin, {clips.format("cut")} AS clips, {clips.format("kept")} AS kept,
                           {samples.format("sample")} AS samples FROM told GROUP BY bin),
        bins AS (SELECT unnest(range((SELECT max(bin) FROM told) + 1)) AS bin)
        SELECT bin * $1 / 1000 AS from_s, CASE WHEN bin < $2 - 1 THEN (bin + 1) * $1 / 1000 END AS to_s,
               {_filled("clips", cut)}, {_filled("kept", cut)}, {_filled("samples", manifest)}
        FROM bins LEFT JOIN counted USING (bin) ORDER BY bin""",
        [width_ms, most],
    )


def _filled(name: str, there: bool) -> str:
    return f"coalesce({name}, 0)::BIGINT AS {name}" if there else name


def score_summary(db: Database) -> pa.Table:
    """Every measured score of clips: score, clips (that have it), missing, least, p05, median, p95, most.

    In the order of the dataset; has_audio counts as 0 and 1. What each means: `curation describe scores`.
    """
    require(db, "scores")
    each = " UNION ALL ".join(
        f"SELECT {place} AS place, '{name}' AS score, {name}::DOUBLE AS value FROM scores"
        for place, name in enumerate(SCORES)
    )
    return ask(
        db,
        f"""
        SELECT score, count(value) AS clips, count(*) - count(value) AS missing, min(value) AS least,
               quantile_cont(value, 0.05) AS p05, median(value) AS median, quantile_cont(value, 0.95) AS p95,
               max(value) AS most
        FROM (SELECT place, score, CASE WHEN isfinite(value) THEN value END AS value FROM ({each}))
        GROUP BY place, score ORDER BY place""",
    )


def score_histogram(db: Database, score: str, bins: int = 24) -> pa.Table:
    """Clips by one score: low (included), high (excluded, in the last bin included), clips, kept.

    Bins of equal width from the least to the most; one bin where they are equal, none where no clip has the score.
    """
    require(db, "scores", "kept_clips")
    one_of("score", score, SCORES)
    return ask(
        db,
        f"""
        WITH told AS (SELECT {score}::DOUBLE AS value, kept FROM scores JOIN kept_clips USING (clip_id)
                      WHERE isfinite({score}::DOUBLE)),
        span AS (SELECT min(value) AS least, max(value) AS most,
                        CASE WHEN max(value) > min(value) THEN $1 ELSE 1 END AS bins FROM told HAVING count(*) > 0),
        counted AS (SELECT least(floor((value - least) / nullif(most - least, 0) * bins), bins - 1) AS bin,
                           count(*) AS clips, count(*) FILTER (kept) AS kept FROM told, span GROUP BY 1)
        SELECT least + (most - least) * place / bins AS low, least + (most - least) * (place + 1) / bins AS high,
               coalesce(clips, 0) AS clips, coalesce(kept, 0) AS kept
        FROM (SELECT *, unnest(range(bins)) AS place FROM span)
        LEFT JOIN counted ON place = coalesce(bin, 0) ORDER BY place""",
        [bounded("bins", bins)],
    )


def score_histograms(db: Database, *scores: str, bins: int = 24) -> dict[str, pa.Table]:
    """`score_histogram` of some scores, by name."""
    return {score: score_histogram(db, score, bins) for score in scores}
