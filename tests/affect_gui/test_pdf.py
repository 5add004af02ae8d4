"""Reports as PDF."""

from __future__ import annotations

import stat

import cv2
import numpy as np
import pytest

from realtime_affect.errors import OutputError
from realtime_affect.outputs.report import Report, Section, Table

pytestmark = pytest.mark.gui


def png(level, width=320, height=180):
    return cv2.imencode(".png", np.full((height, width, 3), level, np.uint8))[1].tobytes()


def report():
    faces = Table(("face", "measured, of those"), (("1", "100%"), ("2", "0%")))
    many = Table(("", ""), tuple((f"fact {n}", f"value {n}") for n in range(90)))
    spikes = [Section(f"spike at {n}.00s", png=png(20 * n)) for n in range(5)]
    tall = Section("timeline", tables=(faces,), png=png(90, 400, 4000))
    return Report("Session Sitz\u00fcng <1>", (Section("The session", "calm & quiet", (many,)),
                                              tall, *spikes))  # fmt: skip


def pages_of(path):
    from PyQt6.QtCore import QSize
    from PyQt6.QtGui import QImage
    from PyQt6.QtPdf import QPdfDocument

    document = QPdfDocument(None)
    assert document.load(str(path)) == QPdfDocument.Error.None_
    for n in range(document.pageCount()):
        image = document.render(n, QSize(310, 438)).convertToFormat(QImage.Format.Format_RGBA8888)
        bits = image.constBits()
        bits.setsize(image.sizeInBytes())
        pixels = np.frombuffer(bits, np.uint8).reshape(438, 310, 4)
        yield document.getAllText(n).text(), pixels[..., :3] * (pixels[..., 3:] > 128)
    document.close()


def test_text_tables_and_images_stand_on_pages_with_numbers(qapp, tmp_path):
    from affect_gui.pdf import print_pdf

    path = tmp_path / "bericht \u00fc.pdf"
    print_pdf(report(), path)
    pages = list(pages_of(path))
    text = "\n".join(words for words, _ in pages)
    assert len(pages) >= 4
    for words in (
        "Sitz\u00fcng <1>",
        "calm & quiet",
        "fact 89",
        "value 89",
        "100%",
        "spike at 4.00s",
    ):
        assert words in text, words
    assert f"{len(pages)} / {len(pages)}" in pages[-1][0]
    assert "not what a person feels" in pages[0][0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    blue = [(pixels[..., 2].astype(int) - pixels[..., 0] > 100).sum() for _, pixels in pages]
    assert max(blue) > 100, "the bar of a share"


def test_a_place_that_cannot_be_written_is_said(qapp, tmp_path):
    from affect_gui.pdf import print_pdf

    with pytest.raises(OutputError, match="choose another folder"):
        print_pdf(report(), tmp_path / "not there" / "report.pdf")
