"""Timed text: subtitles of any format as cues, cleaned, as sentences, in blocks, for clips, with times of words.

    cues = clean(read_cues(text))
    text_within(cues, 12_000, 20_000)
    blocks(sentences(cues))
"""

from curation.captions.timed_text.cleaning import clean
from curation.captions.timed_text.clips import Block, blocks, text_within
from curation.captions.timed_text.cues import Cue, TimedTextError, Track, Word
from curation.captions.timed_text.reading import read_cues, read_track
from curation.captions.timed_text.sentences import sentences
from curation.captions.timed_text.webvtt import is_webvtt, join_segments

__all__ = [
    "Block",
    "Cue",
    "TimedTextError",
    "Track",
    "Word",
    "blocks",
    "clean",
    "is_webvtt",
    "join_segments",
    "read_cues",
    "read_track",
    "sentences",
    "text_within",
]
