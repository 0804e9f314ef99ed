"""What the report is made of: a work folder's views, its data card, and what is to be known of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from curation.errors import StaleDatasetError, WorkFolderError
from curation.inspect.card import CARD_JSON, card_sections
from curation.inspect.report_tables import ReportTables
from curation.inspect.views import connect, dataset
from curation.inspect.wording import how_many
from curation.media.takedowns import takedowns
from curation.pipeline import ALL_STAGES, STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store

Row = dict[str, Any]

_TOP_ENTRIES = 20  # of each modality, as the recipe's default for the card


@dataclass(frozen=True)
class Material:
    """A folder as it is read for one report."""

    store: Store
    tables: ReportTables
    card: Row | None
    """The sections of card.json that datasets give (`card_sections`); None where stages are missing."""
    recipe: Row
    """name, hash, seed ... of the recipe, as far as a card says them."""
    versions: dict[str, str]
    """Dataset -> version, of all that is fresh."""
    notices: list[str]

    @property
    def has_manifest(self) -> bool:
        return self.tables.has("manifest")

    def is_shown(self, modality: str) -> bool:
        """Whether a modality is of what the report is about: the manifest, or without one the kept pairs."""
        if not self.has_manifest:
            return True
        found = "SELECT 1 FROM found WHERE modality = ? AND samples > 0 LIMIT 1"
        return not self.tables.has("entry_probabilities") or bool(self.tables.rows(found, [modality]))


@contextmanager
def material(location: str | Path) -> Iterator[Material]:
    """Opens a work folder for one report.

    Raises WorkFolderError where it has neither a manifest nor kept_pairs, StaleDatasetError where both are outdated.
    """
    store = Store.at(location)
    catalog = Catalog(store, ALL_STAGES).snapshot()
    with _damages(store), closing(connect(location)) as database:
        tables = ReportTables(database)
        notices = _why_absent(location, catalog, database)
        card, recipe = _card(catalog)
        notices += [*map(_sentence, recipe.pop("notes", [])), *_forgotten(store)]
        yield Material(store, tables, card, recipe, _versions(catalog), notices)


@contextmanager
def _damages(store: Store) -> Iterator[None]:
    """Turns what DuckDB says of files that are gone or damaged into one line that says what to do."""
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        said = str(error).splitlines()[0]
        raise WorkFolderError(f"a file of {store.root} is gone or damaged: {said}; start with a fresh folder") from None


def _why_absent(location: str | Path, catalog: Catalog, database: duckdb.DuckDBPyConnection) -> list[str]:
    """What to say of a manifest that cannot be read; raises where nothing at all can be shown."""
    try:
        dataset(database, location, "manifest")
        return []
    except StaleDatasetError:
        why = "the manifest is of an earlier state of this folder; finish `curation run` to bring it up to date"
    except WorkFolderError as refusal:
        why = "there is no manifest here yet; `curation run` makes one where the recipe has a section fetch"
        if catalog.pointer("manifest") is not None:
            why = str(refusal)
    dataset(database, location, "kept_pairs")
    return [f"What follows is about the selection alone: {why}."]


def _card(catalog: Catalog) -> tuple[Row | None, Row]:
    """The card's sections and what it says of the recipe: those stored, where they are about what is published now.

    Else they are computed again.
    """
    known = catalog.store.read_json(CARD_JSON)
    if isinstance(known, dict) and _describes(known, catalog):
        return known, {**known["recipe"], "notes": known["notes"]}
    if not all(catalog.is_fresh(stage.name) for stage in STAGES):
        return None, {}
    manifests = {stage.name: catalog.visible(stage.name) for stage in ALL_STAGES if catalog.is_fresh(stage.name)}
    notes = [note for manifest in manifests.values() for note in manifest.context.get("notes", [])]
    return card_sections(catalog, manifests, _TOP_ENTRIES), {"notes": notes}


def _describes(card: Row, catalog: Catalog) -> bool:
    """Whether a card is about exactly the datasets that are published and fresh."""
    versions = card.get("versions")
    datasets = versions.get("datasets") if isinstance(versions, dict) else None
    if not isinstance(datasets, dict):
        return False
    told = {name: facts.get("version") for name, facts in datasets.items() if isinstance(facts, dict)}
    return (
        bool(told)
        and told.items() <= _versions(catalog).items()
        and set(told) >= {dataset.name for stage in STAGES for dataset in stage.outputs if dataset.name != "rejections"}
    )


def _versions(catalog: Catalog) -> dict[str, str]:
    fresh = [stage for stage in catalog.stages.values() if catalog.is_fresh(stage.name)]
    return {
        dataset.name: catalog.visible(stage.name).version
        for stage in fresh
        for dataset in stage.outputs
        if dataset.name != "rejections"
    }


def _forgotten(store: Store) -> list[str]:
    taken_out = sum(takedown.taken_out for takedown in takedowns(store))
    if not taken_out:
        return []
    media = how_many(taken_out, "media", "media")
    return [
        f"{media} were forgotten (`curation forget`): what is counted from the manifest is without them, steps that "
        "came before may still count them."
    ]


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:]
