from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest

from realtime_affect.capture.image import UprightConverter, as_bgr, turn


def matrix(a, b, c, d):
    return np.array([a, b, 0, c, d, 0, 0, 0, 1 << 14], np.int32).tobytes()


def coordinates(height, width):
    """An image that holds its own x and y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    "signs",
    [
        (1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0),
        (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0),
    ],
)  # fmt: skip
def test_every_turn_and_mirroring_moves_pixels_as_the_matrix_says(signs):
    a, b, c, d = signs
    image = coordinates(3, 5)
    turned = turn(image, matrix(*(65536 * sign for sign in signs)))
    x, y = image[..., 0].astype(int), image[..., 1].astype(int)
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned[to_y, to_x], image)


BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)


def video_frame(name, channels):
    """A frame of three planes, each padded as decoders pad them."""
    height, width = channels[0].shape
    frame = av.VideoFrame(width, height, name)
    for plane, channel in zip(frame.planes, channels, strict=True):
        content = np.zeros((plane.height, plane.line_size), np.uint8)
        content[: channel.shape[0], : channel.shape[1]] = channel
        plane.update(content.tobytes())
    return frame


def bgr_of(channels, shared, luma, *, full):
    """ITU-T H.273, section 8.3, in float64; every chroma value serves the pixels that share it."""
    height, width = channels[0].shape
    y, u, v = (channel.astype(float) for channel in channels)
    u, v = (c.repeat(shared[1], 0).repeat(shared[0], 1)[:height, :width] for c in (u, v))
    if not full:
        y, u, v = (y - 16) / 219 * 255, (u - 128) / 224 * 255, (v - 128) / 224 * 255
    else:
        u, v = u - 128, v - 128
    red, blue = luma
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([b, g, r], axis=-1), 0, 255)


@pytest.mark.parametrize(
    ("name", "shared", "full"),
    [
        ("yuv420p", (2, 2), False), ("yuv422p", (2, 1), False), ("yuv444p", (1, 1), False),
        ("yuvj420p", (2, 2), True), ("yuvj422p", (2, 1), True), ("yuvj444p", (1, 1), True),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("code", "luma"), [(2, BT601), (1, BT709), (6, BT601), (9, BT2020)])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (35, 57)])
def test_a_decoded_picture_is_right_to_the_nearest_level(
    name, shared, full, code, luma, height, width
):
    rng = np.random.default_rng(0)
    half = -(-height // shared[1]), -(-width // shared[0])
    channels = [
        rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((height, width), half, half)
    ]
    frame = video_frame(name, channels)
    frame.colorspace = code
    image = UprightConverter().convert(frame)
    error = image - bgr_of(channels, shared, luma, full=full)
    assert image.flags.c_contiguous
    assert np.abs(error).max() < 0.8
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.1


def test_a_stated_range_counts_for_a_format_that_does_not_tell():
    channels = [np.full(shape, value, np.uint8)
                for shape, value in (((4, 4), 200), ((2, 2), 128), ((2, 2), 128))]  # fmt: skip
    frame = video_frame("yuv420p", channels)
    converter = UprightConverter()
    assert (converter.convert(frame) == round((200 - 16) / 219 * 255)).all()
    frame.color_range = 2
    assert (converter.convert(frame) == 200).all()


def test_other_formats_are_neither_darkened_nor_tinted():
    colours = np.random.default_rng(0).integers(60, 200, (5, 8, 3), dtype=np.uint8)
    image = colours.repeat(8, axis=0).repeat(8, axis=1)
    for name in ("nv12", "yuv420p10le", "rgb24"):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
            format=name, interpolation="ACCURATE_RND"
        )
        error = UprightConverter().convert(frame).astype(float) - image
        assert np.abs(np.median(error, axis=(0, 1))).max() <= 0.5, name


def test_a_picture_stored_upwards_is_read_upwards():
    luma = np.linspace(30, 220, 16 * 12).astype(np.uint8).reshape(16, 12)
    frame = video_frame("yuv420p", [luma, np.full((8, 6), 128), np.full((8, 6), 128)])
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(width=12, height=16, format="yuv420p", time_base=Fraction(1, 30)),
        graph.add("vflip"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    nodes[0].push(frame)
    flipped = nodes[-1].pull()
    assert flipped.planes[0].line_size < 0
    upright = UprightConverter().convert(frame).astype(int)
    assert np.abs(UprightConverter().convert(flipped) - upright[::-1]).max() <= 1


def test_pictures_of_another_size_or_format_may_follow_in_one_stream():
    converter = UprightConverter()
    kept = []
    for name, size in (("yuv420p", (4, 6)), ("yuv444p", (4, 6)), ("yuv420p", (8, 4))):
        half = size if name == "yuv444p" else (size[0] // 2, size[1] // 2)
        for value in (50, 180):
            channels = [np.full(size, value), np.full(half, 128), np.full(half, 128)]
            image = converter.convert(video_frame(name, channels))
            kept.append((image, size, round((value - 16) / 219 * 255)))
    for image, size, grey in kept:  # the converter writes into none that it gave away
        assert image.shape == (*size, 3)
        assert (image == grey).all()


def test_a_skew_matrix_leaves_the_picture_as_it_is():
    image = coordinates(3, 5)
    np.testing.assert_array_equal(turn(image, matrix(46341, 46341, -46341, 46341)), image)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 100), (np.uint16, 100 << 8 | 77)])
def test_any_camera_format_becomes_bgr_of_8_bit(shape, dtype, value):
    image = as_bgr(np.full(shape, value, dtype))
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert (image == 100).all()
