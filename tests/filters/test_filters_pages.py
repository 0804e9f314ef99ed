"""Verdicts on pages and media: what refuses a row, and what is counted where several filters would."""

import hashlib
import itertools
import pickle

import pyarrow as pa
import pytest
from filter_rows import candidates, site_rules
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl.site_rules import SiteRules, parse_rules
from curation.filters import CandidateFilters, hosts
from curation.recipe.filters import Consent, Domains, Filters

HOSTS = ["a.example", "www.a.example", "b.example", "xa.example", "example", "b.example:8080", "deep.www.a.example"]
URLS = [f"https://{host}{path}" for host in HOSTS for path in ("/", "/a.jpg", "/p/b.png?x=1", "/p/B.jpg#frag")]
ROBOTS = ["noindex", "noai", "noimageai", "none", "ccbot: noindex", "otherbot: noai", "max-snippet: 20", "index"]
LICENCES = [None, "CC-BY-4.0", "CC-BY-SA-4.0", "MIT"]
RULES = [
    ("a.example", "robots.txt", "User-agent: *\nDisallow: /p/"),
    ("a.example", "robots.txt", "User-agent: *\nDisallow: /a.jpg"),
    ("b.example", "robots.txt", "User-agent: ccbot\nDisallow:\nUser-agent: *\nDisallow: /"),
    ("b.example:8080", "ai.txt", "User-agent: *\nDisallow: *.jpg"),
    ("www.a.example", "ai.txt", "User-agent: *\nDisallow: /p/"),
]

rows = st.fixed_dictionaries(
    {
        "media_url": st.sampled_from([*URLS, "data:image/png;base64,AA", ""]),
        "page_url": st.sampled_from([*URLS, None]),
        "robots": st.lists(st.sampled_from(ROBOTS), max_size=3),
        "modality": st.sampled_from(["image", "video", "audio"]),
        "licence": st.sampled_from(LICENCES),
    }
)
items = st.lists(
    st.one_of(
        st.sampled_from([*HOSTS[:5], "A.Example.", "*.b.example"]).filter(lambda host: "." in host),
        st.sampled_from(URLS).map(lambda url: url.replace("https://a.", "HTTPS://A.")),
        st.tuples(st.sampled_from(["md5", "sha1", "sha256"]), st.sampled_from(URLS)).map(
            lambda pair: hashlib.new(pair[0], pair[1].encode()).hexdigest().upper()
        ),
        st.sampled_from(URLS).map(lambda url: hashlib.sha224(url.encode()).hexdigest()[:24]),
    ),
    max_size=3,
)


def host_of(url):
    return url.split("/")[2] if url and "://" in url else None


def lies_on(url, domain):
    host = (host_of(url) or "").split(":")[0]
    domain = domain.lower().strip("*.")
    return host == domain or host.endswith("." + domain)


def named(item, row):
    urls = [url for url in (row["media_url"], row["page_url"]) if url is not None]
    if "://" in item:
        scheme, _, rest = item.split("#")[0].partition("://")
        host, _, path = rest.partition("/")
        return f"{scheme.lower()}://{host.lower()}/{path}" in [url.split("#")[0] for url in urls]
    if "." in item:
        return any(lies_on(url, item) for url in urls)
    if len(item) == 24:
        return hashlib.sha224(row["media_url"].encode()).hexdigest()[:24] == item
    kind = {32: "md5", 40: "sha1", 64: "sha256"}[len(item)]
    forms = {form for url in urls for form in (url, url.split("#")[0])}
    return item.lower() in {hashlib.new(kind, form.encode()).hexdigest() for form in forms}


def directive(row, refuse, agents):
    said = {name.partition(": ")[2] if name.partition(": ")[0] in agents else name for name in row["robots"]}
    for name in refuse:
        if name in said and (row["modality"] == "image" or name not in ("noimageai", "noimageindex")):
            return name
    return None


def refuses(kind, host, url, agents):
    if host is None or url is None or "://" not in url:
        return False
    path = "/" + url.split("#")[0].split("/", 3)[3]
    files = [content for where, what, content in RULES if (where, what) == (host, kind)]
    return any(not SiteRules(parse_rules(content.encode()), agents).allows(path) for content in files)


