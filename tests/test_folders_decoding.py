"""Decoding a file to a square: always the same bytes, upright, from every mode, and a one-sentence error if it fails."""

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from sample_folders import pixels, save

from imagestudy.core.errors import InputError
from imagestudy.data.folders import decoding
from imagestudy.data.folders.decoding import UnreadableImageError, decode, look

FITS = ("pad", "stretch", "crop")
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}
"""EXIF orientation → how the sensor stored an upright image."""


def stored(image: Image.Image, format: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def rgb(file: io.BytesIO | Path, side: int = 16, fit: str = "pad") -> np.ndarray:
    return decode(file, side=side, fit=fit, colours="rgb")


class TestTheSquare:
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
    @pytest.mark.parametrize("fit", FITS)
    def test_decoding_twice_gives_the_same_bytes(self, format: str, fit: str) -> None:
        file = stored(Image.fromarray(pixels("a", height=90, width=70)), format)
        first = rgb(file, fit=fit)
        file.seek(0)
        np.testing.assert_array_equal(first, rgb(file, fit=fit))
        assert first.shape == (16, 16, 3)
        assert first.dtype == np.uint8

    @pytest.mark.parametrize("fit", FITS)
    def test_an_image_of_the_right_size_is_left_as_it_is(self, fit: str) -> None:
        given = pixels("a", height=16, width=16)
        np.testing.assert_array_equal(rgb(stored(Image.fromarray(given)), fit=fit), given)

    @pytest.mark.parametrize(("edge", "side"), [(40, 16), (7, 16), (300, 8)])
    def test_a_square_image_is_the_same_with_every_fit(self, edge: int, side: int) -> None:
        file = stored(Image.fromarray(pixels("a", height=edge, width=edge)))
        squares = [rgb(file, side, fit) for fit in FITS]
        np.testing.assert_array_equal(squares[0], squares[1])
        np.testing.assert_array_equal(squares[0], squares[2])

    @pytest.mark.parametrize("fit", FITS)
    @pytest.mark.parametrize(("height", "width"), [(30, 20), (20, 30), (500, 3), (1, 1)])
    def test_one_colour_stays_one_colour(self, height: int, width: int, fit: str) -> None:
        square = rgb(stored(Image.new("RGB", (width, height), (200, 100, 50))), fit=fit)
        inside = square[square.any(axis=2)]
        assert np.all(inside == (200, 100, 50))
        assert (len(inside) == 256) == (fit != "pad" or height == width)

    def test_pad_keeps_proportions_and_fills_both_sides_with_black(self) -> None:
        square = rgb(stored(Image.new("RGB", (32, 16), "white")))
        np.testing.assert_array_equal(square[:, 0, 0], [0] * 4 + [255] * 8 + [0] * 4)
        np.testing.assert_array_equal(rgb(stored(Image.new("RGB", (16, 32), "white")))[0, :, 0], [0] * 4 + [255] * 8 + [0] * 4)

    def test_crop_keeps_the_middle(self) -> None:
        wide = np.zeros((16, 48, 3), dtype=np.uint8)
        wide[:, 16:32] = pixels("a", height=16, width=16)
        np.testing.assert_array_equal(rgb(stored(Image.fromarray(wide)), fit="crop"), wide[:, 16:32])

    def test_shrinking_averages(self) -> None:
        board = np.indices((256, 256)).sum(axis=0) % 2 * 255
        square = decode(stored(Image.fromarray(board.astype(np.uint8))), side=16, fit="pad", colours="grey")
        assert np.abs(square.astype(int) - 127.5).max() < 4

    def test_a_large_jpeg_is_decoded_small_and_looks_the_same(self) -> None:
        given = Image.fromarray(pixels("a", height=1600, width=1200))
        small, whole = rgb(stored(given, "JPEG", quality=95)), rgb(stored(given))
        assert np.abs(small.astype(int) - whole).mean() < 2

    @pytest.mark.parametrize(("side", "decoded"), [(16, 200), (100, 200), (101, 400), (400, 800), (401, 1600)])
    def test_a_jpeg_is_decoded_at_twice_the_side_or_more(self, side: int, decoded: int, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[tuple[int, int]] = []
        upright = decoding._upright
        monkeypatch.setattr(decoding, "_upright", lambda image: sizes.append(image.size) or upright(image))
        rgb(stored(Image.new("RGB", (1600, 1600)), "JPEG"), side)
        assert sizes == [(decoded, decoded)]

    @pytest.mark.parametrize("wrong", [{"fit": "squeeze"}, {"colours": "auto"}])
    def test_an_unknown_setting_is_refused(self, wrong: dict) -> None:
        with pytest.raises(InputError, match="allowed: "):
            decode(stored(Image.new("L", (8, 8))), **({"side": 8, "fit": "pad", "colours": "grey"} | wrong))


class TestRotation:
    @pytest.mark.parametrize("fit", FITS)
    @pytest.mark.parametrize("orientation", TURNS)
    def test_all_orientations_agree_with_the_upright_original(self, orientation: int, fit: str) -> None:
        upright = pixels("a", height=30, width=21)
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned = stored(Image.fromarray(np.ascontiguousarray(TURNS[orientation](upright))), exif=exif)
        facts, square = look(turned, side=16, fit=fit, colours="rgb")
        np.testing.assert_array_equal(square, rgb(stored(Image.fromarray(upright)), fit=fit))
        assert (facts.width, facts.height) == (21, 30)
        assert ("images with an EXIF rotation (turned upright)" in facts.notes) == (orientation != 1)

    def test_a_jpeg_from_a_phone_is_rotated(self) -> None:
        upright, exif = pixels("a", height=64, width=32), Image.Exif()
        exif[0x0112] = 6
        turned = stored(Image.fromarray(np.ascontiguousarray(np.rot90(upright))), "JPEG", exif=exif, quality=98, subsampling=0)
        assert np.abs(rgb(turned).astype(int) - rgb(stored(Image.fromarray(upright)))).max() < 12

    def test_an_invalid_orientation_is_ignored(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 99
        given = pixels("a", height=16, width=16)
        np.testing.assert_array_equal(rgb(stored(Image.fromarray(given), exif=exif)), given)


class TestModes:
    def test_grey_is_one_channel_by_luma(self) -> None:
        square = decode(stored(Image.new("RGB", (8, 8), (255, 0, 0))), side=8, fit="pad", colours="grey")
        assert square.shape == (8, 8, 1)
        assert np.all(square == 76)

    def test_the_channel_of_a_grey_image_is_the_same_from_both_colours(self) -> None:
        for mode in ("L", "RGB"):
            image = Image.fromarray(pixels("a", height=90, width=70)).convert("L").convert(mode)
            for format in ("PNG", "JPEG"):
                file = stored(image, format)
                grey = decode(file, side=16, fit="pad", colours="grey")
                np.testing.assert_array_equal(np.repeat(grey, 3, axis=2), rgb(file))

    def test_sixteen_bits_are_scaled_by_their_full_range(self) -> None:
        ramp = np.linspace(0, 65535, 256 * 256).round().astype(np.uint16).reshape(256, 256)
        facts, square = look(stored(Image.fromarray(ramp)), side=256, fit="pad", colours="grey")
        np.testing.assert_array_equal(square[..., 0], np.rint(ramp * (255 / 65535)).astype(np.uint8))
        assert (square.min(), square.max()) == (0, 255)
        assert facts.notes == ("images with more than 8 bits per channel (scaled to 8 by the full range of the type)",)

    def test_a_dark_sixteen_bit_image_stays_darker_than_a_bright_one(self) -> None:
        dark, bright = (stored(Image.fromarray(np.full((8, 8), value, dtype=np.uint16))) for value in (1000, 40_000))
        assert rgb(dark).max() < rgb(bright).min()

    @pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (0.5, 128), (1.0, 255)])
    def test_floats_are_scaled_from_0_to_1(self, value: float, expected: int) -> None:
        assert np.all(rgb(stored(Image.fromarray(np.full((8, 8), value, dtype=np.float32)), "TIFF")) == expected)

    @pytest.mark.parametrize(
        "values", [np.full((8, 8), 7.0, np.float32), np.full((8, 8), np.nan, np.float32), np.full((8, 8), 70_000)]
    )
    def test_values_without_a_known_range_are_refused(self, values: np.ndarray) -> None:
        given = values if values.dtype == np.float32 else values.astype(np.int32)
        with pytest.raises(UnreadableImageError, match="allowed for its type"):
            rgb(stored(Image.fromarray(given), "TIFF"))

    def test_cmyk_becomes_rgb(self) -> None:
        facts, square = look(
            stored(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95), side=8, fit="pad", colours="rgb"
        )
        assert np.abs(square.astype(int) - (255, 0, 0)).max() < 8
        assert facts.notes == ("CMYK images (converted to RGB)",)

    def test_a_palette_becomes_its_colours(self) -> None:
        given = Image.fromarray(pixels("a", height=16, width=16)).quantize(8)
        facts, square = look(stored(given), side=16, fit="pad", colours="rgb")
        np.testing.assert_array_equal(square, np.asarray(given.convert("RGB")))
        assert facts.notes == ("images with a palette (converted to RGB)",)

    @pytest.mark.parametrize(("alpha", "expected"), [(0, (255, 255, 255)), (255, (10, 20, 30)), (51, (206, 208, 210))])
    def test_transparent_pixels_are_shown_on_white(self, alpha: int, expected: tuple[int, int, int]) -> None:
        facts, square = look(stored(Image.new("RGBA", (8, 8), (10, 20, 30, alpha))), side=8, fit="pad", colours="rgb")
        assert np.all(square == expected)
        assert "images with transparency (shown on white)" in facts.notes

    @pytest.mark.parametrize("mode", ["LA", "L", "RGB", "P"])
    def test_every_kind_of_transparency_is_seen(self, mode: str) -> None:
        if mode == "LA":
            file = stored(Image.new("LA", (8, 8), (0, 0)))
        else:
            file = stored(Image.new(mode, (8, 8), 0), transparency=(0, 0, 0) if mode == "RGB" else 0)
        assert np.all(rgb(file) == 255)

    def test_the_first_frame_of_an_animation_is_used(self) -> None:
        red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
        for format in ("GIF", "PNG", "WEBP", "TIFF"):
            options = {"lossless": True} if format == "WEBP" else {}
            facts, square = look(
                stored(red, format, save_all=True, append_images=[blue], **options), side=8, fit="pad", colours="rgb"
            )
            assert np.all(square == (255, 0, 0)), format
            assert "animations and multi-page images (only the first is used)" in facts.notes, format

    def test_black_and_white_becomes_grey(self) -> None:
        assert np.all(decode(stored(Image.new("1", (8, 8), 1)), side=8, fit="pad", colours="grey") == 255)

    def test_a_color_profile_does_not_cause_an_error(self) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        given = pixels("a", height=16, width=16)
        np.testing.assert_array_equal(rgb(stored(Image.fromarray(given), icc_profile=profile)), given)


def header_of_a_png(width: int, height: int) -> io.BytesIO:
    """Return a PNG file with a header that states this many pixels, but without pixel data."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


class TestRefusals:
    def test_a_hundred_megapixels_are_refused_before_they_are_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        file = stored(Image.new("1", (10_000, 10_000)))
        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda _: pytest.fail("it was decoded"))
        start = time.perf_counter()
        with pytest.raises(UnreadableImageError, match="10000×10000 pixels by its header; allowed: 50 million"):
            rgb(file)
        assert time.perf_counter() - start < 1

    @pytest.mark.parametrize(("width", "height"), [(50_000_001, 1), (60_000, 60_000), (2_000_000_000, 2_000_000_000)])
    def test_a_header_that_promises_too_much_is_refused(self, width: int, height: int) -> None:
        with pytest.raises(UnreadableImageError, match="by its header"):
            rgb(header_of_a_png(width, height))

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_a_cut_off_image_is_never_half_decoded(self, format: str, share: float) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
        whole = stored(Image.fromarray(noise), format).getvalue()
        with pytest.raises(UnreadableImageError):
            rgb(io.BytesIO(whole[: int(share * len(whole))]))

    def test_a_cut_off_progressive_jpeg_is_refused(self) -> None:
        whole = stored(Image.fromarray(pixels("a", height=400, width=400)), "JPEG", progressive=True).getvalue()
        with pytest.raises(UnreadableImageError, match="damaged or cut off"):
            rgb(io.BytesIO(whole[: len(whole) // 2]))

    @pytest.mark.parametrize(
        "content", [b"", b"hello, I am a text\n" * 50, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\0" * 999]
    )
    def test_what_is_no_image_is_refused(self, content: bytes) -> None:
        with pytest.raises(UnreadableImageError, match="not an image of a supported format: JPEG"):
            rgb(io.BytesIO(content))

    def test_bytes_at_random_are_refused_with_a_sentence_or_decoded(self) -> None:
        """Nothing else may come out of a decoder, whatever is flipped inside a file."""
        rng, refused = np.random.default_rng(0), []
        for format in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
            whole = np.frombuffer(stored(Image.fromarray(pixels("a", height=40, width=40)), format).getvalue(), dtype=np.uint8)
            for _ in range(60):
                broken = whole.copy()
                broken[rng.integers(0, len(whole), 3)] = rng.integers(0, 256, 3)
                try:
                    assert rgb(io.BytesIO(broken.tobytes())).shape == (16, 16, 3)
                except UnreadableImageError as error:
                    refused.append(str(error))
        assert len(refused) > 20
        assert not any("\n" in sentence for sentence in refused)

    def test_a_missing_file_is_a_sentence_too(self, tmp_path: Path) -> None:
        with pytest.raises(UnreadableImageError, match="No such file"):
            rgb(tmp_path / "no.png")

    def test_the_name_does_not_decide_the_format(self, tmp_path: Path) -> None:
        file = save(tmp_path / "a.png").rename(tmp_path / "a.jpg")
        assert look(file, side=8, fit="pad", colours="rgb")[0].format == "PNG"
