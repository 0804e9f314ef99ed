"""Looking at runs: reading what stages published, never writing into a work folder."""

from curation.inspect.views import connect

__all__ = ["connect"]
