import io

import numpy as np
import pytest
from PIL import Image

from realtime_affect.capture import CaptureConfig, SourceState, open_source
from realtime_affect.capture.animated import AnimatedImage
from realtime_affect.capture.content import content_of, is_moving, read_head, still_format
from realtime_affect.capture.stills import StillImages, read_image
from realtime_affect.errors import InputError
from tests.realtime_affect.capture.media import read_all, write_video

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def image(color=RED, size=(32, 24)):
    return Image.new("RGB", size, color)


def moving(path, **options):
    image().save(path, save_all=True, append_images=[image(GREEN), image(BLUE)], **options)
    return path


def test_content_says_what_a_name_does_not(tmp_path):
    for n, form in enumerate(("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "PPM")):
        path = tmp_path / str(n)
        image().save(path, form)
        assert content_of(read_head(path)) == "still", form
    for suffix in ("mp4", "mkv", "avi", "ts", "webm", "gif"):
        codec = {"webm": "libvpx", "ts": "mpeg2video", "gif": "gif"}.get(suffix, "mpeg4")
        pix_fmt = "rgb8" if suffix == "gif" else "yuv420p"
        path = write_video(tmp_path / f"a.{suffix}", 30, (160, 120), codec, pix_fmt)
        assert content_of(read_head(path)) == "video", suffix
    for head in (b"", b"plain text\n" * 50, b"\0" * 400, b"a,b\n1,2\n"):
        assert content_of(head) == ""


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_an_animated_image_is_a_video_with_its_own_times(tmp_path, suffix):
    path = moving(tmp_path / f"a{suffix}", duration=[100, 250, 50])
    assert is_moving(read_head(path))
    source = open_source(path, live=False)
    frames = read_all(source)
    assert [frame.t_ns // 1_000_000 for frame in frames] == [0, 100, 350]
    assert source.info.kind == "video"
    assert frames[0].image[4, 4, 2] > 200 > frames[0].image[4, 4, 0], "BGR"
    assert frames[2].image[4, 4, 0] > 200
    assert source.state is SourceState.ENDED
    source.close()


def test_an_animated_image_cut_off_gives_what_is_there_and_says_so(tmp_path):
    rng = np.random.default_rng(1)
    noise = [Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)) for _ in range(4)]
    path = tmp_path / "a.webp"
    noise[0].save(path, save_all=True, append_images=noise[1:])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    try:
        source = AnimatedImage(path)
    except InputError as error:
        assert "a.webp" in str(error)  # noqa: PT017  (either is right; libraries differ)
    else:
        assert len(read_all(source)) < 4
        assert source.warnings


def test_an_avif_is_shown_upright(tmp_path):
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = tmp_path / "a.avif"
    Image.fromarray(wide).save(path, exif=exif)
    read = read_image(path)
    assert read.shape == (32, 16, 3)
    assert read[:12].min() > 200
    assert read[20:].max() < 50


def test_a_heic_image_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + b"\0" * 400)
    assert still_format(read_head(path)) == "HEIC"
    with pytest.raises(InputError, match=r"IMG_1\.HEIC: got a HEIC image.*must be converted"):
        open_source(path, CaptureConfig(), live=False)


def test_a_truncated_image_is_called_so(tmp_path):
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        data, "PNG"
    )
    path = tmp_path / "a.png"
    path.write_bytes(data.getvalue()[:40])
    with pytest.raises(InputError, match="a damaged or truncated PNG image"):
        read_image(path)


def test_pages_that_are_not_read_are_said(tmp_path):
    path = tmp_path / "a.tif"
    image().save(path, save_all=True, append_images=[image(BLUE)])
    assert StillImages([path]).warnings == ("only the first page of 1 TIFF files was read",)
