"""captions by models behind a server: what is asked, what becomes of it, and what is never asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults_captions import (
    SHOTS,
    CaptionWeb,
    Outcomes,
    Told,
    are_lawful,
    caption_web,
    captions_of,
    served,
    teacher,
    texts_of,
    two_shots,
)
from faults_films import executed, rows

from curation.errors import RecipeError, StageError
from curation.testing.caption_server import CaptionServer, Question

ALT = {"source": "alt"}
COUNT = 8
_ASKED = (("requests", "first"), ("requests", "second"), ("replayed", "m"))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    with caption_web(tmp_path_factory.mktemp("web"), two_shots(tmp_path_factory.mktemp("films"))) as started:
        yield started


@pytest.fixture
def server() -> Iterator[CaptionServer]:
    with CaptionServer(slots=4, answer=Told()) as started:
        yield started


def told(web: CaptionWeb, count: int = COUNT) -> list[tuple[str, str]]:
    return [(web.picture(number), f"a {('dog', 'cat')[number % 2]} by the way, {number}") for number in range(count)]


def asked(server: CaptionServer) -> list[Question]:
    """What was asked, in order."""
    assert isinstance(server.answer, Told)
    return server.answer.asked


def recipe(web: CaptionWeb, server: CaptionServer, *captioners: Any, count: int = COUNT, **more: Any) -> Path:
    """A recipe over so many pictures; model m is the server's."""
    sections = {name: more.pop(name) for name in ("films", "clips", "name", "duplicates") if name in more}
    models = {"m": served(server, **more.pop("model", {}))}
    captions = {"captioners": list(captioners), "models": models, **more}
    return web.recipe(told(web, count), sections.pop("films", ()), captions, **sections)


def alts(outcomes: Outcomes, work: Path) -> dict[str, str]:
    return {sample: own[0][1] for sample, own in texts_of(outcomes, work, "alt").items()}


# ----------------------------------------------------------------------------------------------- what is asked


