"""What of a model's answer is a text: cleaned of what is no word of it, and refused where it answers nothing.

Everything takes time linear in the answer's length.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import Answer
from curation.captions.prompts import INVISIBLE
from curation.captions.refusals import is_refusal

REPEATS: Final = 4
REPEATED_CHARS: Final = 120
"""A text ends in repetitions where its end is the same words REPEATS times over, on REPEATED_CHARS characters."""
_TAIL_CHARS: Final = 4096
"""Of its end that is looked at."""

_BAR = "[|\uff5c]"
_TURN = re.compile(
    rf"<{_BAR}(?:im_end|im_start|endoftext|eot_id|end_of_text|eom_id|end|return|user|assistant|system|User|Assistant"
    rf"|(?:START|END)_OF_TURN_TOKEN|(?:begin|end)[_▁]of[_▁](?:turn|sentence)){_BAR}>"
    r"|</s>|<(?:end|start)_of_turn>|<end_of_utterance>|<eos>|<turn\|>|\[/?INST\]",
    re.IGNORECASE,
)
"""Tokens at which a turn is over, or another begins: what a model says after them, it says to itself."""
_SPECIAL = re.compile(
    rf"<{_BAR}[^\s<>]{{1,48}}{_BAR}>|<s>|<(?:pad|unk|bos|mask|image|video|audio)>|\[(?:PAD|UNK|CLS|SEP|BOS|EOS)\]"
)
_THOUGHT = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)


class Reply(NamedTuple):
    """A model's answer as it came. finish: refusal where the server itself calls it one."""

    text: str
    finish: Literal["stop", "length", "refusal"]
    prompt_tokens: int | None
    answer_tokens: int | None


def checked(reply: Reply) -> Answer:
    """The answer in a reply, its text cleaned. Raises CaptionFaultError: REFUSAL, ENDLESS, EMPTY."""
    text = cleaned(reply.text)
    if reply.finish == "refusal" or is_refusal(text):
        raise CaptionFaultError(Fault.REFUSAL, f"the model refuses: {text}")
    if reply.finish == "length":
        raise CaptionFaultError(Fault.ENDLESS, f"cut off at max_tokens: ...{text[-80:]}")
    if not any(map(str.isalnum, text)):
        raise CaptionFaultError(Fault.EMPTY, f"an answer without words: {text}" if text else "an empty answer")
    if ends_in_repetition(text):
        raise CaptionFaultError(Fault.ENDLESS, f"it repeats itself to its end: ...{text[-80:]}")
    return Answer(text, reply.finish, reply.prompt_tokens, reply.answer_tokens)


def cleaned(text: str) -> str:
    """The text without reasoning, special tokens, what follows the end of a turn, and control characters."""
    text = INVISIBLE.sub("", text.replace("\r\n", "\n"))
    text = _without_thought(text)
    begin = 0
    while found := next((found for at in _LEADING if (found := at.match(text, begin))), None):
        begin = found.end()
    end = _TURN.search(text, begin)
    return _SPECIAL.sub("", text[begin : end.start() if end else len(text)]).strip()


_SPACE = re.compile(r"\s+")
_BEGUN = re.compile(rf"<(?:{_BAR}im_start{_BAR}|start_of_turn)>\s*(?:assistant|model)\b", re.IGNORECASE)
"""Begin of the model's own turn, with its role."""
_LEADING = (_BEGUN, _TURN, _SPECIAL, _SPACE)


def _without_thought(text: str) -> str:
    """What follows the last end of a thought, up to one that does not end. Templates may open the first one."""
    begin, end = 0, len(text)
    for found in _THOUGHT.finditer(text):
        if found[1]:
            begin, end = found.end(), len(text)
        else:
            end = min(end, found.start())
    return text[begin:end]


def ends_in_repetition(text: str) -> bool:
    """Whether a text's end is the same words over and over; the last time may be cut off.

    By the borders of the reversed end, as Knuth, Morris and Pratt compute them.
    """
    tail = text.rstrip()[: -_TAIL_CHARS - 1 : -1]
    borders = [0] * len(tail)
    length = 0
    for place in range(1, len(tail)):
        while length and tail[place] != tail[length]:
            length = borders[length - 1]
        length += tail[place] == tail[length]
        borders[place] = length
        size = place + 1
        if size >= REPEATED_CHARS and size + 1 >= REPEATS * (size - length):  # the last one has no space behind it
            return True
    return False
