"""Fetched bytes to stored images: equal to img2dataset where it is right, named reasons where there is no image."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

import cv2
import exifread
import numpy as np
import pytest
from pydantic import ValidationError

from curation.media.image_decoding import decode, read_exif
from curation.media.image_headers import read_header
from curation.media.images import ImageProcessor, ProcessedImage
from curation.media.resizing import img2dataset_resizer
from curation.recipe import ImageSettings

PNG = b"\x89PNG\r\n\x1a\n"


def picture(height: int = 60, width: int = 80, channels: int = 3) -> np.ndarray:
    """Smooth colours without symmetry."""
    coarse = np.random.default_rng(7).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    return np.squeeze(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def encoded(ext: str, pixels: np.ndarray | None = None, *options: int) -> bytes:
    return cv2.imencode(ext, picture() if pixels is None else pixels, options)[1].tobytes()


def process(data: bytes, **settings: object) -> ProcessedImage:
    return ImageProcessor(
        ImageSettings(**{"resize_mode": "no", "encode_format": "png", "encode_quality": 1} | settings)
    )(data)


def exif_block(orientation: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def with_exif(data: bytes, block: bytes) -> bytes:
    """A JPEG, PNG or (simple) WebP with EXIF."""
    if data.startswith(PNG):
        return data[:33] + chunk(b"eXIf", block) + data[33:]
    if data.startswith(b"RIFF"):
        size = struct.pack("<I", 79)[:3] + struct.pack("<I", 59)[:3]
        body = (
            b"WEBPVP8X" + struct.pack("<II", 10, 8) + size + data[12:] + b"EXIF" + struct.pack("<I", len(block)) + block
        )
        return b"RIFF" + struct.pack("<I", len(body)) + body
    segment = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def flat_jpeg(levels: list[int]) -> bytes:
    """An 8 x 8 JPEG of one colour, with one component for each level: -8 to 7, steps of 16 from the middle."""
    count = len(levels)
    quant = b"\xff\xdb\0\x43\0" + bytes([128] * 64)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 8 + 3 * count, 8, 8, 8, count)
    frame += b"".join(bytes([i + 1, 0x11, 0]) for i in range(count))
    dc = b"\xff\xc4\0\x18\0" + bytes([0, 0, 0, 5] + [0] * 12) + bytes([0, 1, 2, 3, 4])  # categories 0 to 4 in 4 bits
    ac = b"\xff\xc4\0\x14\x10" + bytes([1] + [0] * 15) + b"\0"  # end of block in 1 bit
    scan = b"\xff\xda" + struct.pack(">HB", 6 + 2 * count, count)
    scan += b"".join(bytes([i + 1, 0]) for i in range(count)) + b"\0\x3f\0"
    bits = ""
    for level in levels:
        size = abs(level).bit_length()
        value = level if level >= 0 else level + (1 << size) - 1
        bits += f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    return b"\xff\xd8" + quant + frame + dc + ac + scan + int(bits, 2).to_bytes(len(bits) // 8) + b"\xff\xd9"


@pytest.fixture(scope="module")
def real_images(real_data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((real_data / "media" / "images").rglob("*.*"))}


UNLIKE = {
    "hummingbird.jpg": None,  # turned upright
    "chessboard_GRAY_U16.tif": None,  # 16 bits, saved as 8 by saturation
    "multipage_rgb.tif": "undecodable",  # 64-bit floats, saved as noise
    "truncated.jpg": "truncated",
}


@pytest.mark.parametrize(
    "settings",
    [
        {"resize_mode": "keep_ratio"},
        {"resize_mode": "center_crop", "encode_format": "webp", "encode_quality": 80},
        {"resize_mode": "border", "encode_format": "png", "encode_quality": 3, "image_size": 200},
        {"resize_mode": "keep_ratio_largest", "resize_only_if_bigger": True, "image_size": 300},
        {"resize_mode": "no", "skip_reencode": True},
    ],
)
def test_real_files_give_the_bytes_of_img2dataset(real_images: dict[str, bytes], settings: dict[str, object]) -> None:
    ours = ImageProcessor(ImageSettings(**settings))  # type: ignore[arg-type]
    peer = img2dataset_resizer.Resizer(**{"image_size": 256, "resize_only_if_bigger": False} | settings)
    for name, data in real_images.items():
        found = ours(data)
        assert found.sha256 == hashlib.sha256(data).hexdigest()
        if name in UNLIKE:
            assert found.reason == UNLIKE[name], name
            continue
        stored, width, height, before, down, error = peer(io.BytesIO(data))
        assert error is None and found.reason is None
        assert found.data == stored, name
        assert (found.width, found.height, found.original_width, found.original_height) == (width, height, before, down)
        tags = exifread.process_file(io.BytesIO(data), details=False)
        assert json.loads(found.exif or "") == {key: str(value).strip() for key, value in tags.items()}


def test_the_turned_photograph_stands_upright(real_images: dict[str, bytes]) -> None:
    data = real_images["hummingbird.jpg"]
    found = process(data)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # which applies EXIF
    assert np.array_equal(decode(found.data or b""), expected)
    assert (found.orientation, found.orientation_applied, found.width, found.height) == (6, True, 533, 640)
    assert (found.original_width, found.original_height) == (533, 640)
    kept = process(data, keep_original=True)
    assert kept.data == data and kept.orientation_applied is False and (kept.width, kept.height) == (533, 640)


@pytest.mark.parametrize("ext", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone(ext: str, order: str, orientation: int) -> None:
    plain = encoded(ext)
    data = with_exif(plain, exif_block(orientation, order))
    as_stored = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    turns = {1: lambda p: p, 2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud, 6: lambda p: np.rot90(p, -1)}
    turns |= {8: np.rot90, 5: lambda p: np.rot90(np.fliplr(p)), 7: lambda p: np.rot90(np.fliplr(p), -1)}
    found = process(data)
    assert np.array_equal(decode(found.data or b""), turns[orientation](as_stored))
    assert found.orientation == orientation and (found.width, found.height) == (80, 60)[:: 1 if orientation < 5 else -1]


def test_odd_exif_blocks() -> None:
    assert process(with_exif(encoded(".jpg"), exif_block(9))).orientation == 1
    assert process(with_exif(encoded(".webp"), b"Exif\0\0" + exif_block(6))).orientation == 6
    for block in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", exif_block(6)[:12], b"XX" + exif_block(6)[2:]):
        assert process(with_exif(encoded(".png"), block)).orientation == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_is_turned_once(orientation: int) -> None:
    data = encoded(".tiff", None, cv2.IMWRITE_TIFF_COMPRESSION, 1)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = [data[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count)]
    entries = sorted([*entries, struct.pack("<HHII", 274, 3, 1, orientation)], key=lambda e: e[0] | e[1] << 8)
    turned = data[:4] + struct.pack("<I", len(data)) + data[8:] + struct.pack("<H", count + 1) + b"".join(entries)
    found = decode(process(turned + bytes(4)).data or b"")
    as_jpeg = cv2.imdecode(np.frombuffer(with_exif(encoded(".png"), exif_block(orientation)), np.uint8), 1)
    assert np.array_equal(found, as_jpeg)


def test_modes_become_plain_pictures() -> None:
    grey16 = (np.arange(4800, dtype=np.uint16).reshape(60, 80) * 13).astype(np.uint16)
    found = process(encoded(".png", grey16)).data or b""
    assert np.array_equal(decode(found), np.rint(grey16 / 257)) and read_header(found).bit_depth == 8
    dark16 = (grey16 % 256).astype(np.uint16)
    assert np.array_equal(decode(process(encoded(".png", dark16)).data or b""), dark16)
    colour16 = picture().astype(np.uint16) * 257
    assert np.array_equal(decode(process(encoded(".tiff", colour16)).data or b""), picture())
    clear = np.dstack([picture(), np.arange(4800, dtype=np.uint8).reshape(60, 80)])
    found, share = process(encoded(".png", clear)), clear[..., 3:] / 255
    assert np.array_equal(decode(found.data or b""), np.rint(share * clear[..., :3] + 255 - clear[..., 3:]))
    assert (found.mode, found.bit_depth, found.frames) == ("RGBA", 8, 1)
    unused = np.dstack([picture(), np.zeros((60, 80), np.uint8)])
    assert np.array_equal(decode(process(encoded(".bmp", unused)).data or b""), picture())


def test_one_bit_palette_and_grey_alpha_png() -> None:
    bits = process(png(8, 2, 1, 0, b"\0\xaa\0\x0f"))
    assert (bits.bit_depth, bits.mode) == (1, "L")
    assert decode(bits.data or b"").tolist() == [[255, 0] * 4, [0] * 4 + [255] * 4]
    colours = chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255]))
    palette = process(png(2, 1, 8, 3, b"\0\0\1", colours, chunk(b"tRNS", b"\xff\0")))
    assert palette.mode == "PA" and decode(palette.data or b"").tolist() == [[[0, 0, 255], [255, 255, 255]]]
    grey_alpha = process(png(2, 1, 8, 4, b"\0\x10\xff\x10\0"))
    assert grey_alpha.mode == "LA" and decode(grey_alpha.data or b"")[0, :, 0].tolist() == [16, 255]


def test_cmyk_jpeg_is_turned_to_colours() -> None:
    """As Adobe writes them, inverted: high samples are little ink."""
    found = process(flat_jpeg([7, -7, 7, 7]), skip_reencode=True, encode_format="jpg", encode_quality=95)
    blue, green, red = decode(found.data or b"")[4, 4].astype(int)
    assert found.mode == "CMYK" and read_header(found.data or b"").mode == "RGB"
    assert green < 60 and red > 190 and blue > 190


def test_animations_give_their_first_picture(real_images: dict[str, bytes]) -> None:
    found = process(real_images["no_time_for_that_tiny.gif"])
    assert (found.mime, found.stored_mime, found.frames) == ("image/gif", "image/png", 24)
    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 2, 1, 0, 0, 1, 10, 0, 0))
    found = process(png(2, 1, 8, 0, b"\0\x20\x30", control, frame), skip_reencode=True)
    assert found.frames == 2 and found.stored_sha256 != found.sha256
    assert decode(found.data or b"").reshape(2, -1)[:, 0].tolist() == [32, 48]


def lying(data: bytes, at: int, form: str, *values: int) -> bytes:
    size = struct.calcsize(form)
    return data[:at] + struct.pack(form, *values) + data[at + size :]


def bombs() -> dict[str, bytes]:
    jpeg, avif, tiff = encoded(".jpg"), encoded(".avif"), encoded(".tiff")
    frame = jpeg.index(b"\xff\xc0") + 5
    (ifd,) = struct.unpack_from("<I", tiff, 4)
    webp = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + b"\x0f\x3f\0\x0f\x3f\0"
    lossless = (
        b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<IBI", 10, 0x2F, 16383 | 16383 << 14) + bytes(5)
    )
    small = b"VP8X" + struct.pack("<II", 10, 0) + b"\1\0\0\1\0\0"
    return {
        "jpeg": lying(jpeg, frame, ">HH", 60000, 60000),
        "png": png(60000, 60000, 8, 2, b""),
        "gif": lying(encoded(".gif"), 6, "<HH", 60000, 60000),
        "gif frame": lying(encoded(".gif"), encoded(".gif").index(b"\x2c\0\0\0\0") + 5, "<HH", 60000, 60000),
        "bmp": lying(encoded(".bmp"), 18, "<ii", 60000, -60000),
        "tiff": lying(lying(tiff, ifd + 10, "<I", 60000), ifd + 22, "<I", 60000),
        "tiff tile": lying(lying(tiff, ifd + 26, "<HHII", 322, 4, 1, 60000), ifd + 38, "<HHII", 323, 4, 1, 60000),
        "webp": webp,
        "webp lossless": lossless,
        "webp small canvas": lying(lossless + small, 4, "<I", len(lossless) + len(small) - 8),
        "avif": lying(avif, avif.index(b"ispe") + 8, ">II", 60000, 60000),
    }


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_refused_before_decoding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", explode)
    assert process(bombs()[name]).reason == "too_many_pixels"


def test_resizing_makes_no_bomb() -> None:
    line = encoded(".png", np.zeros((1, 60000, 3), np.uint8))
    assert process(line, resize_mode="keep_ratio", image_size=256).reason == "too_many_pixels"
    assert process(line, resize_mode="center_crop", image_size=256).reason == "too_many_pixels"
    assert process(line, resize_mode="keep_ratio_largest").reason is None
    assert process(line, resize_mode="keep_ratio", resize_only_if_bigger=True).reason is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"min_image_size": 61}, "filtered_size"),
        ({"min_image_size": 60}, None),
        ({"max_image_area": 4799}, "filtered_area"),
        ({"max_image_area": 4800}, None),
        ({"max_aspect_ratio": 1.33}, "filtered_aspect"),
        ({"max_aspect_ratio": 1.34}, None),
        ({"max_pixels": 4799}, "too_many_pixels"),
        ({"max_pixels": 4800}, None),
    ],
)
def test_filters_and_their_edges(settings: dict[str, object], reason: str | None) -> None:
    for pixels in (picture(60, 80), picture(80, 60)):
        assert process(encoded(".jpg", pixels), **settings).reason == reason


@pytest.mark.parametrize("ext", [".jpg", ".png", ".gif", ".webp", ".bmp", ".tiff", ".avif"])
def test_every_cut_is_truncated(ext: str) -> None:
    data = encoded(ext)
    assert process(data).reason is None
    for length in {len(data) // 20 * k for k in range(1, 20)} | {len(data) - 2}:
        found = process(data[:length])
        assert found.reason == "truncated", (length, found.detail)
        assert process(data[:length], keep_original=True).reason == "truncated"


@pytest.mark.parametrize("keep_original", [True, False])
def test_a_cut_jpeg_with_an_end_is_still_truncated(keep_original: bool) -> None:
    """libjpeg fills the rest with grey."""
    data = encoded(".jpg", picture(600, 800))
    found = process(data[: len(data) // 2] + b"\xff\xd9", keep_original=keep_original)
    assert found.reason == "truncated" and found.data is None and found.original_width == 800


def test_a_thumbnail_is_not_the_end_of_its_picture() -> None:
    block = exif_block(1) + encoded(".jpg", picture(8, 8))
    data = with_exif(encoded(".jpg"), block)
    assert process(data).reason is None and process(data[:-300]).reason == "truncated"


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!doctype html><img>", b"\xff\xd8", b"BM and friends",
     b"GIF", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x1cftypisom" + bytes(90), b"%PDF-1.7", bytes(5000)],
)  # fmt: skip
def test_what_is_no_image(data: bytes) -> None:
    found = process(data)
    assert (found.reason, found.mime, found.data) == ("not_an_image", None, None)


def test_known_formats_without_decoder_say_so() -> None:
    for data, mime in ((b"\0\0\0\x1cftypheic" + bytes(90), "image/heic"), (b"\0\0\1\0" + bytes(90), "image/x-icon")):
        found = process(data)
        assert (found.reason, found.mime) == ("undecodable", mime) and mime in found.detail


def test_restart_markers_are_part_of_a_scan() -> None:
    assert process(encoded(".jpg", np.zeros((1200, 1200), np.uint8), cv2.IMWRITE_JPEG_RST_INTERVAL, 1)).reason is None


def test_hostile_structures_cost_little() -> None:
    jpeg = encoded(".jpg")
    scans = jpeg[:-2] + jpeg[jpeg.index(b"\xff\xda") : -2] * 101 + b"\xff\xd9"
    assert "scans" in process(scans).detail
    entry = struct.pack("<HHII", 0x010E, 2, 60_000, 8)
    heavy = b"II*\0" + struct.pack("<IH", 8, 5000) + entry * 5000 + bytes(60_000)
    start = time.perf_counter()
    assert read_exif(heavy) is None
    for body in (b"\xff" * 4_000_000, b"\xff\xe0\0\2" * 1_000_000, b"\xff\xff\0" * 1_000_000, b"\0" * 4_000_000):
        assert process(b"\xff\xd8\xff" + body).reason in ("truncated", "undecodable")
    for body in (b"\x21\xff" + b"\1\1" * 1_000_000, b"\x21\xff\0" * 1_000_000):
        assert process(b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + body).reason in ("truncated", "undecodable")
    assert process(png(9, 9, 8, 2, b"", chunk(b"tEXt", b"") * 100_000)).reason == "undecodable"
    assert time.perf_counter() - start < 10


def test_damaged_files_never_raise(real_images: dict[str, bytes]) -> None:
    rng = random.Random(20)
    files = [data for data in real_images.values() if len(data) < 30_000]
    files += [encoded(ext) for ext in (".webp", ".bmp", ".tiff", ".gif", ".avif")]
    processors = [ImageProcessor(ImageSettings(max_pixels=1 << 22, keep_original=keep)) for keep in (False, True)]
    reasons = set()
    for index in range(800):
        data = bytearray(rng.choice(files))
        for _ in range(rng.randrange(1, 9)):
            data[rng.randrange(min(len(data), rng.choice((200, len(data)))))] = rng.choice((0, 255, rng.randrange(256)))
        del data[rng.randrange(len(data)) if index % 4 == 0 else len(data) :]
        found = processors[index % 2](bytes(data))
        assert (found.data is None) == (found.reason is not None)
        assert found.data is None or found.width
        reasons.add(found.reason)
    assert {None, "truncated", "undecodable", "not_an_image", "too_many_pixels"} <= reasons


def test_a_picture_smaller_than_its_header_says_is_undecodable() -> None:
    webp = with_exif(encoded(".webp"), exif_block(1))
    assert process(lying(webp, 24, "<I", 200)).reason == "undecodable"


@pytest.mark.parametrize("ext", [".jpg", ".gif"])
def test_a_decoder_that_reads_another_size_is_not_believed(ext: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(ext)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: np.zeros((5, 6, 3), np.uint8))
    found = process(data)
    assert found.reason == "undecodable" and "(80, 60)" in found.detail


def test_bytes_are_kept_where_asked() -> None:
    jpeg = encoded(".jpg")
    skipped = process(jpeg, skip_reencode=True, encode_format="jpg", encode_quality=95)
    assert skipped.data == jpeg and skipped.stored_sha256 == skipped.sha256
    broken = bytearray(png(8, 8, 8, 0, b"too few rows"))
    assert process(bytes(broken), disable_all_reencoding=True).data == bytes(broken)
    assert process(bytes(broken), keep_original=True).reason == "undecodable"
    assert process(b"<html>", disable_all_reencoding=True).reason == "not_an_image"


def test_standard_error_is_itself_again(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(".jpg", picture(600, 800))
    before = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    threads = [threading.Thread(target=process, args=(data[:9000] + b"\xff\xd9",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"
    assert sys.platform != "linux" or len(list(Path("/proc/self/fd").iterdir())) == before


def test_settings_are_checked_and_travel() -> None:
    for wrong in ({"resize_mode": "stretch"}, {"encode_format": "gif"}, {"encode_format": "png"}, {"image_size": 0},
                  {"max_pixels": 0}, {"downscale_interpolation": "x"}, {"encode_quality": 101}):  # fmt: skip
        with pytest.raises(ValidationError):
            ImageSettings(**wrong)  # type: ignore[arg-type]
    processor = pickle.loads(pickle.dumps(ImageProcessor(ImageSettings(image_size=32))))
    assert processor(encoded(".jpg")).width == 32
    assert "data" not in processor(encoded(".jpg")).facts()
