"""fetch, images: decoded, resized and encoded as they come, into one tar shard per unit and round."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from curation.media.fetching import fetch_all
from curation.media.hooks import loaded_hooks
from curation.media.journal import Journal, Row
from curation.media.keeping import Keeper
from curation.media.outcomes import FetchRequest
from curation.media.refusals import Refusals
from curation.recipe import Fetch as FetchSection
from curation.runner.stage import Task
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import MEDIA
from curation.stages.ledger import IMAGE_SHARDS
from curation.stages.row_shards import TARS


@dataclass(frozen=True)
class ImageFetching:
    """How the images of a unit are asked for, and where they are kept."""

    unit: Unit
    task: Task
    section: FetchSection

    def fetch(
        self, asked: list[FetchRequest], media: dict[str, Row], journal: Journal, refusals: Refusals,
        ready: Callable[[], bool],
    ) -> None:  # fmt: skip
        """Raises FetchStormError; whatever happens, what came is in the journal."""
        from curation.media.images import ImageProcessor  # img2dataset takes two seconds, which no command should

        hooks = loaded_hooks(json.dumps(self.task.settings["hooks"]))
        processor = ImageProcessor(self.section.image, hooks, refusals.hash_lists)
        with Keeper(processor, media, journal, refusals) as keeper:
            fetch_all(
                asked,
                self.section.network.shared(self.task.tasks),
                on_done=keeper.take,
                deadline_s=self.section.shard_seconds,
                ready=lambda: ready() and keeper.ready(),
                may_follow=refusals.may_ask,
            )

    def still_there(self, rows: dict[str, Row]) -> dict[str, Row]:
        """Rows of an earlier round, all of which stay."""
        return rows

    def keep(self, report: UnitReport, rows: list[Row], writer: UnitWriter) -> None:
        """Takes over what an earlier round stored of some rows."""
        IMAGE_SHARDS.keep(report, rows, self.task.store, writer)

    def store(self, rows: list[Row], journal: Journal, writer: UnitWriter) -> None:
        """Stores what this round got."""
        name = f"{MEDIA.name}/{TARS}/{self.unit.name}-{self.unit.inputs['round']}"
        IMAGE_SHARDS.write(rows, name, lambda row, _: journal.data(row["media_id"]), self.task.store, writer)

    def refuse(self, rows: list[Row]) -> None:
        """What shards hold of them is left out of the new ones."""

    def committed(self) -> None:
        """There is nothing more to let go of."""
