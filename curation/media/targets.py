"""URLs as they are asked for: what browsers make of an address, or a clear no."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import idna

MAX_URL_CHARS = 16 << 10  # servers refuse less (Apache, nginx: 8 KiB)
MAX_HOST_CHARS = 253  # RFC 1035; also keeps IDNA's mapping cheap

_PORTS = {"http": 80, "https": 443}
_CONTROLS_AND_BLANK = "".join(map(chr, range(0x21)))
_BREAKS = str.maketrans("", "", "\t\r\n")
_URL = re.compile(r"(?is)(https?)://([^/?]*)([^?]*)(.*)").fullmatch
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^:\[\]]+)(?::([0-9]{0,5}))?").fullmatch
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*").fullmatch
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+").fullmatch
_KEPT = "!$%&'()*+,-./:;=?@[]_|~^"  # quote() keeps letters and digits itself

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadUrlError(ValueError):
    """A URL cannot be asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart and in canonical form."""

    url: str
    """ASCII, without user name, password and fragment, the port only where it is not the scheme's own."""
    host: str
    """Name in lower case, IDNA-encoded, without a dot at its end; or an address (IPv6 without brackets)."""
    address: Address | None
    """The host where it is an address in any form (127.0.0.1, 2130706433, 0x7f.1, [::1]), else None."""


def parse_target(url: str) -> Target:
    """A URL as browsers understand it (WHATWG): backslashes are slashes, blanks and non-ASCII are encoded, line breaks
    dropped; escapes are left as they are. User name and password are never sent. Raises BadUrlError.
    """
    if len(url) > MAX_URL_CHARS:
        raise BadUrlError(f"a URL of {len(url)} characters, more than {MAX_URL_CHARS}")
    text = url.strip(_CONTROLS_AND_BLANK).translate(_BREAKS).partition("#")[0]
    before, mark, query = text.partition("?")
    parts = _URL(before.replace("\\", "/") + mark + query)
    if parts is None:
        raise BadUrlError("not an absolute http or https URL")
    scheme = parts[1].lower()
    place = _PLACE(parts[2].rpartition("@")[2])
    if place is None:
        raise BadUrlError("no host, or a malformed one")
    port = int(place[2] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise BadUrlError(f"port {port}")
    host, address = _host(place[1])
    shown = f"[{host}]" if ":" in host else host
    suffix = "" if port == _PORTS[scheme] else f":{port}"
    return Target(f"{scheme}://{shown}{suffix}{_quoted((parts[3] or '/') + parts[4])}", host, address)


def redirect_target(base: Target, location: str) -> Target:
    """Where a Location header leads. Raises BadUrlError."""
    if len(location) > MAX_URL_CHARS:
        raise BadUrlError(f"a Location of {len(location)} characters, more than {MAX_URL_CHARS}")
    try:
        return parse_target(urljoin(base.url, location.strip(_CONTROLS_AND_BLANK).replace("\\", "/")))
    except BadUrlError:
        raise
    except ValueError as error:  # urljoin: a malformed host
        raise BadUrlError(f"Location: {error}") from None


def _quoted(path: str) -> str:
    if path.isascii() and path.isalnum():
        return path
    try:
        return quote(path, safe=_KEPT, errors="surrogateescape")  # bytes of a header that are no UTF-8 go back as bytes
    except UnicodeEncodeError:
        raise BadUrlError("a lone surrogate") from None


def _host(text: str) -> tuple[str, Address | None]:
    """The canonical host, and its address if it is one."""
    if text[0] == "[":
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise BadUrlError("a malformed IPv6 address") from None
        return address.compressed, address
    name = _ascii(text).removesuffix(".")
    if len(name) > MAX_HOST_CHARS or _NAME(name) is None:
        raise BadUrlError("no host name")
    if _NUMBER(name.rpartition(".")[2]):
        numbers = _ipv4(name)
        return str(numbers), numbers
    return name, None


def _ascii(name: str) -> str:
    if name.isascii():
        return name.lower()
    if len(name) > MAX_HOST_CHARS:
        raise BadUrlError("no host name")
    try:
        return idna.encode(name, uts46=True).decode().lower()
    except idna.IDNAError:
        pass
    try:
        return name.encode("idna").decode().lower()  # symbols (emoji), which the newer standard forbids and hosts use
    except UnicodeError:
        raise BadUrlError("a host name that IDNA does not allow") from None


def _ipv4(name: str) -> ipaddress.IPv4Address:
    """An IPv4 address as inet_aton and browsers read it: 1 to 4 decimal, octal or hexadecimal numbers."""
    parts = name.split(".")
    if len(parts) > 4 or not all(_NUMBER(part) for part in parts):
        raise BadUrlError("a host that ends in a number and is no IPv4 address")
    try:
        numbers = [_number(part) for part in parts]
        if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
            raise BadUrlError("a number too large for an IPv4 address")
    except ValueError:
        raise BadUrlError("a malformed number in an IPv4 address") from None
    value = numbers[-1]
    for position, number in enumerate(numbers[:-1]):
        value += number << (8 * (3 - position))
    return ipaddress.IPv4Address(value)


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if text[0] == "0" else int(text)
