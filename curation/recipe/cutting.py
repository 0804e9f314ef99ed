"""Section of the cutting of clips out of videos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from curation.recipe.fields import Int, PositiveInt, Seconds, Section

Place = Annotated[float, Field(ge=0, le=1)]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]


class Cut(Section):
    """Clips of a video to files of their own, and stills of each."""

    mode: Literal["accurate", "copy"] = Field(
        "accurate",
        description="accurate: exactly the frames asked for, encoded anew (MP4, upright, square pixels, yuv420p); "
        "copy: as stored, from the key frame at or before the first one asked for, many times as fast",
    )
    audio: Literal["keep", "drop"] = Field("keep", description="keep: AAC (copy: as stored), the clip's span of it")
    codec: Literal["libx264", "libx265"] = Field("libx264", description="encoder of accurate clips")
    preset: Preset = Field("veryfast", description="of the encoder: its effort (FFmpeg's default: medium)")
    crf: Annotated[Int, Field(ge=0, le=51)] = Field(
        20, description="constant rate factor, 0 lossless to 51 (FFmpeg's default: 23 for libx264, 28 for libx265)"
    )
    audio_kbps: PositiveInt = Field(128, description="kilobits per second of sound (FFmpeg's default)")
    max_height: Annotated[Int, Field(ge=2)] | None = Field(
        None, description="pixels, upright; taller clips are scaled down; null: as they are"
    )
    process_seconds: Seconds = Field(
        900.0, description="wall-clock limit of one FFmpeg, which cuts up to four clips (copy: 16)"
    )
    key_frames: list[Place] = Field(
        [0.1, 0.5, 0.9], description="stills of a clip, as shares of its frames: 0 the first, 1 the last"
    )
    jpeg_quality: Annotated[Int, Field(ge=1, le=100)] = Field(90, description="of the stills")
    still_height: PositiveInt | None = Field(
        None, description="pixels; taller stills are scaled down; null: as large as the clip"
    )