def test_prompts_hold_the_words_of_before(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    first = teacher("first", tmp_path, prompts={"detailed": "See. People say: {alt}"})
    second = teacher("second", tmp_path, frames=0, prompts={
        "brief": "Alt {alt} first {first} detailed {first.detailed} short {first.short}", "other": "Title {title}"
    })  # fmt: skip
    outcomes = executed(recipe(web, server, ALT, first, second), tmp_path / "work")
    alt = alts(outcomes, tmp_path / "work")
    one, two = (texts_of(outcomes, tmp_path / "work", name) for name in ("first", "second"))
    assert len(alt) == COUNT
    for sample, words in alt.items():
        said = f'A dog says 1 and: See. People say: "{words}"'
        assert one[sample] == [("detailed", said), ("short", "A dog says 1 and: See")]
        quoted = said.replace('"', "'")
        assert two[sample] == [
            ("brief", f'A dog says 0 and: Alt "{words}" first "{quoted} A dog says 1 and: See" detailed "{quoted}" '
                      'short "A dog says 1 and: See"')
        ]  # fmt: skip
    are_lawful(outcomes, tmp_path / "work", ["alt", "first", "second"])
    counts = outcomes["captions"].manifest.counts
    assert [counts[f"{what}:{name}"] for what, name in _ASKED] == [COUNT, COUNT, 0]
    pictures = [question.pictures for question in asked(server) if question.pictures]
    assert all(each[0].startswith("data:image/jpeg;base64,") for each in pictures)
    assert len(set(pictures)) == COUNT


def test_words_of_later_captioners_are_none_of_a_prompt(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    first = teacher("first", tmp_path, prompts={"brief": "{second} {alt}"})
    second = teacher("second", tmp_path, prompts={"brief": "{first}"})
    with pytest.raises(RecipeError, match="second}, which nothing fills in"):
        executed(recipe(web, server, ALT, first, second), tmp_path / "work")
    assert len(server.log) == 0


@pytest.mark.slow
def test_modalities_and_clips(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    films = [{"url": web.film(name), "caption": "a car"} for name in ("dog.mp4", "cat.mp4")]
    images = teacher("images", modalities=["image"])
    videos = teacher("videos", tmp_path, modalities=["video"], frames=3, prompts={"brief": "From {start} to {end}."})
    made = recipe(web, server, images, videos, count=3, films=films, **SHOTS)
    outcomes = executed(made, tmp_path / "work")
    are_lawful(outcomes, tmp_path / "work", [], ["images", "videos"])
    statuses = Counter((row["modality"], row["captioner"], row["kind"], row["status"])
                       for row in rows(outcomes, tmp_path / "work", "captions"))  # fmt: skip
    assert statuses == {
        ("image", "images", "brief", "ok"): 3, ("image", "images", "detailed", "ok"): 3,
        ("image", "images", "short", "ok"): 3, ("video", "videos", "brief", "ok"): 4,
    }  # fmt: skip
    said = {own[0][1] for own in texts_of(outcomes, tmp_path / "work", "videos").values() if own}
    assert said == {"A dog says 3 and: From 0.0 to 1.7.", "A dog says 3 and: From 2.5 to 4.5."}
    assert len(asked(server)) == 2 * 3 + 4
    executed(made, tmp_path / "work")
    assert len(asked(server)) == 2 * 3 + 4


def test_a_transcript_stands_for_subtitles(web: CaptionWeb, tmp_path: Path) -> None:
    """What one captioner hears, another one reads; the clip's own sound is heard."""

    def answer(question: Question) -> str:
        return f"A reader: {question.texts[0]}" if question.texts else "one two three four"

    with CaptionServer(answer=answer) as server:
        listener = teacher("listener", strategy="transcribe")
        reader = teacher("reader", tmp_path, frames=0, prompts={"brief": "At {start} it is said: {subtitles}"})
        films = [{"url": web.film("dog.mp4"), "caption": "a car"}]
        made = web.recipe([], films, {"captioners": [listener, reader], "models": {"m": served(server)}}, **SHOTS)
        outcomes = executed(made, tmp_path / "work")
        assert len(server.log) == 4
        executed(made, tmp_path / "work")
        assert len(server.log) == 4
    are_lawful(outcomes, tmp_path / "work", ["listener", "reader"])
    spoken = captions_of(outcomes, tmp_path / "work", "listener")
    assert len(spoken) == 2
    for sample, own in spoken.items():
        length = int(sample.split("-")[2]) - int(sample.split("-")[1])
        assert {row["kind"] for row in own} == {"transcript"}
        assert all(0 <= row["start_ms"] < row["end_ms"] <= length for row in own)
    read = {sample: own[0][1] for sample, own in texts_of(outcomes, tmp_path / "work", "reader").items()}
    assert sorted(read.values()) == [f'A reader: At {start} it is said: "one two three four"' for start in (0.0, 2.5)]
    counts = outcomes["captions"].manifest.counts
    assert (counts["requests:listener"], counts["requests:reader"]) == (2, 2), "one name, heard and read"


# ------------------------------------------------------------------------------------- what is never asked again


def changed(outcomes: Outcomes) -> dict[str, int]:
    return {name: each.units_done for name, each in outcomes.items() if each.units_done}


@pytest.mark.slow
def test_only_what_is_new_is_asked(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    """One folder through the changes of its recipe; `new` tells what each one asks for."""
    work, since = tmp_path / "work", [0]

    def new() -> Counter[str]:
        begins = Counter(question.texts[0].split()[0] for question in asked(server)[since[0] :])
        since[0] = len(asked(server))
        return begins

    one = teacher("one", tmp_path, prompts={"brief": "One {alt}"})
    two = teacher("two", tmp_path, prompts={"brief": "Two {one}"})
    three = teacher("three", tmp_path, prompts={"brief": "Three words."})
    made = recipe(web, server, ALT, one, two)
    first = executed(made, work)
    assert new() == {"One": COUNT, "Two": COUNT}
    assert changed(executed(made, work)) == {}
    assert new() == {}
    executed(recipe(web, server, ALT, one, two, three), work)
    assert new() == {"Three": COUNT}, "an added captioner asks for itself alone"
    executed(recipe(web, server, ALT, one, three), work)
    again = executed(recipe(web, server, three, ALT, one, two), work)
    assert new() == {}, "neither a removed one nor one that is there again, nor their order"
    assert texts_of(again, work, "two") == texts_of(first, work, "two")
    changed_one = teacher("one", tmp_path, prompts={"brief": "One, {alt}"})
    executed(recipe(web, server, ALT, changed_one, two, three), work)
    assert new() == {"One,": COUNT, "Two": COUNT}, "a changed prompt, and who uses its words"
    executed(recipe(web, server, ALT, changed_one, two, three, count=COUNT + 2), work)
    assert new() == {"One,": 2, "Two": 2, "Three": 2}, "more samples"
    executed(recipe(web, server, ALT, changed_one, two, three, count=COUNT - 2), work)
    assert new() == {}, "fewer samples"
    sent = recipe(web, server, ALT, teacher("one", tmp_path, prompts={"brief": "One {alt}"}), two, three)
    executed(sent, work)
    assert new() == {}, "the first prompt again"
    with pytest.raises(StageError, match="it does not know the model"):
        executed(sent, work, "captions.models.m.model=other")
    assert new() == {}


def test_another_model_is_asked_anew_and_another_place_of_it_is_not(web: CaptionWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with CaptionServer(answer=Told()) as here, CaptionServer(answer=Told(), model="better") as there:
        executed(recipe(web, here, teacher("t")), work)
        same = CaptionServer(answer=Told())
        with same:
            executed(recipe(web, same, teacher("t"), model={"slots": 3, "seconds": 9.0, "price_in": 1.0}), work)
            assert len(same.log) == 0
        outcomes = executed(recipe(web, there, teacher("t")), work)
        assert len(there.log) == 2 * COUNT
        assert {row["model"] for row in rows(outcomes, work, "captions")} == {"better"}
        executed(recipe(web, here, teacher("t")), work)
        assert len(here.log) == 2 * COUNT, "the first one's answers are there"


@pytest.mark.parametrize("override", [
    "captions.choose.order=[teacher.brief, alt]", "captions.balance={t: 2}", "captions.choose.rule=order",
    "balance.t=900000", "captions.similarity=null",
])  # fmt: skip
@pytest.mark.slow
def test_a_choice_asks_nothing(web: CaptionWeb, server: CaptionServer, tmp_path: Path, override: str) -> None:
    made = recipe(web, server, ALT, teacher("teacher"))
    executed(made, tmp_path / "work")
    since = len(server.log)
    done = changed(executed(made, tmp_path / "work", override))
    assert len(server.log) == since
    assert "captions" not in done


def test_another_vocabulary_or_seed_asks_nothing(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    made = recipe(web, server, ALT, teacher("teacher"))
    executed(made, tmp_path / "work")
    (tmp_path / "more.txt").write_text("dog\ncat\nway\nsays")
    since = len(server.log)
    other = f"match.vocabularies={{en: {tmp_path / 'more.txt'}}}"
    outcomes = executed(made, tmp_path / "work", other, "draw.seed=7")
    assert len(server.log) == since
    assert outcomes["chosen_captions"].manifest.counts["entry_matches:teacher.brief"] == 2 * COUNT


def test_a_prompt_is_its_text_and_not_its_file(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    """A recipe that moves with its prompts to another folder asks nothing again."""
    (tmp_path / "moved").mkdir()
    for folder in (tmp_path, tmp_path / "moved"):
        executed(recipe(web, server, ALT, teacher("one", folder, prompts={"brief": "One {alt}"})), tmp_path / "work")
    assert len(server.log) == COUNT


def test_other_pixels_are_asked_for_anew(web: CaptionWeb, server: CaptionServer, tmp_path: Path) -> None:
    """The same media stored in another size."""
    made = recipe(web, server, teacher("t", tmp_path, prompts={"brief": "See."}))
    executed(made, tmp_path / "work")
    executed(made, tmp_path / "work", "fetch.image.image_size=24")
    assert len(server.log) == 2 * COUNT
