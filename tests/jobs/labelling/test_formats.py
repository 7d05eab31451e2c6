"""Each accepted format reaches the graph as pixels that it can decode, upright, as Pillow shows them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from jobs.labelling.formats import for_graph, upright_pixels
from jobs.labelling.header import ImageHeader, ImageLimits, ImageSize, check_image
from jobs.labelling.rejection import ImageRejectedError

LIMITS = ImageLimits(megapixels=1, megabytes=1)
LOSSLESS = {"WEBP": {"lossless": True, "exact": True}}


def picture(mode="RGB", width=40, height=24):
    """A picture of which no turn looks like another."""
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.stack([down * 10, across * 6, (down > across) * 200], axis=2).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image, form, **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def decoded(content):
    """What a graph's decoder makes of it."""
    import tensorflow as tf

    return tf.io.decode_jpeg(for_graph(content, check_image(content, LIMITS)), channels=3).numpy()


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options"), [("JPEG", {"quality": 100, "subsampling": 0}), ("PNG", {}), ("WEBP", LOSSLESS["WEBP"])]
)
def test_an_image_is_turned_upright_as_its_camera_says(form, options, orientation):
    content = encoded(picture(), form, exif=oriented(orientation), **options)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert check_image(content, LIMITS).size == ImageSize(*shown.size)
    difference = np.abs(decoded(content).astype(int) - np.asarray(shown.convert("RGB")))
    assert difference.mean() <= (2 if form == "JPEG" else 0), "decoders of JPEG round otherwise"


@pytest.mark.parametrize("exif", [oriented(9), oriented(0), b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_an_orientation_that_means_nothing_is_passed_over(exif):
    content = encoded(picture(), "JPEG", exif=exif)
    assert for_graph(content, check_image(content, LIMITS)) is content


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_an_upright_jpeg_goes_to_the_graph_as_it_is(mode):
    content = encoded(picture(mode), "JPEG")
    assert for_graph(content, check_image(content, LIMITS)) is content
    assert decoded(content).shape == (24, 40, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_png_of_any_kind_goes_to_the_graph_as_it_is(mode):
    content = encoded(picture(mode), "PNG")
    assert for_graph(content, check_image(content, LIMITS)) is content
    assert (decoded(content) == np.asarray(picture(mode).convert("RGB"))).all()


def test_of_16_bits_the_graph_gets_the_upper_8():
    values = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 68
    assert (decoded(encoded(Image.fromarray(values), "PNG"))[:, :, 0] == values // 256).all()


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_seen(form):
    frames = [Image.new("RGB", (40, 24), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], form, save_all=True, append_images=frames[1:], **LOSSLESS.get(form, {}))
    assert (decoded(content) == (255, 0, 0)).all()


def animation(canvas=(40, 24), **options):
    """Two frames; of a canvas that is said to be larger, they fill the upper left corner."""
    frames = [Image.fromarray(np.roll(np.asarray(picture("RGBA")), turn, axis=1)) for turn in (0, 7)]
    for frame in frames:
        frame.putalpha(frame.getchannel("R").point(lambda value: 255 - value // 2))
    if not options.pop("transparent"):
        frames = [frame.convert("RGB") for frame in frames]
    content = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], **options)
    return content[:24] + b"".join((side - 1).to_bytes(3, "little") for side in canvas) + content[30:]


@pytest.mark.parametrize("canvas", [(40, 24), (50, 31)], ids=["whole", "part"])
@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("transparent", [True, False])
def test_the_first_frame_of_an_animated_webp_is_what_pillow_shows_of_it_on_white(canvas, lossless, transparent):
    content = animation(canvas, lossless=lossless, transparent=transparent)
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 2
        shown = Image.new("RGBA", image.size, "white")
        shown.alpha_composite(image.convert("RGBA"))
    assert shown.size == canvas
    assert (decoded(content) == np.asarray(shown.convert("RGB"))).all()


def test_an_animated_webp_without_a_whole_frame_is_unreadable():
    content = animation(lossless=True, transparent=False)
    with pytest.raises(ImageRejectedError, match="unreadable: an animation without a whole first frame"):
        upright_pixels(content[: content.index(b"ANMF") + 60], ImageHeader("WEBP", ImageSize(40, 24)))
    with pytest.raises(ImageRejectedError, match="unreadable: a frame of 40 x 24 pixels where there is none"):
        upright_pixels(content, ImageHeader("WEBP", ImageSize(39, 30)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("form", ["GIF", "BMP", "WEBP"])
def test_other_formats_lose_nothing_on_their_way(form, mode):
    content = encoded(picture(mode), form, **LOSSLESS.get(form, {}))
    assert (decoded(content) == np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))).all()


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_what_is_transparent_is_shown_on_white(form):
    image = Image.new("RGBA", (40, 24), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 24))
    content = encoded(image, form, **LOSSLESS.get(form, {}))
    pixels = decoded(content)
    assert (pixels[:, :20] == 255).all()
    assert (pixels[:, 20:] == (255, 0, 0)).all()


@pytest.mark.parametrize("form", ["GIF", "BMP", "WEBP", "JPEG"])
def test_an_image_that_ends_early_is_unreadable(form):
    content = encoded(picture(), form, **({"exif": oriented(6)} if form == "JPEG" else {}))
    with pytest.raises(ImageRejectedError) as rejected:
        decoded(content[: len(content) * 2 // 3])
    assert rejected.value.reason in ("unreadable", "not_an_image")
    assert "\n" not in rejected.value.detail


def test_a_jpeg_of_very_many_scans_is_refused_before_it_takes_hours():
    content = encoded(picture(), "JPEG", progressive=True)
    start = content.index(b"\xff\xda")
    end = content.index(b"\xff", start + 2)
    while content[end + 1] == 0:
        end = content.index(b"\xff", end + 2)
    many = content[:start] + content[start:end] * 200 + content[start:]
    with pytest.raises(ImageRejectedError, match=r"too_large: 2\d\d scans over its 960 pixels, over 100"):
        check_image(many, LIMITS)
