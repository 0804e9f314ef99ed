"""What is said in a clip, and blocks of text for a language model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from curation.captions.timed_text.cues import Cue, is_unspaced

BLOCK_WORDS: Final = 200
"""Of a block of HowToCaption (Shvetsova et al. 2023)."""


class Block(NamedTuple):
    """Sentences that a language model sees together."""

    sentences: tuple[Cue, ...]

    @property
    def start_ms(self) -> int:
        return self.sentences[0].start_ms

    @property
    def end_ms(self) -> int:
        return max(sentence.end_ms for sentence in self.sentences)

    def text(self) -> str:
        """A line for each sentence, after the second in which it begins: "12s: Add the flour."."""
        return "\n".join(f"{sentence.start_ms // 1000}s: {sentence.text}" for sentence in self.sentences)


def blocks(sentences: Iterable[Cue], words: int = BLOCK_WORDS) -> list[Block]:
    """Sentences in order, in blocks of at most so many words, as str.split counts and without the seconds; a longer
    sentence is a block of its own. Raises ValueError for words < 1.
    """
    if words < 1:
        raise ValueError(f"words {words}: a block holds at least one")
    found: list[Block] = []
    held: list[Cue] = []
    count = 0
    for sentence in sentences:
        size = len(sentence.text.split())
        if held and count + size > words:
            found.append(Block(tuple(held)))
            held, count = [], 0
        held.append(sentence)
        count += size
    return [*found, Block(tuple(held))] if held else found


def text_within(cues: Iterable[Cue], start_ms: int, end_ms: int, share: float = 0.5) -> str:
    """What is said in a clip: the cues of which at least that share of their own length lies in it; of a cue whose
    words have times, those words, each as long as until the next begins. share: over 0, at most 1.
    """
    said = ""
    for cue in cues:
        if cue.start_ms < end_ms and start_ms <= cue.end_ms:
            for text in _said(cue, start_ms, end_ms, share):
                said += text if said and is_unspaced(said[-1]) and is_unspaced(text[0]) else f" {text}"
    return said.strip()


def _said(cue: Cue, start_ms: int, end_ms: int, share: float) -> Iterator[str]:
    if not cue.words:
        if _lies_within(cue.start_ms, cue.end_ms, start_ms, end_ms, share):
            yield cue.text
        return
    ends = [word.start_ms for word in cue.words[1:]] + [cue.end_ms]
    for word, end in zip(cue.words, ends, strict=True):
        if _lies_within(word.start_ms, end, start_ms, end_ms, share):
            yield word.text


def _lies_within(start: int, end: int, clip_start: int, clip_end: int, share: float) -> bool:
    """A word without length lies where it begins."""
    if start == end:
        return clip_start <= start < clip_end
    return min(end, clip_end) - max(start, clip_start) >= share * (end - start)
