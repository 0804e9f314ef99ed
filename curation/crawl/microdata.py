"""schema.org's images, videos and audio out of a page's microdata (HTML Living Standard, section 5)."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser, LexborNode

from curation.crawl.media_objects import Describer, MediaObject, Node, modality
from curation.crawl.pages import Tally

# The attribute that holds the value of a property, by element. Of all others, and where it is absent: see _value.
_VALUE_ATTRIBUTES = {
    "meta": "content",
    **dict.fromkeys(("audio", "embed", "iframe", "img", "source", "track", "video"), "src"),
    **dict.fromkeys(("a", "area", "link"), "href"),
    "object": "data",
    **dict.fromkeys(("data", "meter"), "value"),
    "time": "datetime",
}
_MAX_DEPTH = 64  # of properties, scopes and itemref targets within each other; each level reads its texts again
_MAX_SHARING = 16  # how often itemref may bring in what a page has, on average


def microdata(tree: LexborHTMLParser, tally: Tally) -> list[MediaObject]:
    """The media objects of a page in document order; `tree` stays as it is.

    Values are those of the standard, and where an element has none, its `content` attribute (which schema.org's own
    examples put on any element), then its text. Tallied as odd:microdata, once per page, and left out: what is nested
    deeper than 64 levels, and what itemref repeats more than 16 times over.
    """
    if not any(modality((scope.attributes["itemtype"] or "").split()) for scope in tree.css("[itemscope][itemtype]")):
        return []
    items = _Items(tree)
    nodes = items.media_nodes()
    if items.cut:
        tally("odd:microdata")
    describer = Describer({})
    return [found for node in nodes if (found := describer.media_object(node))]


class _Items:
    """A page's elements with itemscope or itemprop, and those itemref may point to, numbered in document order."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self.cut = False
        self._elements: list[LexborNode] = []
        self._attributes: list[dict[str, str | None]] = []
        self._names: list[list[str]] = []
        self._below: list[list[int]] = []  # nearest numbered elements within each, in document order
        self._targets: dict[str, int] = {}  # by id
        self._values: dict[int, str] = {}
        self._nodes: dict[int, Node] = {}
        self._unfilled: list[int] = []
        self._number(tree)
        self._room = _MAX_SHARING * len(self._elements)

    def media_nodes(self) -> list[Node]:
        """The items of media types in the shape of JSON-LD nodes; items within are nodes of their own."""
        found = [
            self._node(index)
            for index, attributes in enumerate(self._attributes)
            if "itemscope" in attributes and modality((attributes.get("itemtype") or "").split())
        ]
        while self._unfilled:
            index = self._unfilled.pop()
            node = self._nodes[index]
            for prop in self._properties(index):
                value: Node | str = self._node(prop) if "itemscope" in self._attributes[prop] else self._value(prop)
                for name in self._names[prop]:
                    node.setdefault(name, []).append(value)
        return found

    def _number(self, tree: LexborHTMLParser) -> None:
        selector = "[itemscope],[itemprop]"
        wanted = {ref for e in tree.css("[itemref]") for ref in (e.attributes["itemref"] or "").split()}
        if wanted:
            selector += ",[id]"
        numbers: dict[int, int] = {}  # of every element seen on the way up: its nearest numbered element, or -1
        depths: list[int] = []
        for element in tree.css(selector):  # comes twice if it matches twice
            attributes = element.attributes
            target = attributes.get("id") or ""
            is_target = target in wanted and target not in self._targets
            if not (is_target or "itemscope" in attributes or "itemprop" in attributes):
                continue
            own = element.mem_id
            if numbers.get(own, -1) >= 0 and self._elements[numbers[own]].mem_id == own:
                continue
            above = self._nearest(element, numbers)
            depth = depths[above] + 1 if above >= 0 else 1
            if depth > _MAX_DEPTH:
                self.cut = True
                continue
            index = numbers[own] = len(self._elements)
            if is_target:
                self._targets[target] = index
            if above >= 0:
                self._below[above].append(index)
            depths.append(depth)
            self._elements.append(element)
            self._attributes.append(attributes)
            names = (attributes.get("itemprop") or "").split()
            self._names.append([name for name in names if not name.startswith("@")])  # those are JSON-LD's own
            self._below.append([])

    @staticmethod
    def _nearest(element: LexborNode, numbers: dict[int, int]) -> int:
        """The number of the nearest numbered element above; remembers what lies between."""
        way = []
        parent = element.parent
        while parent is not None and parent.mem_id not in numbers:
            way.append(parent.mem_id)
            parent = parent.parent
        nearest = -1 if parent is None else numbers[parent.mem_id]
        numbers.update(dict.fromkeys(way, nearest))
        return nearest

    def _node(self, index: int) -> Node:
        if index not in self._nodes:
            types = (self._attributes[index].get("itemtype") or "").split()
            self._nodes[index] = {"@type": types, "@id": self._attributes[index].get("itemid")}
            self._unfilled.append(index)
        return self._nodes[index]

    def _properties(self, item: int) -> list[int]:
        """The elements that are properties of an item, in document order."""
        found = []
        seen = {item}
        refs = (self._attributes[item].get("itemref") or "").split()
        stack = [*self._below[item], *(self._targets[ref] for ref in refs if ref in self._targets)]
        while stack:
            index = stack.pop()
            if index in seen:
                continue
            seen.add(index)
            if not self._charge(1):
                break
            if self._names[index]:
                found.append(index)
            if "itemscope" not in self._attributes[index]:
                stack += self._below[index]
        return sorted(found)

    def _charge(self, cost: int) -> bool:
        self._room -= cost
        self.cut |= self._room < 0
        return self._room >= 0

    def _value(self, index: int) -> str:
        attributes = self._attributes[index]
        if index not in self._values:
            element = self._elements[index]
            attribute = _VALUE_ATTRIBUTES.get(element.tag or "")
            value = attributes.get(attribute) if attribute else None
            if value is None and attribute != "content":
                value = attributes.get("content")
            if value is None and attribute in (None, "datetime", "value"):
                value = element.text()
            self._values[index] = (value or "").strip()
            self._room += _MAX_SHARING * self._weight(index)
        return self._values[index] if self._charge(self._weight(index)) else ""

    def _weight(self, index: int) -> int:
        return len(self._values[index]) + len(self._names[index])
