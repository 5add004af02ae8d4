"""Send moving images to a URL: ``sender.py URL CONTAINER``; ends after a minute at the latest."""

import sys
import time

import av
import numpy as np


def send(url, container_format, until_s):
    options = {"rtsp_transport": "tcp"} if container_format == "rtsp" else {}
    with av.open(url, "w", format=container_format, options=options, timeout=3.0) as container:
        codec = "mpeg4" if container_format == "rtsp" else "mpeg2video"
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.gop_size = 10
        stream.codec_context.max_b_frames = 0
        i = 0
        while time.monotonic() < until_s:
            image = np.full((120, 160, 3), i * 5 % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = i
            container.mux(stream.encode(frame))
            i += 1
            time.sleep(1 / 30)


if __name__ == "__main__":
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        try:
            send(sys.argv[1], sys.argv[2], end_s)
        except OSError:
            time.sleep(0.1)  # nobody listens yet
