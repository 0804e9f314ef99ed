"""YAML as version 1.2 of its specification reads it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from curation.errors import RecipeError

_KEPT = (None, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "str", "seq", "map")))  # None: any other tag


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema (its section 10.3): `no`, `on` and 1:30 are strings, 1e5 is a number, 010 is ten.

    No merge keys, dates or sets: 1.2 has none. A key given twice is an error, where PyYAML would keep the last.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML's way to start without what YAML 1.1 has)
    yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in _KEPT}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if key in seen:
                raise RecipeError(f"line {line}: key {key!r} is already given in line {seen[key]}: keep one")
            seen[key] = line
        return mapping

    def construct_plain(self, node: yaml.ScalarNode) -> bool | int | float:
        """A boolean or number by its tag, also where the tag is written out (!!int x)."""
        text, kind = str(self.construct_scalar(node)).lower(), node.tag.rpartition(":")[2]
        try:
            if kind == "bool":
                return {"true": True, "false": False}[text]
            if kind == "int":
                return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except (KeyError, ValueError):
            raise yaml.constructor.ConstructorError(None, None, f"{text!r:.60} is no {kind}", node.start_mark) from None


for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"({_pattern})\Z", re.ASCII), list(_first))
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_plain)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])


def parse_yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{where} is no YAML value: {' '.join(str(error).split())}") from None
