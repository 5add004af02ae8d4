"""What a file is, by its first bytes: a still image, a video, or neither.

Names come first where they say something (:mod:`~realtime_affect.capture.inputs`); content decides
where they do not, and which images move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

Content = Literal["still", "video", ""]

_HEAD_BYTES: Final = 4096  # an APNG says so before its first image, other formats at once
_TS_BYTES: Final = 188  # a packet of a transport stream
_STILL_MAGIC: Final = {
    b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
}  # fmt: skip
_VIDEO_MAGIC: Final = (
    b"\x1a\x45\xdf\xa3", b"GIF8", b"FLV\x01", b"OggS", b"\0\0\x01\xba", b"\0\0\x01\xb3",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"YUV4MPEG2 ", b"DKIF",
)  # fmt: skip
_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf"})
_MOVING_BRANDS: Final = frozenset({b"avis", b"hevc", b"hevx", b"msf1"})
_NO_VIDEO_BRANDS: Final = frozenset({b"M4A ", b"M4B ", b"crx "})  # sound, raw photographs


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file: enough for the other functions of this module."""
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def content_of(head: bytes) -> Content:
    """Tell what a file is by its first bytes; empty where they say nothing that we know."""
    if still_format(head):
        return "video" if is_moving(head) else "still"
    if head[4:8] == b"ftyp":
        return "" if head[8:12] in _NO_VIDEO_BRANDS else "video"
    if head.startswith(_VIDEO_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return "video"
    packets = head[::_TS_BYTES][:8]
    return "video" if len(packets) == 8 and set(packets) == {0x47} else ""


def still_format(head: bytes) -> str:
    """Return the format of an image, also of one that moves; empty for what is none."""
    for magic, name in _STILL_MAGIC.items():
        if head.startswith(magic):
            return name
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "BMP"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \n\r\t" and head[2:3]:
        return "PNM"
    brands = _brands(head)
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIC" if brands & (_HEIF_BRANDS | {b"msf1"}) else ""


def is_moving(head: bytes) -> bool:
    """Whether an image has several frames with times: APNG, animated WebP, AVIF and HEIF."""
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head.partition(b"IDAT")[0]
    if head[8:16] == b"WEBPVP8X":
        return len(head) > 20 and bool(head[20] & 0x02)
    brands = _brands(head)
    return head[8:12] in _MOVING_BRANDS or (b"avis" in brands and b"avif" not in brands)


def _brands(head: bytes) -> set[bytes]:
    """Return the brands of an ISO base media file (ISO/IEC 14496-12, section 4.3)."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