def defined(row, recipe, lists):
    """What the verdict has to be, one row at a time."""
    media, page = row["media_url"], row["page_url"]
    agents = recipe.consent.agents
    for name, content in sorted(lists.items()):
        if any(named(item, row) for item in content):
            return f"refused:{name}"
    if found := directive(row, recipe.consent.refuse, agents):
        return f"consent:{found}"
    if refuses("robots.txt", host_of(media), media, agents):
        return "consent:robots.txt"
    ai = [(host_of(media), media), (host_of(page), page), (host_of(page), media)]
    if any(refuses("ai.txt", host, url, agents) for host, url in ai):
        return "consent:ai.txt"
    if recipe.licences and not (row["licence"] or "").startswith(("CC-BY-4", "CC-BY-3")):
        return "licence"
    allow, deny = recipe.domains.allow, recipe.domains.deny
    on = lambda domains: any(lies_on(url, domain) for url in (media, page) for domain in domains)  # noqa: E731
    return "domain" if on(deny) or (allow is not None and not on(allow)) else None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(rows, max_size=8),
    st.dictionaries(st.sampled_from(["first", "second", "third"]), items, max_size=3),
    st.fixed_dictionaries(
        {
            "licences": st.sampled_from([None, ["CC-BY"]]),
            "consent": st.builds(
                Consent,
                refuse=st.sampled_from([Consent().refuse, [], ["noindex", "noai"]]),
                agents=st.sampled_from([["ccbot"], [], ["curation", "CCBot"]]),
            ),
            "domains": st.builds(
                Domains,
                allow=st.sampled_from([None, ["a.example"], [".example"]]),
                deny=st.sampled_from([[], ["www.a.example"], ["B.example", "xa.example"]]),
            ),
        }
    ),
)
def test_equals_the_definition_row_by_row(tmp_path_factory, batch, lists, sections):
    folder = tmp_path_factory.mktemp("lists")
    for name, content in lists.items():
        (folder / f"{name}.txt").write_text("# refused\n\n" + "\n".join(content))
    recipe = Filters(refusals=[str(folder)] if lists else [], **sections)
    filters = CandidateFilters(recipe)
    rules = site_rules(*RULES)
    expected = [defined(row, recipe, lists) for row in batch]
    assert filters.page_verdicts(candidates(batch), rules).to_pylist() == expected
    padded = candidates([{"robots": ["noai"]}, *batch, {}]).slice(1, len(batch))
    assert filters.page_verdicts(padded, rules).to_pylist() == expected


def verdict(recipe, rules=None, **row):
    [found] = CandidateFilters(recipe).page_verdicts(candidates([row]), rules).to_pylist()
    return found


def test_everything_at_once_is_counted_for_the_first_and_so_on(tmp_path):
    (tmp_path / "stop.txt").write_text("m.example\n")
    rules = site_rules(
        ("m.example", "robots.txt", "User-agent: *\nDisallow: /"), ("m.example", "ai.txt", "User-agent: *\nDisallow: /")
    )
    recipe = Filters(refusals=[str(tmp_path)], licences=["CC"], domains=Domains(deny=["m.example"]))
    row = {"media_url": "https://m.example/a.jpg", "robots": ["noindex", "noai"]}
    order = []
    for update in (
        {"refusals": []},
        {"consent": Consent(refuse=["noindex"])},
        {"consent": Consent(refuse=[])},
        {"consent": Consent(refuse=[], site_rules=False)},
        {"licences": None},
        {"domains": Domains()},
    ):
        order.append(verdict(recipe, rules, **row))
        recipe = recipe.model_copy(update=update)
    order.append(verdict(recipe, rules, **row))
    assert order == [
        *("refused:stop", "consent:noai", "consent:noindex", "consent:robots.txt", "licence", "domain"), None
    ]  # fmt: skip
    without = site_rules(("m.example", "ai.txt", "User-agent: *\nDisallow: /"))
    assert verdict(Filters(), without, media_url=row["media_url"]) == "consent:ai.txt"


