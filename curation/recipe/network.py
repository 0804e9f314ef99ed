"""fetch.network: limits, politeness, consent. One place for all defaults."""

from __future__ import annotations

import ipaddress
from math import ceil
from typing import Annotated

from pydantic import Field
from pydantic.functional_validators import AfterValidator, field_validator

from curation.media.targets import BadUrlError, parse_target
from curation.recipe.fields import Name, PositiveInt, Seconds, Section, Share, spelled

_PRINTABLE = "give printable ASCII"
_MIRROR = "give host:port, such as 127.0.0.1:8080, without a scheme or a path"


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:  # its message names the text
        raise ValueError(f"give a range of addresses such as 10.1.0.0/16 or fd00::/8: {error}") from None
    return text


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError as error:
        raise ValueError(f"give an address such as 192.0.2.7 or 2001:db8::7: {error}") from None
    return text


class FetchSettings(Section):
    """How media are fetched. Limits of a host are for its name (as in the URL, lower case, any port), not its address.

    The rule per host holds within one call of fetch_all. Where N tasks run beside each other and a host may occur in
    all, give each `settings.shared(N)`.
    """

    user_agent: Annotated[str, spelled(r"[\x21-\x7e][\x20-\x7e]*", f"{_PRINTABLE}, no blank first")] = Field(
        "curation/0.1 (builds training sets; honours X-Robots-Tag)",
        description="User-Agent header, printable ASCII; say who you are and where to complain",
    )
    accept: Annotated[str, spelled(r"[\x20-\x7e]+", _PRINTABLE)] = Field(
        "image/*,*/*;q=0.8", description="Accept header"
    )
    concurrency: PositiveInt = Field(128, description="requests in progress per task")
    per_host_concurrency: PositiveInt = Field(4, description="requests in progress per host (browsers: 6)")
    per_host_delay_s: float = Field(0.0, ge=0, description="seconds between the starts of two requests to a host")
    dns_concurrency: PositiveInt = Field(16, description="name lookups in progress per task")
    dns_timeout_s: Seconds = Field(10.0, description="seconds for one name (resolv.conf: 5 s, 2 attempts)")
    dns_ttl_s: Seconds = Field(300.0, description="seconds for which looked-up addresses are used")
    connect_timeout_s: Seconds = Field(10.0, description="seconds for TCP and TLS, per address")
    read_timeout_s: Seconds = Field(10.0, description="seconds without a byte (img2dataset: 10)")
    total_timeout_s: Seconds = Field(
        60.0, description="seconds for a URL over all attempts and redirects, without waiting for its turn"
    )
    max_bytes: PositiveInt = Field(32 << 20, description="bytes of a body, as sent and decoded")
    max_redirects: int = Field(5, ge=0, description="redirects followed per attempt (img2dataset's urllib: 10)")
    attempts: PositiveInt = Field(3, description="times that a URL is tried if it fails transiently")
    backoff_s: Seconds = Field(
        1.0,
        description="wait before the second attempt, doubled for each further one, times 0.5 to 1.5 by hash of the URL",
    )
    max_backoff_s: Seconds = Field(30.0, description="longest such wait, in seconds")
    max_retry_after_s: Seconds = Field(
        120.0,
        description="longest Retry-After that is waited for, in seconds; a host that asks for more is left alone",
    )
    host_down_after: PositiveInt = Field(
        20, description="transient failures of a host in a row after which its other URLs fail at once, for this run"
    )
    storm_window: PositiveInt = Field(500, description="last outcomes among which a storm is looked for")
    storm_share: Share = Field(0.9, description="share of one error class among them above which the run is stopped")
    refuse: list[Name] = Field(
        ["noai", "noimageai", "noindex", "noimageindex", "none", "tdm-reservation"],
        description="directives in X-Robots-Tag, and tdm-reservation, that refuse a media; [] switches this off",
    )
    agents: list[Name] = Field(
        ["curation"],
        description="crawlers whose own directives ('curation: noindex') bind us; the user agent's first word does too",
    )
    verify_tls: bool = Field(True, description="refuse certificates that are not valid (browsers do)")
    allow_private_addresses: bool = Field(False, description="fetch from private, loopback and reserved addresses too")
    allowed_networks: list[Annotated[str, AfterValidator(_network)]] = Field(
        [], description="address ranges (10.1.0.0/16, fd00::/8) that are fetched from although they are not public"
    )
    hosts: dict[str, Annotated[list[Annotated[str, AfterValidator(_address)]], Field(min_length=1)]] | None = Field(
        None, description="name -> addresses, instead of DNS; other names do not exist. For tests and mirrors"
    )
    mirror: Annotated[str, spelled(r"[^\s/\\?#@]+", _MIRROR)] | None = Field(
        None,
        description="host:port of a server that is asked, over plain HTTP, instead of the URL's host, which is sent as "
        "Host: replays, demos, tests. Its address is the one that is checked",
    )

    @field_validator("mirror")
    @classmethod
    def _can_be_asked(cls, mirror: str | None) -> str | None:
        if mirror is not None:
            try:
                parse_target(f"http://{mirror}/")
            except BadUrlError as error:
                raise ValueError(f"{_MIRROR}: {error}") from None
        return mirror

    def shared(self, tasks: int) -> FetchSettings:
        """The settings of each of `tasks` calls that run beside each other and know nothing of each other.

        All together then keep, for each host:
        - starts: at most `tasks` + W / per_host_delay_s requests in any W seconds, as each waits `tasks` times as
          long (`tasks` at once are possible, since they do not agree on when to begin). Nothing where the delay is 0;
        - in progress: at most max(per_host_concurrency, tasks) requests, as each has the share rounded down, but one
          at least. Where tasks > per_host_concurrency only a delay, or fewer tasks, bounds the load further.
        A pause that a host asks for (Retry-After), and that it is down, are learned by each task alone.
        """
        if tasks < 1:
            raise ValueError(f"settings are shared by at least one task, not {tasks}")
        return self.model_copy(
            update={
                "per_host_concurrency": max(1, self.per_host_concurrency // tasks),
                "per_host_delay_s": self.per_host_delay_s * tasks,
                "dns_concurrency": max(1, ceil(self.dns_concurrency / tasks)),
            }
        )
