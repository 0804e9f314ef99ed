"""The report's gallery: samples drawn by a hash, at random, from the head and from the tail, with all their texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from curation.inspect.card_words import count
from curation.inspect.report_markup import Html, clipped, element, joined, link
from curation.inspect.report_material import Material
from curation.inspect.report_parts import absent, section, unfolding
from curation.inspect.report_thumbnails import NoThumbnail, data_url, thumbnail
from curation.inspect.wording import clock, number

Row = dict[str, Any]

SHOWN = 8
"""Samples of each kind and modality."""
DRAWN = 20_000
"""Samples of each modality that the gallery is chosen from, drawn by a hash."""
_SALT = "curation report"
_SAME = 2  # samples of head or tail that show the same rarest entry, at most
_TEXT_CHARS = 1200
_TEXTS = 8  # others of a sample
_OTHER_CHARS = 400
_ENTRIES = 8
_ENTRY_CHARS = 60
_LANG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*").fullmatch
_KINDS = {
    "random": ("At random", "What one gets when one looks anywhere."),
    "head": ("From the head", "Even the rarest entry of their text is frequent: most such texts were thinned out."),
    "tail": ("From the tail", "Their text holds entries that hardly any other text holds: texts like these are kept."),
}


def gallery(material: Material) -> Html:
    """Samples of the manifest with their pictures, or texts of kept pairs where there is no manifest."""
    source = "manifest" if material.has_manifest else "kept_pairs"
    lead = f"Drawn by a hash of their ids (from {count(DRAWN)} of each modality): the same folder shows the same ones. "
    lead += "Entries are followed by the number of texts in the pool that hold them."
    chosen: list[tuple[str, str, list[str]]] = []
    for modality in _modalities(material, source):
        _draw(material, source, modality)
        chosen += [(modality, kind, _chosen(material, kind)) for kind in _KINDS]
    rows = _rows(material, source, sorted({id_ for _, _, ids in chosen for id_ in ids}))
    parts: list[Html] = []
    for modality, kind, ids in chosen:
        title, words = _KINDS[kind]
        parts.append(element("h3", f"{title}: {modality}", id=f"gallery-{modality}-{kind}"))
        parts.append(element("p", words, class_="kind"))
        parts.append(element("div", *(_card(material, rows[id_]) for id_ in ids), class_="samples"))
    if source == "kept_pairs":
        parts.insert(0, absent("Nothing has been made of these pairs yet: what follows are texts without pictures."))
    return section("gallery", "Gallery", lead, *(parts or [absent("There is no sample to show.")]))


def _modalities(material: Material, source: str) -> list[str]:
    rows = material.tables.rows(f"SELECT modality FROM {source} GROUP BY modality ORDER BY count(*) DESC, modality")
    return [row["modality"] for row in rows]


def _id(source: str) -> str:
    return "sample_id" if source == "manifest" else "pair_id"


def _draw(material: Material, source: str, modality: str) -> None:
    """drawn: some samples of a modality in the order of their hashes, with the entry of them that is rarest."""
    material.tables.run(
        f"""
        CREATE OR REPLACE TEMP TABLE drawn AS
        WITH few AS (
            SELECT {_id(source)} AS id, md5('{_SALT}' || {_id(source)}) AS place, media_id,
                   keep_probability, entry_ids, modality, vocabulary_lang
            FROM {source} WHERE modality = ? ORDER BY place LIMIT {DRAWN}),
        held AS (
            SELECT id, arg_min(lang || ' ' || entry_id, (pool, entry_id)) AS rarest, min(pool) AS pool
            FROM (SELECT id, modality, vocabulary_lang AS lang, unnest(entry_ids) AS entry_id FROM few)
            JOIN found USING (modality, lang, entry_id) GROUP BY id)
        SELECT id, media_id, place, keep_probability, rarest, pool
        FROM few LEFT JOIN held USING (id)""",
        [modality],
    )


def _chosen(material: Material, kind: str) -> list[str]:
    """Ids in the order in which they are shown."""
    if kind == "random":
        return [row["id"] for row in material.tables.rows(f"SELECT id FROM drawn ORDER BY place LIMIT {SHOWN}")]
    order = {"head": "keep_probability, place", "tail": "keep_probability DESC, place"}[kind]
    if material.tables.row("SELECT count(pool) AS known FROM drawn")["known"]:
        order = {"head": "pool DESC NULLS LAST, place", "tail": "pool NULLS LAST, place"}[kind]
    rows = material.tables.rows(f"""
        WITH one AS (  -- of clips of one video
            SELECT * FROM drawn QUALIFY row_number() OVER (PARTITION BY media_id ORDER BY {order}) = 1)
        SELECT id FROM one
        QUALIFY rarest IS NULL OR row_number() OVER (PARTITION BY rarest ORDER BY {order}) <= {_SAME}
        ORDER BY {order} LIMIT {SHOWN}""")
    return [row["id"] for row in rows]


def _rows(material: Material, source: str, ids: Sequence[str]) -> dict[str, Row]:
    """All that is shown of these samples, by id."""
    if source == "manifest":
        columns = (
            'sample_id AS id, clip_id, modality, path, "offset", size_bytes, extension, width, height, duration_ms, '
            "start_ms, text, text_lang, text_kind, texts, entry_ids, vocabulary_lang, licence, page_url, media_url, "
            "keep_probability, critical_threshold"
        )
    else:
        columns = (
            "pair_id AS id, modality, text, lang AS text_lang, array_to_string(text_sources, ', ') AS text_kind, "
            "[] AS texts, entry_ids, vocabulary_lang, licence, page_url, media_url, keep_probability, "
            "critical_threshold"
        )
    rows = material.tables.rows(
        f"SELECT {columns} FROM {source} WHERE {_id(source)} IN (SELECT unnest(?))", [list(ids)]
    )
    frames = _key_frames(material, [row["clip_id"] for row in rows if row.get("clip_id")])
    entries = _entries(material, rows)
    return {
        row["id"]: {**row, "key_frame": frames.get(row.get("clip_id") or ""), "entries": entries[row["id"]]}
        for row in rows
    }


def _key_frames(material: Material, clip_ids: list[str]) -> dict[str, tuple[int, int]]:
    """Where the first still of each clip lies."""
    if not clip_ids or not material.tables.has("clips"):
        return {}
    rows = material.tables.rows(
        "SELECT clip_id, key_frames[1] AS frame FROM clips WHERE clip_id IN (SELECT unnest(?)) AND len(key_frames) > 0",
        [clip_ids],
    )
    return {row["clip_id"]: (row["frame"]["offset"], row["frame"]["size_bytes"]) for row in rows}


def _entries(material: Material, rows: Sequence[Row]) -> dict[str, list[tuple[str, int]]]:
    """By id the entries of its chosen text with their texts in the pool, the rarest first."""
    named: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        found = material.tables.rows(
            "SELECT entry, pool FROM found WHERE modality = ? AND lang = ? AND entry_id IN (SELECT unnest(?)) "
            "ORDER BY pool, entry_id",
            [row["modality"], row["vocabulary_lang"], row["entry_ids"]],
        )
        named[row["id"]] = [(each["entry"], each["pool"]) for each in found]
    return named


def _card(material: Material, row: Row) -> Html:
    """One sample."""
    body = [
        _said(row["text"], row["text_lang"], _TEXT_CHARS),
        element("p", " · ".join(_facts(row)), class_="facts"),
        *_of_entries(row),
        *_other_texts(row),
        element("p", *_links(row), class_="facts"),
        element("p", _balance(material, row), class_="facts"),
        element("p", element("code", row["id"]), class_="facts"),
    ]
    picture = [_picture(material, row)] if "path" in row else []
    return element("article", *picture, element("div", *body, class_="body"), class_="sample")


def _picture(material: Material, row: Row) -> Html:
    try:
        made = thumbnail(material.store, row)
    except NoThumbnail as reason:
        return element("div", element("p", f"No picture: {reason}"), class_="thumb")
    image = element(
        "img", src=data_url(made), alt=f"{row['modality']}, {row['width']} × {row['height']} pixels", decoding="async"
    )
    return element("div", image, class_="thumb")


def _said(text: str, lang: str | None, limit: int) -> Html:
    return element("p", clipped(text, limit), class_="said", dir="auto", lang=_lang(lang))


def _lang(lang: str | None) -> str | None:
    return lang if lang and _LANG(lang) else None


def _facts(row: Row) -> Iterator[str]:
    yield row["text_kind"] or "text"
    if row["text_lang"]:
        yield row["text_lang"]
    if row.get("width"):
        yield f"{row['width']} × {row['height']}"
    if row.get("duration_ms") is not None:
        start = f" from {clock(row['start_ms'])}" if row["start_ms"] else ""
        yield f"{clock(row['duration_ms'])} long{start}"
    yield clipped(row["licence"], _ENTRY_CHARS) if row["licence"] else "no licence known"


def _of_entries(row: Row) -> list[Html]:
    if not row["entries"]:
        return []
    made = [
        element("li", element("bdi", clipped(entry, _ENTRY_CHARS)), " ", element("span", count(pool), class_="kind"))
        for entry, pool in row["entries"][:_ENTRIES]
    ]
    if hidden := len(row["entries"]) - len(made):
        made.append(element("li", f"{hidden} more"))
    return [element("ul", *made, class_="entries")]


def _other_texts(row: Row) -> list[Html]:
    """The texts that were not chosen."""
    others = (row["texts"] or [])[1:]
    if not others:
        return []
    made = [
        element(
            "li",
            element("span", f"{said['captioner']}.{said['kind']}", class_="kind"),
            " ",
            element("bdi", clipped(said["text"], _OTHER_CHARS), dir="auto", lang=_lang(said["lang"])),
        )
        for said in others[:_TEXTS]
    ]
    if hidden := len(others) - len(made):
        made.append(element("li", f"{hidden} more"))
    return [unfolding("1 other text" if len(others) == 1 else f"{len(others)} other texts", element("ul", *made))]


def _links(row: Row) -> list[Html]:
    """To the page and the media; what is no web address is shown and leads nowhere."""
    found: list[Html] = []
    for name, url in (("page", row["page_url"]), ("media", row["media_url"])):
        if url:
            made = link(name, url)
            shown = made if made != name else joined(name, ": ", element("code", clipped(url, _ENTRY_CHARS)))
            found += [Html(" · "), shown] if found else [shown]
    return found


def _balance(material: Material, row: Row) -> str:
    """When the chosen text is kept; and the sample, which another text of its media may keep more easily."""
    limit = material.tables.rows(
        "SELECT t FROM limits WHERE modality = ? AND lang = ?", [row["modality"], row["vocabulary_lang"]]
    )
    present = f" (t is {number(limit[0]['t'])})" if limit and limit[0]["t"] else ""
    whole = _kept(row)
    if not row["texts"]:
        return _kept(row, present)
    own = row["texts"][0]
    if own["critical_threshold"] is None:
        return f"this text was not drawn by itself; the sample is {_kept(row, present)}"
    if _kept(own) == whole:
        return _kept(row, present)
    return f"this text is {_kept(own, present)}. The sample, by the best of all texts of its media, is {whole}"


def _kept(row: Row, present: str = "") -> str:
    """A text or a sample."""
    begin = number(row["critical_threshold"])
    return f"kept at every t from {begin} on{present}; keep probability {number(row['keep_probability'], 3)}"
