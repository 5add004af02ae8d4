"""Record LSL streams into an XDF file, as LabRecorder does: https://github.com/sccn/xdf.

What is received from inlets, with the clock offsets that they measure; nothing of ours helps.
"""

import struct


def _varlen(n):
    return b"\x04" + struct.pack("<I", n)


class XdfRecorder:
    """Pull from inlets, write at the end; streams of doubles or of one text."""

    def __init__(self, path, inlets):
        self._path, self._inlets = path, inlets
        self._samples = [[] for _ in inlets]
        self._offsets = [[] for _ in inlets]
        self._headers = [inlet.info(60).as_xml().encode() for inlet in inlets]

    def pull(self):
        """Take what has come; return how many samples there are by now, by inlet."""
        for n, inlet in enumerate(self._inlets):
            while True:
                sample, at_s = inlet.pull_sample(0.0)
                if sample is None:
                    break
                self._samples[n].append((at_s, sample))
        return [len(samples) for samples in self._samples]

    def measure(self, clock):
        """Note the clock offset of each stream."""
        for n, inlet in enumerate(self._inlets):
            offset_s = inlet.time_correction(60)
            self._offsets[n].append((clock(), offset_s))

    def write(self):
        with self._path.open("wb") as file:
            file.write(b"XDF:")
            self._chunk(file, 1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
            for n, header in enumerate(self._headers):
                self._chunk(file, 2, struct.pack("<I", n) + header)
            for n, samples in enumerate(self._samples):
                body = b"".join(self._sample(*one) for one in samples)
                self._chunk(file, 3, struct.pack("<I", n) + _varlen(len(samples)) + body)
                for at_s, offset_s in self._offsets[n]:
                    self._chunk(file, 4, struct.pack("<Idd", n, at_s, offset_s))
                self._chunk(file, 6, struct.pack("<I", n) + self._footer(n))

    def _footer(self, n):
        offsets = "".join(
            f"<offset><time>{at_s!r}</time><value>{value_s!r}</value></offset>"
            for at_s, value_s in self._offsets[n]
        )
        samples = self._samples[n]
        return (
            f"<?xml version='1.0'?><info><first_timestamp>{samples[0][0]!r}</first_timestamp>"
            f"<last_timestamp>{samples[-1][0]!r}</last_timestamp>"
            f"<sample_count>{len(samples)}</sample_count>"
            f"<clock_offsets>{offsets}</clock_offsets></info>"
        ).encode()

    @staticmethod
    def _sample(at_s, values):
        if isinstance(values[0], str):
            text = values[0].encode()
            return b"\x08" + struct.pack("<d", at_s) + _varlen(len(text)) + text
        return b"\x08" + struct.pack(f"<d{len(values)}d", at_s, *values)

    @staticmethod
    def _chunk(file, tag, content):
        file.write(_varlen(len(content) + 2) + struct.pack("<H", tag) + content)
