"""The end of a media that was forgotten: nothing else is known of it."""

from __future__ import annotations

from curation.media.takedowns import takedowns
from curation.storage import Store


def why_forgotten_lines(store: Store, media_id: str) -> list[str]:
    """Lines for a terminal; none where the media was not forgotten."""
    wanted = media_id.strip().lower()
    dates = [each.finished_at for each in takedowns(store) if wanted in each.media_ids]
    if not dates:
        return []
    since = min((date for date in dates if date is not None), default=None)
    on = "" if since is None else f" on {since[:10]}"
    return [
        f"media      {wanted}",
        f"forgotten{on} (`curation forget`): nothing of it is kept, and it is refused wherever it turns up",
    ]
