"""Decoding: every odd kind of picture against pixels known beforehand, and every bad one for its reason."""

import hashlib
import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from u1core.images.sources.index import index_listing
from u1core.images.sources.listing import Listing, Picture, PictureError, SourceError
from u1core.images.sources.pictures import MAX_PIXELS, decode_listing, decode_picture

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def quarters(size=8):
    """Red above green on the left, blue above white on the right."""
    pixels = np.full((size, size, 3), 255, dtype=np.uint8)
    half = size // 2
    pixels[:half, :half], pixels[half:, :half], pixels[:half, half:] = RED, GREEN, BLUE
    return pixels


def encode(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows):
    """Write a PNG by the specification: filter byte 0 before every row of big-endian samples."""
    raw = b"".join(b"\0" + row for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def tiff(pixels, photometric=None, depth=None, data=None, more=()):
    """Write an uncompressed little-endian TIFF 6.0 of one strip; 0 as its photometric is white."""
    height, width, channels = pixels.shape
    data = data or pixels.astype(f"<u{pixels.itemsize}").tobytes()
    depth = depth or 8 * pixels.itemsize
    bits = struct.pack(f"<{channels}H", *[depth] * channels)
    photometric = (2 if channels == 3 else 1) if photometric is None else photometric
    tags = [
        *((256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, 1), (262, 3, 1, photometric), *more),
        *((273, 4, 1, 200), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data))),
    ]
    at = 8 + 2 + 12 * (len(tags) + 1) + 4
    tags.append((258, 3, channels, at if channels == 3 else depth))
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return (b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", 0) + bits).ljust(200, b"\0") + data


# --- decoded right ---


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *(("PNG", {}), ("BMP", {}), ("PPM", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})),
        *(("WEBP", {"lossless": True}), ("GIF", {})),
    ],
)
def test_lossless_formats_give_their_pixels(kind, options):
    np.testing.assert_array_equal(
        decode_picture(encode(Image.fromarray(quarters()), kind, **options), None), quarters()
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_orientation(orientation, kind):
    # EXIF 2.32, 4.6.4 A: which side of the picture the 0th row and the 0th column of what is stored are.
    upright = quarters(32)
    stored = {
        1: upright,  # top, left
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.transpose(1, 0, 2),  # left, top
        6: upright[:, ::-1].transpose(1, 0, 2),  # right, top
        7: upright[::-1, ::-1].transpose(1, 0, 2),  # right, bottom
        8: upright[::-1].transpose(1, 0, 2),  # left, bottom
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    options |= {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}
    raw = encode(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    got = decode_picture(raw, None).astype(int)
    assert np.abs(got - upright).max() <= {"JPEG": 4, "AVIF": 4}.get(kind, 0)


def test_damaged_exif_says_nothing():
    raw = encode(Image.fromarray(quarters()), "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0nonsense")
    plain = encode(Image.fromarray(quarters()), "JPEG", quality=100, subsampling=0)
    np.testing.assert_array_equal(decode_picture(raw, None), decode_picture(plain, None))


def test_cmyk_jpeg():
    # R = 255 (1 - C)(1 - K), and so on; here one ink each, then half of the black.
    inks = np.zeros((16, 64, 4), dtype=np.uint8)
    for place, ink in enumerate([(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 128)]):
        inks[:, 16 * place : 16 * place + 16] = ink
    raw = encode(Image.frombytes("CMYK", (64, 16), inks.tobytes()), "JPEG")
    got = decode_picture(raw, None)[8, 8::16].astype(int)
    expected = [(0, 255, 255), (255, 0, 255), (255, 255, 0), (127, 127, 127)]
    assert np.abs(got - expected).max() <= 6


GREYS = np.array([[0, 257, 25700], [32639, 32896, 65535]], dtype=np.uint16)  # 257 g is the grey g of 8 bits


def test_sixteen_bit_greys():
    as_png = png(3, 2, 16, 0, [row.astype(">u2").tobytes() for row in GREYS])
    pgm = b"P5 3 2 65535\n" + GREYS.astype(">u2").tobytes()
    for raw in (as_png, tiff(GREYS[..., None]), pgm):
        np.testing.assert_array_equal(
            decode_picture(raw, None), np.repeat(GREYS[..., None] // 257, 3, axis=2)
        )


def packed(values, depth):
    """Pack grey values of a row into bytes, the first one's bits first."""
    bits = "".join(f"{value:0{depth}b}" for value in values)
    return int(bits.ljust(-len(bits) % 8 + len(bits), "0"), 2).to_bytes((len(bits) + 7) // 8, "big")


@given(depth=st.sampled_from([1, 2, 4, 8, 16]), is_inverted=st.booleans(), data=st.data())
def test_white_is_zero_of_any_depth(depth, is_inverted, data):
    # TIFF 6.0, PhotometricInterpretation: 0 is WhiteIsZero, 1 is BlackIsZero.
    white = 2**depth - 1
    values = np.array(data.draw(st.lists(st.integers(0, white), min_size=1, max_size=9)))
    raw = values.astype("<u2").tobytes() if depth == 16 else packed(values, depth)
    picture = tiff(values[None, :, None], int(not is_inverted), depth, raw)
    greys = (white - values if is_inverted else values) * 255 // white
    np.testing.assert_array_equal(decode_picture(picture, None)[0, :, 0], greys)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_white_is_zero_behind_a_compression(compression, photometric):
    # Pillow turns 8 bits round as it writes them, and writes 16 as they are.
    options = {"compression": compression, "tiffinfo": {262: photometric}}
    for stored, expected in (
        (GREYS, (GREYS if photometric else 65535 - GREYS) // 257),
        ((GREYS // 257).astype(np.uint8), GREYS // 257),
    ):
        raw = encode(Image.fromarray(stored), "TIFF", **options)
        np.testing.assert_array_equal(decode_picture(raw, None)[..., 0], expected)


def test_twelve_bits_reach_white():
    values = np.array([0, 16, 2048, 4095])
    raw = tiff(values[None, :, None], 1, 12, packed(values, 12))
    assert decode_picture(raw, None)[0, :, 0].tolist() == [0, 0, 127, 255]
    for maximum in (1023, 4095, 65535):
        pgm = f"P5 3 1 {maximum}\n".encode() + struct.pack(">3H", 0, maximum // 2, maximum)
        assert decode_picture(pgm, None)[0, :, 0].tolist() == [0, 127, 255]


def test_greys_with_alpha_of_sixteen_bits_and_few_bits():
    grey_alpha = png(2, 1, 16, 4, [struct.pack(">4H", 257 * 7, 100, 257 * 200, 65535)])
    assert decode_picture(grey_alpha, None)[0, :, 0].tolist() == [7, 200]
    colour_alpha = png(1, 1, 16, 6, [struct.pack(">4H", 257 * 7, 257 * 8, 257 * 9, 0)])
    assert decode_picture(colour_alpha, None)[0, 0].tolist() == [7, 8, 9]
    assert decode_picture(png(4, 1, 2, 0, [b"\x1b"]), None)[0, :, 0].tolist() == [0, 85, 170, 255]
    assert decode_picture(png(2, 1, 1, 0, [b"\x40"]), None)[0, :, 0].tolist() == [0, 255]


def test_colours_are_those_stored_whatever_a_profile_says():
    # As the networks were trained: torchvision and timm apply neither gAMA nor ICC profiles.
    row = zlib.compress(b"\0" + bytes([10, 200]))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0))
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    raw = b"\x89PNG\r\n\x1a\n" + header + linear + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    assert decode_picture(raw, None)[0, :, 0].tolist() == [10, 200]


def test_newer_formats():
    block = Image.new("RGB", (16, 16), (200, 10, 30))
    for kind, options in (("JPEG2000", {}), ("AVIF", {"quality": 100, "subsampling": "4:4:4"})):
        got = decode_picture(encode(block, kind, **options), None).astype(int)
        assert np.abs(got - (200, 10, 30)).max() <= 2
    grey = Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16))
    assert decode_picture(encode(grey, "JPEG2000"), None)[0, :, 0].tolist() == [0, 100, 255]


def test_sixteen_bit_colours():
    colours = np.stack([GREYS, GREYS[::-1], GREYS[:, ::-1]], axis=2)
    as_png = png(3, 2, 16, 2, [row.astype(">u2").tobytes() for row in colours])
    for raw in (as_png, tiff(colours)):
        got = decode_picture(raw, None).astype(int)
        assert np.abs(got - colours / 257).max() < 1


@pytest.mark.parametrize("kind", ["GIF", "MPO", "PNG", "TIFF", "WEBP"])
def test_animations_give_their_first_frame(kind):
    frames = [Image.fromarray(np.full((8, 8, 3), colour, dtype=np.uint8)) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)
    with Image.open(io.BytesIO(raw)) as opened:
        assert opened.n_frames == 3
    got = decode_picture(raw, None).astype(int)
    assert np.abs(got - RED).max() <= (2 if kind == "MPO" else 0)  # MPO holds JPEGs


def test_palettes_and_alpha():
    palette = Image.new("P", (4, 2), 1)
    palette.putpalette([*BLUE, *GREEN])
    assert (decode_picture(encode(palette, "PNG"), None) == GREEN).all()
    assert (decode_picture(encode(palette, "PNG", transparency=1), None) == GREEN).all()
    clear = Image.new("RGBA", (4, 2), (*RED, 0))  # fully transparent: the colour below is what is stored
    assert (decode_picture(encode(clear, "PNG"), None) == RED).all()
    grey = Image.new("LA", (4, 2), (77, 10))
    assert (decode_picture(encode(grey, "PNG"), None) == 77).all()
    black = Image.new("1", (4, 2), 1)
    assert (decode_picture(encode(black, "PNG"), None) == 255).all()


def test_fifty_megapixels():
    wide = Image.new("RGB", (10_000, 5_000), GREEN)
    wide.paste(RED, (2_500, 0, 7_500, 5_000))  # the square in the middle, which the crop keeps
    got = decode_picture(encode(wide, "PNG", compress_level=1), 32)
    assert got.shape == (32, 32, 3)
    assert (got[:, 1:-1] == RED).all()  # at the rim the filter sees beyond the crop


def test_arrays_and_pictures_are_contents_too():
    for content in (np.full((4, 4), 9, np.uint8), np.full((4, 4, 1), 9, np.uint8), Image.new("L", (4, 4), 9)):
        assert (decode_picture(content, None) == np.full((4, 4, 3), 9)).all()


# --- not decoded, for a reason ---


def without_adobe(raw):
    """Cut the marker APP14 out of a JPEG."""
    at = raw.index(b"Adobe") - 4
    return raw[:at] + raw[at + 2 + int.from_bytes(raw[at + 2 : at + 4], "big") :]


INKS = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
FLAT = np.zeros((4, 4, 1), np.uint8)


def bomb(width, height):
    return png(width, height, 1, 0, [b"\0"])  # one row, of however many


def no_bomb_but_large():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own limit is 89 megapixels
        return decode_picture(encode(Image.new("1", (9_600, 10_000)), "PNG"), 2)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "an empty file"),
        (b"GIF89a", "not a picture in one of BMP, GIF, JPEG"),
        (b"<html>not found</html>", "not a picture in one of"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture in one of"),
        (encode(Image.fromarray(quarters(64)), "JPEG")[:-40], "image file is truncated"),
        (encode(Image.fromarray(quarters(64)), "PNG")[:-40], "truncated"),
        (encode(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), "floating-point pixels"),
        (encode(Image.fromarray(np.full((8, 8), 70000, np.int32)), "TIFF"), "32-bit pixels"),
        (tiff(FLAT, more=[(339, 3, 1, 2)]), "signed pixels, whose range is unknown"),
        (tiff(FLAT.astype(np.uint16), more=[(339, 3, 1, 2)]), "signed or 32-bit pixels"),
        (without_adobe(INKS), "a CMYK JPEG that doesn't say whether its inks are inverted"),
        (HEIC, "HEIC, which Pillow can't decode: install pillow-heif, or convert it"),
        (b"Pf 1 1 -1.0\n" + struct.pack("<f", 0.5), "floating-point pixels"),
        (bomb(10_001, 10_000), "more than 100 million pixels: a decompression bomb"),
        (bomb(300_000, 300_000), "more than 100 million pixels: a decompression bomb"),
    ],
)
@pytest.mark.filterwarnings("ignore:Image size")
def test_a_bad_picture_is_refused_for_its_reason(raw, reason):
    with pytest.raises((PictureError, OSError), match=reason):
        decode_picture(raw, 8)


def test_the_limit_is_a_hundred_megapixels():
    assert no_bomb_but_large().shape == (2, 2, 3)
    assert 9_600 * 10_000 < MAX_PIXELS < 10_001 * 10_000


@given(position=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_flipped_bit_in_a_png_never_goes_unseen(position, bit):
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    raw = bytearray(encode(Image.fromarray(noise), "PNG"))
    raw[position % len(raw)] ^= 1 << bit
    try:
        got = decode_picture(bytes(raw), None)
    except Exception:
        return
    np.testing.assert_array_equal(got, noise)


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8))
WHOLE = [
    *(encode(NOISE, kind) for kind in ("PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG", "AVIF")),
    *(encode(NOISE, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate")),
    *(encode(NOISE, "JPEG2000"), encode(NOISE, "JPEG", progressive=True)),
    encode(NOISE, "JPEG2000", irreversible=True, quality_layers=[20, 10, 5]),
]


@pytest.mark.filterwarnings("ignore")
@given(raw=st.sampled_from(WHOLE), kept=st.floats(0, 1, exclude_max=True))
def test_a_picture_that_breaks_off_never_goes_unseen(raw, kept):
    try:
        got = decode_picture(raw[: int(kept * len(raw))], None)
    except Exception:
        return
    np.testing.assert_array_equal(got, decode_picture(raw, None))


def test_what_was_read_wrongly_before_has_another_digest_and_nothing_else():
    greys = np.array([[1, 2], [3, 4]], np.uint16)[..., None]
    contents = [tiff(greys), tiff(greys, 0), tiff(FLAT), tiff(FLAT, 0), without_adobe(INKS), INKS]
    contents += [tiff(FLAT, more=[(339, 3, 1, 2)]), tiff(FLAT[:1], 1, 12, bytes(6)), *WHOLE]
    indexed, _ = index_listing(listing(contents))
    plain = [hashlib.sha256(content).digest() for content in contents]
    changed = [found.tobytes() != before for found, before in zip(indexed.digests, plain, strict=True)]
    assert changed == [False, True, False, False, True, False, True, True, *[False] * len(WHOLE)]


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError, match="not a regular file"):
        decode_picture(tmp_path / "pipe.png", 8)


# --- a listing ---


def listing(contents, labels=None, names=("a", "b")):
    pictures = [Picture(f"p{i}", content) for i, content in enumerate(contents)]
    labels = np.arange(len(contents)) % 2 if labels is None else labels
    return Listing(names, np.asarray(labels), lambda: pictures)


def grey(value, shape=(6, 6)):
    return np.full(shape, value, dtype=np.uint8)


def test_one_small_square_size_is_kept(tmp_path):
    decoded = decode_listing(listing([grey(i) for i in range(4)]), None, tmp_path)
    assert decoded.pixels.shape == (4, 6, 6, 3)
    np.testing.assert_array_equal(decoded.pixels[:, 0, 0, 0], range(4))


@pytest.mark.parametrize("shapes", [[(6, 6), (6, 7)], [(6, 7), (6, 6)], [(300, 300)] * 2, [(6, 6), (7, 7)]])
def test_other_sizes_stay_in_their_files(shapes):
    contents = [b"bad", *(grey(50 + i, shape) for i, shape in enumerate(shapes))]
    indexed, is_small = index_listing(listing(contents))
    assert not is_small and indexed.pixels is None and indexed.image_ids.tolist() == [1, 2]
    assert [failure.image_id for failure in indexed.failures] == [0]
    same, _ = index_listing(listing(contents))
    np.testing.assert_array_equal(indexed.digests, same.digests)
    other, _ = index_listing(listing([*contents[:2], grey(99, shapes[1])]))
    assert (indexed.digests == other.digests).all(axis=1).tolist() == [True, False]


def test_small_squares_of_one_size_are_known_by_their_headers():
    assert index_listing(listing([grey(1), encode(Image.fromarray(grey(2)), "PNG"), b"bad"]))[1]


def test_a_reader_that_miscounts_or_stops_is_one_line(tmp_path):
    def broken():
        yield Picture("first", grey(1))
        raise RuntimeError("disk on fire")

    with pytest.raises(SourceError, match="gave 2 pictures for 3 labels"):
        decode_listing(listing([grey(1), grey(2)], [0, 1, 0]), None, tmp_path)
    with pytest.raises(SourceError, match="gave more pictures for 1 labels"):
        decode_listing(listing([grey(1), grey(2)], [0]), None, tmp_path)
    with pytest.raises(SourceError, match="at picture 1: RuntimeError: disk on fire"):
        decode_listing(Listing(("a",), np.zeros(2, dtype=int), broken), None, tmp_path)


def good(number, size):
    """A picture whose colour is its number."""
    colour = (number % 256, number // 256, 255 - number % 256)
    return encode(Image.new("RGB", (size, size), colour), "PNG")


def spoil(raw, how):
    return {
        "good": raw,
        "empty": b"",
        "truncated": raw[: len(raw) // 2],
        "foreign": b"\x7fELF" + raw,
        "corrupt": raw[:45] + bytes([raw[45] ^ 255]) + raw[46:],
        "bomb": bomb(50_000, 50_000),
        "refused": PictureError("leads out"),
    }[how]


KINDS = st.sampled_from(["good", "good", "empty", "truncated", "foreign", "corrupt", "bomb", "refused"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kinds=st.lists(KINDS, max_size=12), start=st.integers(0, 60_000))
def test_rows_and_failures_are_the_files_and_every_row_its_own(tmp_path, kinds, start):
    contents = [spoil(good(start + i, 4 + (start + i) % 2), kind) for i, kind in enumerate(kinds)]
    decoded = decode_listing(listing(contents), 5, tmp_path)
    assert len(decoded.pixels) + len(decoded.failures) == len(kinds)
    assert list(decoded.image_ids) == [i for i, kind in enumerate(kinds) if kind == "good"]
    assert [f.image_id for f in decoded.failures] == [i for i, kind in enumerate(kinds) if kind != "good"]
    np.testing.assert_array_equal(decoded.labels, decoded.image_ids % 2)
    for pixels, image_id in zip(decoded.pixels, decoded.image_ids, strict=True):
        number = start + int(image_id)
        assert (pixels == (number % 256, number // 256, 255 - number % 256)).all()
    for failure in decoded.failures:
        assert failure.error.startswith(f"p{failure.image_id}: ") and "\n" not in failure.error
