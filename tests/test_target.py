"""Any picture people have becomes the same square; what is no picture is refused in one line."""

import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from approach.errors import UserError
from approach.sources import sha256_of
from approach.target import (
    FORMATS,
    MAX_PIXELS,
    PAD_COLOUR,
    check_picture,
    made_from,
    prepare_target,
    read_target,
    write_target,
)

SIZE = 32
LEFT, RIGHT = (200, 40, 80), (20, 160, 120)


def halves(size=(96, 96), left=LEFT, right=RIGHT, mode="RGB") -> Image.Image:
    """A picture whose left half has one colour and whose right half another."""
    picture = Image.new(mode, size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


def prepared(picture: Image.Image, path, *, suffix=".png", save=None, **options) -> np.ndarray:
    path = path / f"picture{suffix}"
    picture.save(path, **(save or {}))
    check_picture(path)
    square = prepare_target(path, SIZE, **options)
    assert (square.mode, square.size) == ("RGBA", (SIZE, SIZE))
    return np.asarray(square).astype(int)


def assert_halves(values: np.ndarray, left=LEFT, right=RIGHT, tolerance=2) -> None:
    assert np.abs(values[:, : SIZE // 2 - 4, :3] - left).max() <= tolerance
    assert np.abs(values[:, SIZE // 2 + 4 :, :3] - right).max() <= tolerance
    assert (values[..., 3] == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", *([".avif"] if "AVIF" in FORMATS else [])])
def test_every_format(suffix, tmp_path):
    save = {".jpg": {"quality": 98, "subsampling": 0}, ".webp": {"lossless": True}, ".avif": {"quality": 95}}
    tolerance = 6 if suffix == ".avif" else 3
    assert_halves(prepared(halves(), tmp_path, suffix=suffix, save=save.get(suffix)), tolerance=tolerance)


def test_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: to be turned by 90 degrees clockwise
    lying = halves().transpose(Image.Transpose.ROTATE_90)
    assert_halves(prepared(lying, tmp_path, suffix=".jpg", save={"exif": exif, "quality": 98}), tolerance=4)


def test_the_focus_means_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = halves((192, 96)).transpose(Image.Transpose.ROTATE_90)
    values = prepared(lying, tmp_path, save={"exif": exif}, focus=(0.0, 0.5))
    assert np.abs(values[:, : SIZE - 3, :3] - LEFT).max() <= 2


def test_transparency_lies_on_white_and_is_seen(tmp_path):
    picture = halves(left=(*LEFT, 255), right=(0, 0, 0, 0), mode="RGBA")
    assert_halves(prepared(picture, tmp_path), right=(255, 255, 255))
    half = halves(left=(*LEFT, 255), right=(0, 0, 0, 128), mode="RGBA")
    assert_halves(prepared(half, tmp_path), right=(127, 127, 127))


def test_greyscale_with_and_without_alpha(tmp_path):
    assert_halves(prepared(halves(left=30, right=220, mode="L"), tmp_path), (30,) * 3, (220,) * 3)
    grey = halves(left=(30, 255), right=(220, 0), mode="LA")
    assert_halves(prepared(grey, tmp_path), (30,) * 3, (255,) * 3)
    assert_halves(prepared(halves(left=0, right=1, mode="1"), tmp_path), (0,) * 3, (255,) * 3)


def test_palette_with_and_without_transparency(tmp_path):
    palette = halves().quantize(4)
    assert_halves(prepared(palette, tmp_path))
    assert_halves(prepared(palette, tmp_path, suffix=".gif"))
    index = palette.getpixel((95, 5))
    assert_halves(prepared(palette, tmp_path, save={"transparency": index}), right=(255, 255, 255))


def test_of_an_animation_the_first_frame(tmp_path):
    frames = {"save_all": True, "append_images": [Image.new("RGB", (96, 96), "black")]}
    assert_halves(prepared(halves(), tmp_path, suffix=".gif", save=frames))


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk(suffix, tmp_path):
    picture = halves(left=(0, 255, 255, 0), right=(255, 0, 0, 0), mode="CMYK")
    assert_halves(prepared(picture, tmp_path, suffix=suffix), (255, 0, 0), (0, 255, 255), tolerance=4)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_not_clipped(suffix, tmp_path):
    values = np.full((96, 96), 12_850, np.uint16)  # 50 of 255
    values[:, 48:] = 51_400  # 200 of 255
    assert_halves(prepared(Image.fromarray(values), tmp_path, suffix=suffix), (50,) * 3, (200,) * 3, tolerance=1)


def test_deep_tiff_integers_and_floats(tmp_path):
    values = np.full((96, 96), 0.25, np.float32)
    values[:, 48:] = 0.75
    assert_halves(prepared(Image.fromarray(values), tmp_path, suffix=".tif"), (64,) * 3, (191,) * 3, tolerance=1)
    whole = (values * 65_535).astype(np.int32)
    assert_halves(prepared(Image.fromarray(whole), tmp_path, suffix=".tif"), (64,) * 3, (191,) * 3, tolerance=1)


def swapped_profile() -> bytes:
    """An sRGB profile whose red and green primaries are exchanged: its effect cannot be missed."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    tags = {bytes(profile[p : p + 4]): p for p in range(132, 132 + 12 * count, 12)}
    red, green = (slice(tags[name] + 4, tags[name] + 12) for name in (b"rXYZ", b"gXYZ"))
    profile[red], profile[green] = profile[green], profile[red]
    return bytes(profile)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_an_embedded_profile_is_converted_to_srgb(suffix, tmp_path):
    save = {"icc_profile": swapped_profile()} | ({"quality": 98, "subsampling": 0} if suffix == ".jpg" else {})
    exchanged = [(g, r, b) for r, g, b in (LEFT, RIGHT)]
    assert_halves(prepared(halves(), tmp_path, suffix=suffix, save=save), *exchanged, tolerance=4)


def test_a_profile_applies_under_transparency_and_to_grey(tmp_path):
    picture = halves(left=(*LEFT, 255), right=(0, 0, 0, 0), mode="RGBA")
    values = prepared(picture, tmp_path, save={"icc_profile": swapped_profile()})
    assert_halves(values, (LEFT[1], LEFT[0], LEFT[2]), (255, 255, 255), tolerance=4)
    grey = prepared(halves(left=30, right=220, mode="L"), tmp_path, save={"icc_profile": swapped_profile()})
    assert_halves(grey, (30,) * 3, (220,) * 3)


def test_a_broken_profile_is_ignored_with_a_warning(tmp_path, caplog):
    assert_halves(prepared(halves(), tmp_path, save={"icc_profile": b"no profile at all"}))
    assert "profile" in caplog.text


def test_crop_takes_the_square_nearest_the_focus(tmp_path):
    wide = Image.fromarray(np.repeat(np.arange(240, dtype=np.uint8)[None], 60, 0))  # the value says the column
    for focus, middle in ((0.0, 29.5), (0.5, 119.5), (0.25, 59.5), (1.0, 209.5)):
        values = prepared(wide, tmp_path, focus=(focus, 0.5))
        assert abs(values[..., 0].mean() - middle) < 0.5
    tall = wide.transpose(Image.Transpose.ROTATE_270)
    assert abs(prepared(tall, tmp_path, focus=(0.5, 1.0))[..., 0].mean() - 209.5) < 0.5


def test_padding_is_alpha_zero_and_the_picture_whole(tmp_path):
    values = prepared(halves((96, 48)), tmp_path, fit="pad")
    assert (values[:8, :, 3] == 0).all()
    assert (values[24:, :, 3] == 0).all()
    assert (values[:8, :, :3] == PAD_COLOUR).all()
    seen = values[8:24]
    assert (seen[..., 3] == 255).all()
    assert np.abs(seen[:, :12, :3] - LEFT).max() <= 2
    assert np.abs(seen[:, 20:, :3] - RIGHT).max() <= 2
    sliver = prepared(Image.new("RGB", (4000, 3), LEFT), tmp_path, fit="pad")
    assert (sliver[..., 3] == 255).any(axis=1).sum() == 1


def test_downsampling_does_not_alias(tmp_path):
    stripes = np.zeros((1024, 1024), np.uint8)
    stripes[:, ::2] = 255  # finer than any pixel of the result: must become an even grey
    values = prepared(Image.fromarray(stripes), tmp_path)
    assert np.abs(values[..., :3] - 127.5).max() < 4


def test_read_target_gives_pixels_and_mask(tmp_path):
    path = tmp_path / "picture.png"
    halves((96, 48)).save(path)
    prepare_target(path, SIZE, fit="pad").save(tmp_path / "target.png")
    target = read_target(tmp_path / "target.png")
    assert (target.pixels.shape, target.mask.shape) == ((3, SIZE, SIZE), (1, SIZE, SIZE))
    assert target.mask.sum() == SIZE * SIZE / 2
    assert target.mask[0, 8:24].all()
    assert abs(target.pixels[0, 16, 2].item() - (200 / 127.5 - 1)) < 0.02
    with pytest.raises(UserError, match="not a prepared target"):
        read_target(path)


def test_a_target_depends_on_its_picture_and_not_on_where_it_lies(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    pictures = [tmp_path / "picture.png", tmp_path / "elsewhere" / "copy.png", tmp_path / "elsewhere" / "other.png"]
    for picture, image in zip(pictures, [halves(), halves(), halves(right=LEFT)], strict=True):
        image.save(picture)
        made = {"sha256": sha256_of(picture), "fit": "crop", "focus": [0.5, 0.5]}
        write_target(picture.with_suffix(".target.png"), prepare_target(picture, SIZE), made)
    first, same, other = (picture.with_suffix(".target.png").read_bytes() for picture in pictures)
    assert first == same != other
    assert b"elsewhere" not in same
    assert made_from(pictures[0].with_suffix(".target.png")) == {**made, "sha256": sha256_of(pictures[0])}


def refused(path, pattern) -> None:
    for use in (check_picture, lambda p: prepare_target(p, SIZE)):
        with pytest.raises(UserError, match=pattern) as error:
            use(path)
        assert "\n" not in str(error.value)
        assert path.name in str(error.value)


def test_what_is_no_picture_is_refused(tmp_path):
    refused(tmp_path / "missing.png", "no such picture")
    refused(tmp_path, "a folder")
    for content in (b"this is text", b"", b"<svg xmlns='...'/>"):
        path = tmp_path / "notes.jpg"
        path.write_bytes(content)
        refused(path, "not a picture of a known format")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".gif"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_truncated_picture_is_refused(suffix, part, tmp_path):
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    refused(path, "cannot be read to its end|not a picture")


def test_an_enormous_picture_is_refused_by_its_header(tmp_path):
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    path = tmp_path / "enormous.png"
    for side in (40_000, 11_000):  # beyond Pillow's own bound, and beyond ours only
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        assert side * side > MAX_PIXELS
        begin = time.perf_counter()
        refused(path, "larger than 120 million pixels")
        assert time.perf_counter() - begin < 1


def test_checking_twelve_megapixels_is_fast(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (375, 500, 3), dtype=np.uint8)
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise).resize((4000, 3000)).save(path, quality=90)
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        check_picture(path)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.3


@pytest.mark.parametrize("options", [{"fit": "stretch"}, {"focus": (0.5, 1.5)}, {"focus": (0.5,)}])
def test_options_out_of_range_name_their_key(options, tmp_path):
    path = tmp_path / "picture.png"
    halves().save(path)
    with pytest.raises(UserError, match=f"target.{next(iter(options))}"):
        prepare_target(path, SIZE, **options)


def test_the_real_painting(weights):
    path = weights["painting"]
    check_picture(path)
    square = np.asarray(prepare_target(path, 128, focus=(0.5, 0.55)))
    assert (square[..., 3] == 255).all()
    assert square[60:75, 60:70, :3].mean() < 60 < 100 < square[:10, :, :3].mean(), "a dark coat before a pale sky"


def test_the_embedded_target_is_small_and_can_be_prepared(root):
    path = root / "resources" / "study" / "target.png"
    assert path.stat().st_size < 500_000
    check_picture(path)
    square = np.asarray(prepare_target(path, 64)).astype(int)
    assert square[26:34, 30:33, :3].mean() < 60 < 150 < square[10:18, :, :3].mean(), "a dark coat before a pale sky"
