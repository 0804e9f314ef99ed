"""Datasets of videos: what the files and their pages say, shots, pieces, clips, scores, and which clips are kept."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from curation.schemas.columns import BUCKET, INTS, MEDIA_ID, STRINGS, Dataset, column


def structured(nullable: Collection[str] = (), **fields: pa.DataType) -> pa.DataType:
    return pa.struct([pa.field(name, kind, nullable=name in nullable) for name, kind in fields.items()])


def listed(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("item", kind, nullable=False))


_CHAPTER = structured(start_ms=pa.int64(), end_ms=pa.int64(), title=pa.string())
_SUBTITLES = structured(
    lang=pa.string(), kind=pa.string(), automatic=pa.bool_(), format=pa.string(), text=pa.string()
)  # fmt: skip
_KEY_FRAME = structured(
    frame=pa.int32(), time_ms=pa.int32(), phash=pa.uint64(), offset=pa.int64(), size_bytes=pa.int64()
)  # fmt: skip

def _score(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return column(name, kind, doc, nullable=True)


CLIP_ID = column("clip_id", pa.string(), "media_id, start and end in milliseconds of its video: ID-START-END")
_START = column("start_ms", pa.int64(), "begin in the video, milliseconds from the container's start")
_END = column("end_ms", pa.int64(), "end in the video: the first moment that does not belong to it")
_START_FRAME = column("start_frame", pa.int32(), "its first frame, counted in the order of presentation from 0")
_END_FRAME = column("end_frame", pa.int32(), "the first frame that does not belong to it")

VIDEOS = Dataset(
    "videos",
    2,
    "planned media of one unit",
    "One row per video that was obtained: what its file says, and what its page said of it.",
    pa.schema(
        [
            MEDIA_ID,
            BUCKET,
            column("container", pa.string(), "format as FFmpeg names it"),
            column("duration_ms", pa.int64(), "from the container's start to the end of the last frame"),
            column("width", pa.int32(), "pixels upright, of square pixels"),
            column("height", pa.int32(), "pixels upright, of square pixels"),
            column("coded_width", pa.int32(), "pixels as stored"),
            column("coded_height", pa.int32(), "pixels as stored"),
            column("rotation", pa.int32(), "degrees clockwise by which stored frames are turned: 0, 90, 180, 270"),
            column("fps", pa.float64(), "frames per second, on average"),
            column("is_vfr", pa.bool_(), "whether the distance of frames varies"),
            column("frames", pa.int32(), "as declared or counted", nullable=True),
            column("video_codec", pa.string(), "as FFmpeg names it"),
            column("pixel_format", pa.string(), "as FFmpeg names it"),
            column("audio_codec", pa.string(), "as FFmpeg names it; null: no sound", nullable=True),
            column("audio_rate", pa.int32(), "samples per second", nullable=True),
            column("bit_rate", pa.int64(), "bits per second of the whole file", nullable=True),
            column("title", pa.string(), "as the page or its player said", nullable=True),
            column("description", pa.string(), "as the page or its player said", nullable=True),
            column("licence", pa.string(), "as the page or its player said", nullable=True),
            column("uploader", pa.string(), "who published it", nullable=True),
            column("upload_date", pa.string(), "YYYYMMDD", nullable=True),
            column("language", pa.string(), "as the page or its player said", nullable=True),
            column("webpage_url", pa.string(), "of the page that shows it", nullable=True),
            column("view_count", pa.int64(), "as the page or its player said", nullable=True),
            column("like_count", pa.int64(), "as the page or its player said", nullable=True),
            column("platform", pa.string(), "extractor of yt-dlp; direct: the file's own URL", nullable=True),
            column("platform_id", pa.string(), "the platform's name of the video", nullable=True),
            column("age_limit", pa.int32(), "years", nullable=True),
            column("tags", STRINGS, "as the page or its player said"),
            column("categories", STRINGS, "as the page or its player said"),
            column("chapters", listed(_CHAPTER), "by begin"),
            column("subtitles", listed(_SUBTITLES), "timed texts as sent, those of the file as WebVTT; kind: "
                   "subtitles, captions or chapters; lang: und where nobody says it; automatic: made by the platform"),
            column("missing_subtitles", STRINGS, "texts that were asked for and are not there, and why"),
        ]
    ),
)

SCENES = Dataset(
    "scenes",
    1,
    "as media",
    "One row per obtained video: the frames at which a new shot begins.",
    pa.schema(
        [
            MEDIA_ID,
            BUCKET,
            column("sha256", pa.string(), "of the file that was looked at"),
            column("status", pa.string(), "ok or failed"),
            column("error", pa.string(), "curation.media.video.facts.VideoRefusal, or source_gone; null: ok",
                   nullable=True),
            column("detail", pa.string(), "what exactly went wrong, in words", nullable=True),
            column("cuts", INTS, "first frames of new shots, without 0"),
            column("times_ms", INTS, "when each frame is shown, milliseconds from the container's start"),
            column("end_ms", pa.int64(), "end of the last frame", nullable=True),
            column("corrupt_frames", pa.int32(), "frames that could not be decoded", nullable=True),
        ]
    ),
)  # fmt: skip

PIECES = Dataset(
    "pieces",
    1,
    "as media",
    "One row per piece that a video was split into: a clip, or why it is none.",
    pa.schema(
        [
            MEDIA_ID,
            BUCKET,
            _START,
            _END,
            _START_FRAME,
            _END_FRAME,
            column("sha256", pa.string(), "of the file that was split"),
            column("marks", pa.string(), "digest of the bounds that the video's texts gave; null: it was not split by "
                   "texts", nullable=True),
            column("shot", pa.int32(), "the shot it begins in, from 0"),
            column("stitched", pa.int32(), "pieces that were put together to make it; 1: none"),
            column("clip_id", pa.string(), "the clip; null: dropped", nullable=True),
            column("dropped", pa.string(), "transition, unreadable, too_short, still, redundant ..., cut_failed",
                   nullable=True),
            column("value", pa.float64(), "the distance, or seconds, that decided", nullable=True),
            column("detail", pa.string(), "what exactly went wrong, in words", nullable=True),
        ]
    ),
)  # fmt: skip

CLIPS = Dataset(
    "clips",
    1,
    "as media",
    "One row per clip that was cut, by media and begin: what its file is, read back from it, and where it lies.",
    pa.schema(
        [
            CLIP_ID,
            MEDIA_ID,
            BUCKET,
            _START,
            _END,
            _START_FRAME,
            _END_FRAME,
            column("cut_start_ms", pa.int64(), "where the file really begins in the video (stream copy: a key frame)"),
            column("cut_end_ms", pa.int64(), "where the file really ends in the video"),
            column("text", pa.string(), "of the chapter or subtitles that gave the bounds", nullable=True),
            column("extension", pa.string(), "of the file: mp4; stream copies may have others"),
            column("frames", pa.int32(), "in the file, counted"),
            column("duration_ms", pa.int64(), "of the file's pictures"),
            column("width", pa.int32(), "pixels upright"),
            column("height", pa.int32(), "pixels upright"),
            column("fps", pa.float64(), "frames per second, on average"),
            column("has_audio", pa.bool_(), "whether the file has sound"),
            column("path", pa.string(), "tar shard that holds it, below the work folder"),
            column("offset", pa.int64(), "where its bytes begin in the shard"),
            column("size_bytes", pa.int64(), "of the file"),
            column("stored_sha256", pa.string(), "SHA-256 of the file"),
            column("key_frames", listed(_KEY_FRAME), "stills of it: frame and time in the clip, perceptual hash (0: "
                   "too flat), and where the JPEG lies in the same shard"),
        ]
    ),
)  # fmt: skip

CLIP_SHARDS = Dataset(
    "clip_shards",
    1,
    "as media",
    "The tar shards that hold the clips: clip_id.mp4 (or other), clip_id.N.jpg (key frames) and clip_id.json.",
    pa.schema(
        [
            column("path", pa.string(), "below the work folder; the name follows from the content"),
            column("samples", pa.int32(), "clips in it"),
            column("size_bytes", pa.int64(), "of the tar"),
            column("sha256", pa.string(), "SHA-256 of the tar, 64 hex digits"),
        ]
    ),
)

SCORES = Dataset(
    "scores",
    1,
    "as media",
    "One row per clip: what is measured of it. Nothing is dropped for a score; rules of kept_clips read them.",
    pa.schema(
        [
            CLIP_ID,
            MEDIA_ID,
            BUCKET,
            column("stored_sha256", pa.string(), "of the file that was scored"),
            column("status", pa.string(), "ok or failed"),
            column("error", pa.string(), "curation.media.video.facts.VideoRefusal; null: ok", nullable=True),
            column("detail", pa.string(), "what exactly went wrong, in words", nullable=True),
            _score("width", pa.int32(), "pixels, upright and square"),
            _score("height", pa.int32(), "pixels, upright and square"),
            _score("aspect", pa.float64(), "width / height"),
            _score("fps", pa.float64(), "frames per second, on average"),
            _score("duration_ms", pa.int64(), "to the end of the last frame"),
            _score("frames", pa.int32(), "as decoded"),
            _score("decode_errors", pa.int32(), "packets and frames that the decoder found broken"),
            _score("brightness", pa.float64(), "mean luma, 0 black to 1 white"),
            _score("black_share", pa.float64(), "share of frames that are black (98 % of the pixels below luma 32)"),
            _score("letterbox", pa.float64(), "share of the picture in black bars on its four sides"),
            _score("sharpness", pa.float64(), "variance of the Laplacian of luma, median over sampled frames"),
            _score("text_area", pa.float64(), "share of the picture in boxes of text; null: no text_finder"),
            _score("motion_difference", pa.float64(), "mean change of luma from frame to frame, 0 to 1"),
            _score("still_share", pa.float64(), "share of frames that do not differ from the one before"),
            _score("motion_vectors", pa.float64(), "mean length of the codec's motion vectors, pixels per frame"),
            _score("motion_vectors_diagonal", pa.float64(), "the same in diagonals of the picture"),
            _score("has_audio", pa.bool_(), "whether there is a sound track"),
            _score("loudness", pa.float64(), "LUFS, integrated (EBU R 128)"),
            _score("silence_share", pa.float64(), "share of the sound's time in silences"),
        ]
    ),
)

CLIP_GROUPS = Dataset(
    "clip_groups",
    1,
    "run of the perceptual hash",
    "Clips whose key frames are near copies of each other's; a clip may be in several groups.",
    pa.schema(
        [
            CLIP_ID,
            MEDIA_ID,
            column("group_id", pa.string(), "clip_id of the group's first clip"),
            column("clip_row", pa.int64(), "place of the clip in clips, counted over its units in order"),
            column("group_row", pa.int64(), "place of the group's first clip"),
        ]
    ),
)

KEPT_VIDEOS = Dataset(
    "kept_videos",
    1,
    "all",
    "Videos of which clips are kept, each once.",
    pa.schema([MEDIA_ID, BUCKET, column("clips", pa.int32(), "of it that are kept")]),
)

KEPT_CLIPS = Dataset(
    "kept_clips",
    1,
    "as media",
    "One row per clip: whether it is kept, and if not, which rule refused it or of which clip it is a copy.",
    pa.schema(
        [
            CLIP_ID,
            MEDIA_ID,
            BUCKET,
            column("kept", pa.bool_(), "whether it is in the selection"),
            column("refused_by", pa.string(), "the first rule of kept_clips that its scores break, not_scored, "
                   "copied_video (its video is a copy of another), or duplicate (the clip is); null: kept",
                   nullable=True),
            column("duplicate_of", pa.string(), "clip_id of the copy that is kept", nullable=True),
        ]
    ),
)  # fmt: skip
