"""URLs in canonical form, which addresses are public, and that each name is asked for once."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from curation.media.addresses import AddressBook, CheckedResolver, is_public
from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.media.targets import BadUrlError, parse_target, redirect_target
from curation.recipe.network import FetchSettings


@given(st.text(max_size=60) | st.text("htps:/\\@[]#?%.0x1a \t:", max_size=40).map("http://".__add__))
def test_any_text_is_a_target_in_canonical_form_or_a_clear_no(text: str) -> None:
    try:
        target = parse_target(text)
    except BadUrlError as error:
        assert str(error)
        return
    assert target.url.isascii() and not any(character.isspace() for character in target.url)
    assert parse_target(target.url) == target
    seen = URL(target.url, encoded=True)  # what the HTTP library will connect to and ask for
    assert seen.raw_host == target.host and seen.user is None and seen.raw_fragment == ""


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{0}", "0x{0:x}", "0{0:o}", "{1}", "{1}.", "{2}"]))
def test_all_spellings_of_an_ipv4_address_are_that_address(number: int, form: str) -> None:
    dotted = str(ipaddress.IPv4Address(number))
    mixed = f"{number >> 24}.0x{number & 0xFFFFFF:x}"
    target = parse_target(f"http://{form.format(number, dotted, mixed)}/")
    assert target.address == ipaddress.IPv4Address(number)
    assert target.host == dotted


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("http://example.com:80/a", "http://example.com/a"),
        ("https://example.com:8443?x=1", "https://example.com:8443/?x=1"),
        ("http://user:secret@example.com/a#b", "http://example.com/a"),
        ("http://example.com./a", "http://example.com/a"),
        (" http://example.com/a b\tc\n ", "http://example.com/a%20bc"),
        ("http://example.com/%7Ea+b%2fc?d=%20+é&e=^|", "http://example.com/%7Ea+b%2fc?d=%20+%C3%A9&e=^|"),
        ("http://bücher.example/ö", "http://xn--bcher-kva.example/%C3%B6"),
        ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://☃.example/", "http://xn--n3h.example/"),
        ("http:\\\\example.com\\a\\b?c\\d", "http://example.com/a/b?c%5Cd"),
        ("http://a@b@example.com/", "http://example.com/"),
        ("http://[2001:DB8::1]:81/", "http://[2001:db8::1]:81/"),
        ("http://１２７。０.0.1/", "http://127.0.0.1/"),
    ],
)
def test_canonical_forms(url: str, canonical: str) -> None:
    assert parse_target(url).url == canonical


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com/a", "//example.com/a", "ftp://example.com/", "file:///etc/passwd", "data:image/png,x"),
        *("http://", "http:///a", "http://@/", "http://:80/", "http://a:b/", "http://a:0/", "http://a:65536/"),
        *("http://a..b/", "http://.a/", "http://%31/", "http://a b/", "http://[::1/", "http://[::g]/", "http://[1]/"),
        *("http://1.2.3.4.5/", "http://256.1.1.1/", "http://1.2.3.256/", "http://08/", "http://a.1/", "http://0xg.0x/"),
        *("http://4294967296/", "http://" + "a" * 64 + ".example/", "http://" + "a." * 200 + "example/"),
        *("http://a/\ud800", "http://a/" + "x" * 20_000, "http://" + "ü" * 5000 + "/", "http://a<b>/", "http://a\0b/"),
        "http://" + "9" * 5000 + "/",
    ],
)
def test_what_cannot_be_asked_for(url: str) -> None:
    with pytest.raises(BadUrlError):
        parse_target(url)


def test_redirects_are_relative_to_where_they_come_from() -> None:
    base = parse_target("https://a.test/x/y?z")
    for location, url in {
        "b.jpg": "https://a.test/x/b.jpg",
        "/b c.jpg": "https://a.test/b%20c.jpg",
        "//b.test/é": "https://b.test/%C3%A9",
        "?q": "https://a.test/x/y?q",
        "/\udce9": "https://a.test/%E9",
        "http://b.test/\r\nX-Injected: 1": "http://b.test/X-Injected:%201",
        "\\\\b.test\\c": "https://b.test/c",
    }.items():
        assert redirect_target(base, location).url == url
    for location in ("javascript:alert(1)", "http://[", "ftp://b.test/", "http://b.test:99999/", "x" * 20_000):
        with pytest.raises(BadUrlError):
            redirect_target(base, location)


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1"),
        *("192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1"),
        *("64:ff9b::7f00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::", "2001:0:4136:e378:8000:63bf::"),
        *("2001:db8::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1", "100::1"),
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450::1"]
)
def test_addresses_that_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_counts_as_itself(address: ipaddress.IPv4Address) -> None:
    inside = int(address)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | inside)
    nat64 = ipaddress.IPv6Address((0x64FF9B << 96) | inside)
    assert is_public(mapped) == is_public(nat64) == is_public(address)


class _Resolver:
    """A resolver that gives its answers in turn, the last one for ever."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_name_is_looked_up_once_however_many_ask() -> None:
    resolver, clock = _Resolver(["8.8.8.8", "8.8.4.4", "8.8.8.8"]), _Clock()

    async def ask() -> None:
        book = AddressBook(FetchSettings(dns_ttl_s=60), resolver, clock)
        found = await asyncio.gather(*[book.addresses("a.test") for _ in range(100)])
        assert found == [["8.8.8.8", "8.8.4.4"]] * 100
        assert resolver.asked == ["a.test"]
        clock.now = 59.0
        await book.addresses("a.test")
        assert len(resolver.asked) == 1
        clock.now = 61.0
        await book.addresses("a.test")
        assert len(resolver.asked) == 2
        book.close()

    asyncio.run(ask())


