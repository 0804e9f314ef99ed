"""Texts in which every entry ends everywhere: memory follows the answer, not the matches."""

import json
import subprocess
import sys

import pytest

# Peak growth in KiB of each case, and whether every text has every entry. In a process of its own: peaks never fall.
MEASURE = """
import json, resource
import pyarrow as pa
from curation.concepts import Matcher, Vocabulary

words = [" ".join(["a"] * n) for n in range(1, 257)]
characters = ["中" * n for n in range(1, 257)]
long = ["中" * n for n in range(257, 1200, 5)]
cases = {
    "long in one text": (long, ["中" * 20_000]),
    "long in texts": (long, ["中" * 2_000] * 15),
    "words in one text": (words, ["a " * 100_000]),
    "words in texts": (words, ["a " * 1_000] * 100),
    "characters in one text": (characters, ["中" * 100_000]),
    "characters in texts": (characters, ["中" * 1_000] * 100),
}
measured = {}
for name, (entries, texts) in cases.items():
    matching = Matcher(Vocabulary.from_entries(entries, definition="v2"), cache=False)
    matching.match(pa.array(["a", "中"]))  # compiled now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = matching.match(pa.array(texts))
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    measured[name] = growth, found.to_pylist() == [list(range(len(entries)))] * len(texts)
print(json.dumps(measured))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
@pytest.mark.slow
def test_memory_follows_the_answer():
    """Kept until the end, these 4 million (long) and 26 million matches would take 60 and 100 MB at least."""
    answer = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, timeout=100)
    measured = json.loads(answer.stdout)
    assert len(measured) == 6
    assert [name for name, (_, right) in measured.items() if not right] == []
    assert {name: growth for name, (growth, _) in measured.items() if growth > 40_000} == {}
