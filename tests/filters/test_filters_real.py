"""Real pages: the default filters refuse exactly the rows whose page says so, and little else of a crawl."""

from pathlib import Path

import pytest

from curation.crawl import ReadLog, wat_batches
from curation.filters import CandidateFilters, hosts
from curation.recipe.filters import Consent, Filters


@pytest.fixture(scope="module")
def batches(real_data: Path):
    paths = [str(path) for path in sorted((real_data / "crawl").glob("*.wat.gz"))]
    found = [batch for path in paths for batch in wat_batches(path, ReadLog(path))]
    assert sum(batch.num_rows for batch in found) > 1000
    return found


def test_directives_of_real_pages(batches):
    filters = CandidateFilters(Filters())
    refused = 0
    for batch in batches:
        verdicts = filters.page_verdicts(batch).to_pylist()
        said = zip(batch.column("robots").to_pylist(), batch.column("modality").to_pylist(), strict=True)
        for (robots, modality), verdict in zip(said, verdicts, strict=True):
            plain = {name.removeprefix("ccbot: ").removeprefix("curation: ") for name in robots}
            plain -= set() if modality == "image" else {"noimageai", "noimageindex"}
            assert (verdict is not None) == bool(plain & set(Consent().refuse)), (robots, verdict)
            assert verdict is None or verdict.removeprefix("consent:") in plain
            refused += verdict is not None
    assert 0 < refused < sum(batch.num_rows for batch in batches) / 2


def test_hosts_of_real_pages(batches):
    for batch in batches:
        found = hosts(batch).to_pylist()
        assert len(found) == len(set(found))
        assert all(host and host == host.lower() and "/" not in host and "@" not in host for host in found)
