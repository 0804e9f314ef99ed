"""From names to addresses: looked up once per host, and only those on the public internet."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.media.targets import Address
from curation.recipe.network import FetchSettings

MAX_CACHED_HOSTS: Final = 1 << 16
FAILURE_TTL_S: Final = 1.0
"""Seconds for which a resolver's own failure is remembered; that a name does not exist is for dns_ttl_s."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_MISSING = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

Lookup = Callable[[str], Sequence[str]]
"""Name -> addresses, blocking. Raises socket.gaierror."""


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, and, where it carries an IPv4 address, that one too."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return isinstance(address, ipaddress.IPv6Address) and _is_carrier(address) and _carried_public(address)
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return not address.is_site_local and address not in _NAT64_LOCAL and _carried_public(address)


def _carried(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """IPv4 addresses that packets to this one may end up at (mapped, 6to4, NAT64)."""
    yield from (inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None)
    if address in _NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _carried_public(address: ipaddress.IPv6Address) -> bool:
    return all(map(is_public, _carried(address)))


def _is_carrier(address: ipaddress.IPv6Address) -> bool:
    """Whether only the IPv4 address inside counts: mapped and NAT64 ones are not global or reserved by themselves."""
    return address.ipv4_mapped is not None or address in _NAT64


class AddressBook:
    """Addresses of hosts, each looked up once per dns_ttl_s however many ask, all of them checked.

    A host of which one address is not allowed is refused altogether: which of them is connected to is left to luck.
    lookup, clock (seconds): for tests.
    """

    def __init__(
        self, settings: FetchSettings, lookup: Lookup | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._networks = [ipaddress.ip_network(network) for network in settings.allowed_networks]
        self._lookup = lookup or (system_lookup if settings.hosts is None else self._listed)
        self._clock = clock
        self._known: dict[str, tuple[float, list[str] | FetchFaultError]] = {}
        self._asked: dict[str, asyncio.Task[list[str]]] = {}
        self._turn = asyncio.Semaphore(settings.dns_concurrency)
        self._threads: ThreadPoolExecutor | None = None

    async def addresses(self, host: str) -> list[str]:
        """Addresses of a name, all allowed. Raises FetchFaultError: DNS or REFUSED_ADDRESS."""
        known = self._known.get(host)
        if known is None or known[0] <= self._clock():
            task = self._asked.get(host)
            if task is None:
                task = self._asked[host] = asyncio.create_task(self._ask(host))
                task.add_done_callback(lambda done: self._answered(host, done))
            return await asyncio.shield(task)  # one who gives up does not take it from the others
        if isinstance(known[1], FetchFaultError):
            fault = known[1]
            raise FetchFaultError(fault.error, fault.detail, transient=fault.transient)
        return known[1]

    def check(self, address: Address) -> None:
        """Raises FetchFaultError (REFUSED_ADDRESS) for an address that is neither public nor allowed."""
        if self._settings.allow_private_addresses or is_public(address):
            return
        if not any(address in network for network in self._networks):
            raise FetchFaultError(ErrorClass.REFUSED_ADDRESS, f"{address} is not a public address", transient=False)

    def close(self) -> None:
        """Drops what is being looked up; waits for no thread."""
        for task in list(self._asked.values()):
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, host: str, task: asyncio.Task[list[str]]) -> None:
        self._asked.pop(host, None)
        if not task.cancelled():
            task.exception()  # looked at, as all who asked may have given up: asyncio would log it

    async def _ask(self, host: str) -> list[str]:
        found: list[str] | FetchFaultError
        lasting = self._settings.dns_ttl_s
        try:
            async with self._turn, asyncio.timeout(self._settings.dns_timeout_s):
                found = await self._looked_up(host)
            for address in found:
                self.check(ipaddress.ip_address(address.partition("%")[0]))
        except socket.gaierror as error:
            missing = error.errno in _MISSING
            found = FetchFaultError(ErrorClass.DNS, f"{host}: {error.strerror}", transient=not missing)
        except (OSError, ValueError) as error:  # a timeout is an OSError, a name that no codec takes a ValueError
            found = FetchFaultError(
                ErrorClass.DNS, f"{host}: {str(error) or 'the resolver is too slow'}", transient=True
            )
        except FetchFaultError as fault:
            found = fault
        if isinstance(found, FetchFaultError) and found.transient:
            lasting = FAILURE_TTL_S
        while len(self._known) >= MAX_CACHED_HOSTS:
            del self._known[next(iter(self._known))]
        self._known[host] = (self._clock() + lasting, found)
        if isinstance(found, FetchFaultError):
            raise found
        return found

    async def _looked_up(self, host: str) -> list[str]:
        if self._lookup == self._listed:  # nothing to wait for
            return list(self._listed(host))
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._settings.dns_concurrency, "dns")
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host)
        return list(dict.fromkeys(found))

    def _listed(self, host: str) -> Sequence[str]:
        found = (self._settings.hosts or {}).get(host)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "not among the given hosts")
        return found


def system_lookup(host: str) -> list[str]:
    """All addresses of a name by the machine's resolver. Blocks; raises socket.gaierror."""
    flags = socket.AI_ADDRCONFIG
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)]


class CheckedResolver(AbstractResolver):
    """Gives aiohttp addresses from the book only: what is connected to is what was checked."""

    def __init__(self, book: AddressBook) -> None:
        self._book = book

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Checked addresses of a name. Raises FetchFaultError."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._book.addresses(host)
        ]

    async def close(self) -> None:
        """Nothing to close: the book is its maker's."""
