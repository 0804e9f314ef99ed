"""How values are put into words: texts from the web made safe for a terminal, numbers that do not hide a difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any

_SHOWN_CHARS = 160
_LONGEST = 100  # characters of a value that is told
_EACH = 3  # settings of a group that is new or gone, or values of a list, each of which is told
_BEFORE = 20  # characters that are told before the place where two long values differ
_ELSEWHERE = {"pool_modalities": "count.pool_modalities"}  # settings of draw and balance from another section


def quoted(text: str, limit: int = _SHOWN_CHARS) -> str:
    """The text in quotes on one line: what cannot be printed (controls, escapes, odd spaces) as \\x and \\u codes."""
    shown = text[:limit]
    safe = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in shown)
    more = f"… ({len(text):,} characters)" if len(text) > limit else ""
    return f'"{safe}"{more}'


def on_screen(text: str, *, json: bool) -> str:
    """Lines for a terminal: signs that cannot be printed (see `quoted`) as codes, but for line breaks and tabs.

    json: by its own escapes, so that it has the same values; otherwise as \\x and \\u codes.
    """
    return "".join(sign if sign.isprintable() or sign in "\n\t" else _code(sign, json=json) for sign in text)


def _code(sign: str, *, json: bool) -> str:
    return dumps(sign)[1:-1] if json else sign.encode("unicode_escape").decode()


def number(value: float, places: int = 2) -> str:
    """1234.5 as 1,234.5; at most so many decimals, none where they are zero."""
    if math.isinf(value):
        return "infinite"
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


def apart(first: float, second: float) -> tuple[str, str]:
    """Both numbers with as many decimals as it takes to see that they differ, if they do."""
    for places in (2, 4, 8, 12):
        shown = number(first, places), number(second, places)
        if first == second or shown[0] != shown[1]:
            return shown
    return repr(first), repr(second)


def how_many(count: int, noun: str, plural: str = "") -> str:
    """1 archive, 2 archives; 1,000 entries."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def size(bytes_: float) -> str:
    """Bytes in decimal units: 1.5 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if bytes_ < 1000 or unit == "TB":
            break
        bytes_ /= 1000
    return f"{bytes_:.0f} {unit}" if unit == "B" or bytes_ >= 100 else f"{bytes_:.1f} {unit}"


def duration(seconds: float) -> str:
    """0.4 s, 12 s, 3 min, 5.2 h, 3.1 d; nothing shorter than 0.1 s."""
    if seconds < 0.1:
        return "under 0.1 s"
    for limit, divisor, unit in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.{1 if limit == 10 or unit == 'h' else 0}f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def clock(ms: int) -> str:
    """A place in a media: 0:05, 12:34, 1:02:03; fractions of a second only where there are some: 0:05.25."""
    seconds, rest = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return text + (f".{rest:03}".rstrip("0") if rest else "")


def changed_settings(before: Mapping[str, Any], after: Mapping[str, Any], stage: str = "") -> list[str]:
    """One line per setting that differs: `rules.min_chars: null -> 3`; with a stage by its name in the recipe."""
    changes = _changes(before, after, "")
    named = {_ELSEWHERE.get(name, f"{stage}.{name}") if stage else name: words for name, words in changes.items()}
    return [f"{name}: {words}" for name, words in sorted(named.items())]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """By the name of each setting that differs what became of it. A large group that is new or gone is told as one."""
    found: dict[str, str] = {}
    for key in before.keys() | after.keys():
        old, new, name = before.get(key), after.get(key), f"{prefix}{key}"
        if old == new:
            continue
        is_item = key.endswith("]")  # which one it is has to be told, however large
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found |= _changes(old, new, f"{name}.")
        elif isinstance(new, Mapping):
            each = _changes({}, new, f"{name}.")
            found |= {name: "new"} if key not in before and len(each) > _EACH and not is_item else each
        elif isinstance(old, Mapping):
            each = _changes(old, {}, f"{name}.")
            found |= {name: "gone"} if key not in after and len(each) > _EACH and not is_item else each
        elif _holds_groups(old) or _holds_groups(new):
            found |= _changes(_items(key, old), _items(key, new), prefix)
        else:
            found[name] = _change(old, new)
    return found


def _holds_groups(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _items(name: str, value: Any) -> dict[str, Any]:
    return {f"{name}[{place}]": item for place, item in enumerate(value or ())}


def _change(old: Any, new: Any) -> str:
    """Both values; of two long ones what differs, so that they never look alike."""
    one, two = _value(old), _value(new)
    if max(len(one), len(two)) <= _LONGEST and not {"\n", "\r"} & {*one, *two}:
        return f"{one} -> {two}"
    if isinstance(old, list) and isinstance(new, list):
        of_old, of_new = set(map(_value, old)), set(map(_value, new))
        gone, came = [item for item in old if _value(item) not in of_new], [x for x in new if _value(x) not in of_old]
        parts = [f"{words} {_some(items)}" for words, items in (("without", gone), ("with", came)) if items]
        if parts:
            return f"{how_many(len(old), 'value')} -> {how_many(len(new), 'value')}, {', '.join(parts)}"
    same = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    begin = max(0, same - _BEFORE) if same > _BEFORE else 0
    return " -> ".join(f"{'…' if begin else ''}{quoted(text[begin:], _LONGEST)}" for text in (one, two))


def _some(items: Sequence[Any]) -> str:
    more = f" and {len(items) - _EACH:,} more" if len(items) > _EACH else ""
    return ", ".join(quoted(_value(item), _LONGEST)[1:-1] for item in items[:_EACH]) + more


def _value(value: Any) -> str:
    """As a recipe has it, more or less."""
    if value is None:
        return "null"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value(each)}" for key, each in value.items()) + "}"
    return str(value)


def changed_vocabularies(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line per vocabulary that differs between two manifests' contexts."""
    old, new = before.get("vocabularies", {}), after.get("vocabularies", {})
    return [f"vocabulary {lang}: {_vocabulary(old.get(lang))} -> {_vocabulary(new.get(lang))}"
            for lang in sorted(old.keys() | new.keys())
            if old.get(lang, {}).get("fingerprint") != new.get(lang, {}).get("fingerprint")]


def _vocabulary(facts: Mapping[str, Any] | None) -> str:
    return f"{facts['entries']:,} entries from {facts['location']}" if facts else "none"


def changed_thresholds(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line per threshold that differs between two manifests' contexts."""
    old, new = ({f"{modality}/{lang}": t for modality, of_lang in context.get("thresholds", {}).items()
                 for lang, t in of_lang.items()} for context in (before, after))
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key):
            continue
        shown = apart(old[key], new[key]) if key in old and key in new else (
            number(old[key]) if key in old else "none", number(new[key]) if key in new else "none")
        lines.append(f"t of {key}: {shown[0]} -> {shown[1]}")
    return lines
