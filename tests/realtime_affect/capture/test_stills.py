import struct

import cv2
import numpy as np
import pytest

from realtime_affect.capture import SourceState
from realtime_affect.capture.stills import StillImages, read_image
from realtime_affect.errors import InputError
from tests.realtime_affect.capture.media import read_all


def write_image(path, image):
    ok, data = cv2.imencode(path.suffix, image)
    assert ok
    data.tofile(path)
    return path


@pytest.mark.parametrize(
    ("image", "level"),
    [
        (np.full((5, 7), 100, np.uint8), 100),
        (np.full((5, 7, 3), 100, np.uint8), 100),
        (np.full((5, 7, 4), 100, np.uint8), 100),
        (np.full((5, 7), 100 << 8, np.uint16), 100),
        (np.full((5, 7, 3), 100 << 8, np.uint16), 100),
        (np.full((1, 1, 3), 100, np.uint8), 100),
    ],
)
def test_grey_bgra_and_16_bit_become_bgr_of_8_bit(tmp_path, image, level):
    read = read_image(write_image(tmp_path / "a.png", image))
    assert read.shape == (*image.shape[:2], 3)
    assert read.dtype == np.uint8
    assert (read == level).all()


def test_exif_orientation_is_applied(tmp_path):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16] = 255
    plain = write_image(tmp_path / "a.jpg", image).read_bytes()
    # APP1 with one entry: tag 0x0112 (orientation) = 6, "turn 90 degrees clockwise to see it"
    exif = b"Exif\0\0" + b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    turned = tmp_path / "b.jpg"
    turned.write_bytes(
        plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    )
    read = read_image(turned)
    assert read.shape == (32, 16, 3)
    assert read[:12].min() > 200
    assert read[20:].max() < 50


def test_names_in_any_script_can_be_read(tmp_path):
    path = write_image(tmp_path / "лицо 顔 ñ.png", np.zeros((4, 4, 3), np.uint8))
    assert [frame.name for frame in read_all(StillImages([path]))] == ["лицо 顔 ñ.png"]


def test_an_8k_still_comes_whole(tmp_path):
    path = write_image(tmp_path / "big.jpg", np.zeros((4320, 7680, 3), np.uint8))
    assert read_image(path).shape == (4320, 7680, 3)


def test_stills_come_in_order_with_their_index_as_time(tmp_path):
    paths = [
        write_image(tmp_path / f"{n}.png", np.full((4 + n, 4, 3), n, np.uint8)) for n in range(3)
    ]
    source = StillImages(paths)
    assert (source.info.kind, source.info.n_frames) == ("stills", 3)
    assert (source.info.width, source.info.height) == (4, 4)
    frames = read_all(source)
    assert [(f.index, f.t_ns, f.name) for f in frames] == [
        (0, 0, "0.png"), (1, 1, "1.png"), (2, 2, "2.png"),
    ]  # fmt: skip
    assert [f.image.shape[0] for f in frames] == [4, 5, 6]
    assert source.state is SourceState.ENDED
    assert source.read(1.0) is None


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 cut off"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "odd.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.jpg"):
        StillImages([path])


def test_unreadable_images_among_others_are_skipped_and_told(tmp_path):
    good = write_image(tmp_path / "good.png", np.zeros((4, 4, 3), np.uint8))
    bad = []
    for n in range(5):
        bad.append(tmp_path / f"bad{n}.png")
        bad[-1].write_bytes(b"x")
    source = StillImages([bad[0], good, *bad[1:], good])
    assert [frame.index for frame in read_all(source)] == [0, 1]
    assert source.warnings[0] == "bad0.png skipped: no image inside"
    assert source.warnings[-1] == "2 more unreadable images skipped"


def test_a_closed_source_has_ended(tmp_path):
    source = StillImages([write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))])
    source.close()
    source.close()
    assert source.read(0.0) is None
    assert source.state is SourceState.ENDED
