"""The short text of a long one."""

from __future__ import annotations

from collections.abc import Sequence

from curation.captions.samples import Caption


def first_sentence(text: str) -> str:
    """What stands before the first full stop that white space follows, all of it where there is none (Long-CLIP).

    Long-CLIP cuts at a space alone; captions of several paragraphs have line breaks there.
    """
    joined = " ".join(text.split())
    return joined.split(". ", 1)[0].rstrip() or joined


def before_full_stop(text: str) -> str:
    """What stands before the first full stop of all, no white space at its end (MobileCLIP's CoCa captions)."""
    return text.split(".", 1)[0].rstrip()


def with_short(captions: Sequence[Caption]) -> list[Caption]:
    """The captions, and after each `detailed` one its first sentence as `short`; both stay (Long-CLIP).

    No sentence is added where a prompt made captions of kind `short`.
    """
    if any(caption.kind == "short" for caption in captions):
        return list(captions)
    all_: list[Caption] = []
    for caption in captions:
        all_.append(caption)
        if caption.kind == "detailed":
            all_.append(caption._replace(kind="short", text=first_sentence(caption.text), score=None))
    return all_
