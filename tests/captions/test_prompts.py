"""Whatever is filled into a prompt: its own lines stay, in their order, and no tokenizer finds a special token."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.captions.prompts import HEAD_CHARS, NOTHING, QUOTE, TAIL_CHARS, Prompt
from curation.errors import RecipeError

TOKENS = (
    # ChatML, Llama, Mistral, Gemma, Phi, Qwen-VL, LLaVA, InternVL, DeepSeek, GLM, Cohere, Fuyu, BERT, T5, Florence
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    *("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>", "<|python_tag|>", "<|image|>", "[IMG]", "[IMG_BREAK]"),
    *("[TOOL_CALLS]", "[SYSTEM_PROMPT]", "<bos>", "<start_of_turn>", "<end_of_turn>", "<|image_1|>"),
    *("<|vision_start|>", "<|image_pad|>", "<|video_pad|>", "<image>", "<video>", "<IMG_CONTEXT>", "<img>", "</img>"),
    *(
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
        "<\uff5cUser\uff5c>",
        "[gMASK]",
        "<sop>",
        "<start_of_image>",
        "<|START_OF_TURN_TOKEN|>",
    ),
    *("|SPEAKER|", "|NEWLINE|", "[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>", "<extra_id_0>", "<loc_12>", "<think>"),
    *("<tool_call>", "<|assistant|>", "<0x0A>", "<audio>", "<|audio_bos|>", "<fake_token_around_image>"),
)
SIGNS = "<>[]|{}\"'\n\r\t\x00\x1b\u200b\u2028\ufeff\ud800\uff1c\ufe64\uff5c\uff3b:"
HARD = st.sampled_from([*TOKENS, *SIGNS, "> "])
WORDS = st.lists(HARD | st.text(max_size=8), max_size=12).map("".join)

TEMPLATE = """Say what is there.
Its title is {title}, from {start} s.
Its words:
{alt}
And:
{subtitles}
Answer in {{}}."""


def tokens_in(text: str) -> set[str]:
    """Also after the two ways in which tokenizers make other characters ASCII, and without what they drop."""
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    seen = [text, *forms, *(re.sub("[\u200b-\u200d\ufeff]", "", form) for form in forms)]
    return {token for token in TOKENS for form in seen if token in form}


@given(WORDS, WORDS, WORDS)
@settings(max_examples=300, deadline=None)
def test_the_own_lines_stay_and_no_special_token_is_born(title: str, alt: str, subtitles: str) -> None:
    filled = Prompt.parse(TEMPLATE).fill({"title": title, "start": "1.5", "alt": alt, "subtitles": subtitles})
    lines = filled.split("\n")
    own = [line for line in lines if not line.startswith(QUOTE)]
    assert [own[0], own[-1]] == ["Say what is there.", "Answer in {}."]
    assert own[1].startswith("Its title is ") and own[1].endswith(", from 1.5 s.")
    assert own[2:-1] in ([], ["Its words:"], ["And:"], ["Its words:", "And:"])
    assert not tokens_in(filled)
    assert filled.encode()  # no lone surrogates
    assert all(char == "\n" or unicodedata.category(char) != "Cc" for char in filled)


@given(WORDS)
def test_within_a_line_words_are_one_quotation(words: str) -> None:
    filled = Prompt.parse("a {title} z").fill({"title": words})
    assert filled == f"a {NOTHING} z" or re.fullmatch('a (?:"[^"\n]+"|[0-9][0-9.,:]*) z', filled)


@given(st.text(alphabet="abc {}\n", max_size=30))
def test_what_was_filled_in_is_no_template(words: str) -> None:
    filled = Prompt.parse("{a}\n{b}").fill({"a": words, "b": "secret"})
    assert filled.count("secret") == 1


@given(st.text(alphabet="ab{}.\n_A1 ", max_size=40))
def test_a_template_is_read_or_refused_in_words(text: str) -> None:
    try:
        prompt = Prompt.parse(text)
    except RecipeError as error:
        assert "no placeholder" in str(error)
        return
    assert set(prompt.names) == set(re.findall(r"\{([a-z][\w.]*)\}", text.replace("{{", "").replace("}}", "")))


@pytest.mark.parametrize(
    ("values", "filled"),
    [
        ({}, "Look.\nOf (none) at (none) s."),
        ({"alt": " \n\t", "title": " "}, "Look.\nOf (none) at (none) s."),
        ({"alt": "a dog\n\n  on grass "}, "Look.\nWords:\n> a dog\n> on grass\nOf (none) at (none) s."),
        ({"tags": "x, y"}, "Look.\nWords:\n> x, y\nOf (none) at (none) s."),
        ({"title": 'The "best"\nof', "start": "12.5"}, "Look.\nOf \"The 'best' of\" at 12.5 s."),
        ({"other": "not named"}, "Look.\nOf (none) at (none) s."),
    ],
)
def test_examples(values: dict[str, str], filled: str) -> None:
    """Lines that only hold what has no value vanish, and the line that announces nothing else."""
    assert Prompt.parse("Look.\nWords:\n{alt}\n {tags}\nOf {title} at {start} s.\n").fill(values) == filled


def test_names() -> None:
    prompt = Prompt.parse("{alt} {teacher} {alt} {teacher.brief} {{no}}")
    assert prompt.names == ("alt", "teacher", "teacher.brief")


@pytest.mark.parametrize("text", ["{", "a } b", "{Alt}", "{}", "{a b}", "{a.b.c}", "{{a}", "{a\n}", "{0}"])
def test_stray_braces_are_refused_with_their_line(text: str) -> None:
    with pytest.raises(RecipeError, match=r"line 2 of the prompt has .*\{name\}"):
        Prompt.parse(f"first\n{text}")


def test_long_words_keep_head_and_tail() -> None:
    filled = Prompt.parse("{alt}").fill({"alt": "b" * 10 + "x" * 10**7 + "e" * 10})
    assert len(filled) < HEAD_CHARS + TAIL_CHARS + 10
    assert filled.startswith("> bbb") and filled.endswith("eee")


@pytest.mark.parametrize("sign", ["<", "{", "|", "\n", "\ud800", "\x00", "> ", "\u2028"])
def test_a_megabyte_of_one_sign(sign: str) -> None:
    filled = Prompt.parse("a {alt}\n{alt}\nb").fill({"alt": sign * 10**6})
    assert filled.startswith("a ") and filled.endswith("\nb") and len(filled) < 6 * (HEAD_CHARS + TAIL_CHARS)
