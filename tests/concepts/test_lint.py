"""The linter: exactly the entries that no text can hold, equal entries, entries that hit most."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.concepts import Matcher, Vocabulary, pad, prepare
from curation.concepts.lint import count_hits, lint, never_matches
from curation.concepts.options import PLAIN, MatchOptions

OPTIONS = [PLAIN, MatchOptions(spaced_entries=True), MatchOptions(nfc=True, case_fold=True, no_space_kana=True)]
pieces = st.text(alphabet=" ,.!\ta猫ねé#", max_size=6)


def text_for(form):
    """A text that holds this padded form, if any does: without the spaces that preparing adds."""
    for mark in ",.;:?!`":
        form = form.replace(f" {mark} ", mark)
    return f"猫{form}猫"


@settings(max_examples=500)
@given(pieces, st.sampled_from(["v1", "v2"]), st.sampled_from(OPTIONS))
def test_an_entry_is_unreachable_exactly_if_no_text_holds_it(entry, definition, options):
    form = pad(entry, definition, options)
    candidates = [text_for(form), form, entry, text_for(f" {form} ")]
    held = any(form in prepare(text, definition, options) for text in candidates)
    assert (never_matches(entry, definition, options) is None) == held


@pytest.mark.parametrize("definition", ["v1", "v2"])
@pytest.mark.slow
def test_unreachable_entries_are_in_no_random_text(definition):
    chance = random.Random(5)
    entries = ["".join(chance.choices(" ,.a\t猫", k=chance.randint(0, 4))) for _ in range(300)]
    unreachable = {
        finding.entry_id for finding in lint(Vocabulary.from_entries(entries, definition=definition)).unreachable
    }
    texts = ["".join(chance.choices(" ,.a\t猫", k=20)) for _ in range(2000)]
    found = set(
        Matcher(Vocabulary.from_entries(entries, definition=definition)).match(pa.array(texts)).flatten().to_pylist()
    )
    assert 20 < len(unreachable) < 280
    assert not unreachable & found


def test_report():
    entries = [
        "cat",
        "St. Louis",
        "Cat",
        "x",
        "cafe\u0301",
        "café",
        "a\tb",
        "y" * 257,
        "y" * 256,
        ". ,",
        "?",
        "St .  Louis",
    ]
    report = lint(Vocabulary.from_entries(entries))
    assert report.entries == 12
    assert [(finding.entry_id, finding.entry) for finding in report.unreachable] == [
        (1, "St. Louis"), (6, "a\tb"), (9, ". ,"),
    ]  # fmt: skip
    assert "beside another character" in report.unreachable[0].reason
    assert "becomes a space" in report.unreachable[1].reason
    assert "two spaces" in report.unreachable[2].reason
    assert {finding.found_with for finding in report.unreachable} == {("spaced_entries",)}
    assert report.duplicates == [[0, 2], [4, 5]]
    assert report.single_characters == [3, 10]
    assert report.long == [7]
    assert lint(Vocabulary.from_entries(entries), MatchOptions(spaced_entries=True)).unreachable == []


def test_entries_that_differ_only_in_blanks_are_duplicates():
    assert lint(Vocabulary.from_entries(["a b", "A\tb", "a  b"])).duplicates == [[0, 1]]


@pytest.mark.parametrize(
    ("entry", "options", "found_with"),
    [
        ("St. Louis", MatchOptions(nfc=True), ("spaced_entries",)),
        ("what\u037e no", PLAIN, None),  # the Greek question mark is no spaced mark,
        ("what\u037e no", MatchOptions(nfc=True), ("spaced_entries",)),  # but NFC makes a semicolon of it
        ("a\rb", MatchOptions(spaced_entries=True), None),
    ],
)
def test_what_makes_an_entry_findable(entry, options, found_with):
    findings = lint(Vocabulary.from_entries([entry]), options).unreachable
    assert [finding.found_with for finding in findings] == ([] if found_with is None else [found_with])


@given(
    st.lists(st.text(alphabet="ab .", max_size=3), min_size=1, max_size=8),
    st.lists(st.lists(st.none() | st.text(alphabet="ab .", max_size=8), max_size=6), max_size=5),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_hits_are_those_of_the_definition_however_the_texts_are_batched(entries, batches, shown, examples):
    report = count_hits(
        Vocabulary.from_entries(entries),
        (pa.array(batch, pa.string()) for batch in batches), shown=shown, examples=examples
    )  # fmt: skip
    texts = [text for batch in batches for text in batch if text is not None]
    held = [[text for text in texts if pad(entry, "v1") in prepare(text, "v1")] for entry in entries]
    without = [text for text in texts if all(text not in some for some in held)]
    assert (report.texts, report.matched) == (len(texts), len(texts) - len(without))
    assert report.entries_hit == sum(map(bool, held))
    assert report.unmatched == without[:shown]
    assert report.counts.tolist() == [len(some) for some in held]
    ranked = sorted((at for at in range(len(entries)) if held[at]), key=lambda at: -len(held[at]))
    assert [(hit.entry_id, hit.texts) for hit in report.most] == [(at, len(held[at])) for at in ranked[:shown]]
    for hit in report.most:
        assert hit.share == hit.texts / len(texts)
        assert 1 <= len(hit.examples) <= examples
        assert not set(hit.examples) - set(held[hit.entry_id])


def test_the_most_hit_entries():
    batches = [pa.array(["a cat", None, "a dog a dog"]), pa.array(["a cat sat", "nothing"])]
    report = count_hits(Vocabulary.from_entries(["dog", "cat", "unicorn", "a"]), batches, shown=3, examples=2)
    assert [(hit.entry_id, hit.entry, hit.texts, hit.share) for hit in report.most] == [
        (3, "a", 3, 0.75), (1, "cat", 2, 0.5), (0, "dog", 1, 0.25),
    ]  # fmt: skip
    assert report.most[0].examples == ["a cat", "a dog a dog"]
    assert report.most[1].examples == ["a cat", "a cat sat"]
    assert report.unmatched == ["nothing"]


def test_an_entry_that_rises_late_has_an_example():
    batches = [pa.array(["dog"] * 3), pa.array(["cat"] * 2), pa.array(["dog", "cat", "cat", "big cat"])]
    (hit,) = count_hits(Vocabulary.from_entries(["dog", "cat"]), batches, shown=1, examples=9).most
    assert (hit.entry, hit.texts, hit.examples) == ("cat", 5, ["cat", "cat", "big cat"])


@pytest.mark.parametrize("batches", [[], [pa.array([], pa.string())], [pa.nulls(3)], [pa.array(["nothing"])]])
def test_hits_of_nothing(batches):
    report = count_hits(Vocabulary.from_entries(["dog"]), batches)
    assert (report.most, report.counts.tolist(), report.matched) == ([], [0], 0)


def test_lint_of_a_real_vocabulary(real_data):
    report = lint(Vocabulary.load(str(real_data / "vocab" / "union_real_vocab.tsv.gz"), "en"))
    assert report.entries == 442_176
    assert 1000 < len(report.unreachable) < 20_000
    assert len(report.duplicates) > 3_000