@pytest.mark.parametrize("name", Consent().refuse)
@pytest.mark.parametrize("modality", ["image", "video", "audio"])
def test_each_directive_by_default(name, modality):
    of_others = modality != "image" and name in ("noimageai", "noimageindex")
    assert verdict(Filters(), robots=[name], modality=modality) == (None if of_others else f"consent:{name}")
    assert verdict(Filters(consent=Consent(refuse=[])), robots=[name], modality=modality) is None


def test_agents():
    for robots, expected in [
        (["ccbot: noindex"], "consent:noindex"),
        (["curation: none"], "consent:none"),
        (["googlebot: noindex"], None),
        (["max-image-preview: none", "unavailable_after: 25 jun 2010, 15:00:00 pst"], None),
        (["noindex: ccbot", ": noai", "ccbot:", "ccbot"], None),
    ]:
        assert verdict(Filters(), robots=robots) == expected
    assert verdict(Filters(consent=Consent(agents=["GoogleBot"])), robots=["googlebot: noai"]) == "consent:noai"


def test_site_rules_of_a_page_reach_media_elsewhere_only_through_ai_txt():
    nothing = "User-agent: *\nDisallow: /"
    pictures = "User-agent: *\nDisallow: *.jpg\nAllow: /"
    row = {"media_url": "https://cdn.example/x/a.jpg?w=3", "page_url": "https://p.example/about"}
    assert verdict(Filters(), site_rules(("p.example", "robots.txt", nothing)), **row) is None
    assert verdict(Filters(), site_rules(("p.example", "ai.txt", nothing)), **row) == "consent:ai.txt"
    assert verdict(Filters(), site_rules(("p.example", "ai.txt", pictures)), **row) == "consent:ai.txt"
    assert verdict(Filters(), site_rules(("p.example", "ai.txt", "User-agent: *\nDisallow: *.mp4")), **row) is None
    assert verdict(Filters(), site_rules(("cdn.example", "robots.txt", pictures)), **row) == "consent:robots.txt"
    assert verdict(Filters(), site_rules(("cdn.example", "ai.txt", pictures)), **row) == "consent:ai.txt"
    assert verdict(Filters(), site_rules(("p.example", "ai.txt", nothing)), media_url=row["media_url"]) is None
    off = Filters(consent=Consent(site_rules=False))
    assert verdict(off, site_rules(("cdn.example", "robots.txt", nothing)), **row) is None


def test_of_several_files_of_a_host_one_refusal_is_enough_in_any_order():
    files = [
        ("m.example", "robots.txt", "User-agent: *\nAllow: /\n"),
        ("m.example", "robots.txt", "User-agent: *\nDisallow: /a"),
        ("m.example", "robots.txt", "User-agent: *\nAllow: /a.jpg"),
    ]
    for order in itertools.permutations(files):
        assert verdict(Filters(), site_rules(*order), media_url="https://m.example/a.jpg") == "consent:robots.txt"
        assert verdict(Filters(), site_rules(*order), media_url="https://m.example/b.jpg") is None


def test_hosts_are_those_of_media_and_pages_once():
    batch = candidates(
        [
            {"media_url": "https://user:pw@M.example:443/a.jpg", "page_url": "http://p.example:8080?q"},
            {"media_url": "https://m.example/b.jpg", "page_url": None},
            {"media_url": "HTTP://[::1]/b.jpg", "page_url": "https://m.example#x"},
            {"media_url": "data:,", "page_url": "https:///nothing"},
            {"media_url": "https://evil.example\\@good.example/", "page_url": f"https://{'a.' * 400}example/"},
            {"media_url": "http://bad.example:99999/", "page_url": "https://[/"},
        ]
    )
    assert sorted(hosts(batch).to_pylist()) == ["::1", "evil.example", "m.example", "p.example:8080"]
    assert hosts(batch.slice(0, 0)).to_pylist() == []


