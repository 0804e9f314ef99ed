"""fetch.video: which form of a video is taken, and the limits of its transfer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from curation.recipe.fields import Int, PositiveInt, Seconds, Section, VocabularyLanguage


class VideoSettings(Section):
    """How videos are fetched. Requests keep to fetch.network; its total_timeout_s and max_bytes are replaced here."""

    max_height: PositiveInt = Field(
        720,
        description="pixels of the frames' shorter side: of several forms the best within it is taken, else the "
        "smallest. A file that comes in one form is taken as it is (Panda-70M and HD-VILA: 720)",
    )
    separate_streams: bool = Field(
        True, description="where no form has picture and sound in one file, take two and join them (ffmpeg, copied)"
    )
    max_bytes: PositiveInt = Field(2 << 30, description="bytes of a video, all its files together")
    max_duration_s: Seconds = Field(
        4 * 3600.0, description="seconds that a video may last, by its page, its playlist or the file itself"
    )
    total_timeout_s: Seconds = Field(
        1800.0, description="seconds for a video over all attempts, without waiting for its turn"
    )
    concurrency: PositiveInt = Field(4, description="videos in transfer per task, each a thread")
    page_bytes: Annotated[Int, Field(ge=1 << 16)] = Field(
        8 << 20, description="bytes of a page, playlist or subtitle that are read"
    )
    segment_bytes: Annotated[Int, Field(ge=1 << 16)] = Field(
        64 << 20, description="bytes of one segment of a playlist, which is held in memory (10 s at 50 Mbit/s: 62 MB)"
    )
    subtitles: list[VocabularyLanguage] = Field(
        [], description="languages of subtitles that are kept beside the video: en is also en-US; []: none"
    )
    automatic_subtitles: bool = Field(
        False, description="where there are none by hand, take those that the site's speech recognition made"
    )
    keep_source: bool = Field(True, description="keep the video itself after its clips are cut")
