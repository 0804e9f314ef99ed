"""All shapes by their names. A new one is a function over the common view (see curation.export.shape), named here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from curation.export import chat, grounding, labels, metaclip, parquet, retrieval, tables
from curation.export.shape import Shape

_ALL = (parquet, tables, metaclip, retrieval, labels, grounding, chat)

SHAPES: Final[Mapping[str, Shape]] = MappingProxyType({shape.name: shape for module in _ALL for shape in module.SHAPES})
"""In the order in which they are listed."""