def test_urls_are_compared_in_one_form(tmp_path):
    (tmp_path / "l.txt").write_text("HTTPS://M.Example/A.jpg#x\nhttp://bare.example\nhttp://q.example?x\n")
    recipe = Filters(refusals=[str(tmp_path)])
    refused = [
        "https://m.example/A.jpg",
        "https://M.EXAMPLE/A.jpg#other",
        "http://bare.example/",
        "http://q.example/?x",
    ]
    kept = ["https://m.example/a.jpg", "http://m.example/A.jpg", "https://m.example/A.jpg?", "http://bare.example/x"]
    found = CandidateFilters(recipe).page_verdicts(candidates([{"media_url": url} for url in refused + kept]))
    assert found.to_pylist() == ["refused:l"] * 4 + [None] * 4
    assert verdict(recipe, media_url="https://x.example/", page_url=refused[0]) == "refused:l"


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("form", ["https://M.example/a.jpg#x", "https://m.example/a.jpg"])
def test_a_digest_is_of_the_url_as_it_is_or_in_the_one_form(tmp_path, kind, form):
    (tmp_path / "l.txt").write_text(hashlib.new(kind, form.encode()).hexdigest())
    recipe = Filters(refusals=[str(tmp_path)])
    assert verdict(recipe, media_url="https://M.example/a.jpg#x") == "refused:l"
    assert verdict(recipe, media_url="https://m.example/b.jpg", page_url="https://M.example/a.jpg#x") == "refused:l"
    assert verdict(recipe, media_url="https://m.example/b.jpg") is None


def test_a_media_id_is_the_candidate_s_own(tmp_path):
    (tmp_path / "l.txt").write_text("0123456789abcdef01234567\n")
    assert verdict(Filters(refusals=[str(tmp_path)]), media_id="0123456789abcdef01234567") == "refused:l"
    assert verdict(Filters(refusals=[str(tmp_path)])) is None


def test_domains_beyond_ascii_and_with_a_dot_at_the_end():
    recipe = Filters(domains=Domains(deny=["bücher.example", "xn--mller-kva.example", "EXAMPLE.org."]))
    for url in ("http://Bücher.example/a", "http://xn--bcher-kva.example/a", "http://www.müller.example:81/",
                "https://img.example.org./x"):  # fmt: skip
        assert verdict(recipe, media_url=url) == "domain"
    assert verdict(recipe, media_url="https://example.org.evil.example/") is None
    assert verdict(recipe, media_url="https://a.example/", page_url="https://example.org/") == "domain"


def test_an_allow_list_takes_what_lies_or_is_linked_there():
    recipe = Filters(domains=Domains(allow=["a.example"]))
    assert verdict(recipe, media_url="https://x.example/", page_url="https://www.a.example/p") is None
    assert verdict(recipe, media_url="https://a.example/") is None
    assert verdict(recipe, media_url="https://x.example/") == "domain"
    assert verdict(recipe, media_url="https://nota.example/", page_url="https://x.example/") == "domain"


def test_with_licences_a_row_without_one_is_refused():
    recipe = Filters(licences=["CC"])
    assert verdict(recipe) == "licence"
    assert verdict(recipe, licence="MIT") == "licence"
    assert verdict(recipe, licence="CC0-1.0") is None
    assert verdict(Filters(), licence="MIT") is None


def test_no_rows_and_settings_that_travel():
    recipe = Filters(licences=["CC"], domains=Domains(deny=["a.example"]))
    found = CandidateFilters(pickle.loads(pickle.dumps(recipe))).page_verdicts(candidates([]), site_rules(*RULES))
    assert (found.type, len(found)) == (pa.string(), 0)
    again = Filters.model_validate_json(recipe.model_dump_json())
    assert again == recipe


def test_hostile_rows_take_linear_time():
    urls = [
        "https://" + "a." * 100_000 + "example/", "https://" + "ü" * 100_000 + ".example/", "https://" + "@" * 100_000,
        "https://a.example/" + "*" * 100_000, "https://a.example" + "#" * 100_000, "x" * 100_000, "https://\x00/\x00",
    ]  # fmt: skip
    recipe = Filters(domains=Domains(deny=["a.example"]))
    rules = site_rules(("a.example", "robots.txt", "User-agent: *\nDisallow: /*a*b*c*d$"))
    robots = [["n" * 100_000, "\x00", "", ":::", "ccbot:" * 1000]]
    batch = candidates([{"media_url": url, "page_url": url, "robots": robots[0]} for url in urls])
    found = CandidateFilters(recipe).page_verdicts(batch, rules).to_pylist()
    assert found == [None, None, None, "domain", "domain", None, None]