def test_a_name_that_turns_private_is_refused_when_it_does() -> None:
    resolver, clock = _Resolver(["8.8.8.8"], ["8.8.8.8", "127.0.0.1"]), _Clock()

    async def ask() -> None:
        book = AddressBook(FetchSettings(dns_ttl_s=60), resolver, clock)
        checked = CheckedResolver(book)
        assert [entry["host"] for entry in await checked.resolve("a.test", 80)] == ["8.8.8.8"]
        clock.now = 61.0
        for _ in range(2):  # looked up, and remembered
            with pytest.raises(FetchFaultError) as refused:
                await checked.resolve("a.test", 80)
            assert (refused.value.error, refused.value.transient) == (ErrorClass.REFUSED_ADDRESS, False)
        assert len(resolver.asked) == 2
        book.close()

    asyncio.run(ask())


def test_what_the_resolver_fails_with_says_whether_to_come_back() -> None:
    missing = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    broken = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    cases = [(missing, False), (broken, True), (OSError("no sockets left"), True), (UnicodeError("no codec"), True)]

    async def ask(answer: Exception, transient: bool) -> None:
        resolver, clock = _Resolver(answer, ["8.8.8.8"]), _Clock()
        book = AddressBook(FetchSettings(), resolver, clock)
        for _ in range(2):
            with pytest.raises(FetchFaultError) as failed:
                await book.addresses("a.test")
            assert (failed.value.error, failed.value.transient) == (ErrorClass.DNS, transient)
        clock.now = 2.0  # a failure of the resolver is soon forgotten, a missing name is not
        if transient:
            assert await book.addresses("a.test") == ["8.8.8.8"]
        else:
            with pytest.raises(FetchFaultError):
                await book.addresses("a.test")
        book.close()

    for answer, transient in cases:
        asyncio.run(ask(answer, transient))


def test_a_resolver_that_hangs_is_given_up_and_not_waited_for() -> None:
    answered = threading.Event()

    def lookup(host: str) -> Sequence[str]:
        answered.wait(5)
        return ["8.8.8.8"]

    async def ask() -> None:
        book = AddressBook(FetchSettings(dns_timeout_s=0.1), lookup)
        with pytest.raises(FetchFaultError, match="too slow"):
            await book.addresses("a.test")
        book.close()

    begun = time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - begun < 2.0
    answered.set()


def test_ranges_can_be_allowed() -> None:
    private, other = ipaddress.ip_address("10.1.2.3"), ipaddress.ip_address("10.2.0.1")
    book = AddressBook(FetchSettings(allowed_networks=["10.1.0.0/16", "fd00::/8"]))
    book.check(private)
    book.check(ipaddress.ip_address("fd00::1"))
    with pytest.raises(FetchFaultError, match=r"10\.2\.0\.1 is not a public"):
        book.check(other)
    AddressBook(FetchSettings(allow_private_addresses=True)).check(other)
