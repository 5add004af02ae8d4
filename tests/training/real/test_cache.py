"""What is kept of real faces, and when it is made anew."""

from __future__ import annotations

import numpy as np

from training.real import cache
from training.real.cache import digest_of, kept


def test_arrays_are_made_once_and_what_is_stale_is_removed(tmp_path):
    made = []

    def make():
        made.append(len(made))
        return {"values": np.arange(3)}

    first = digest_of(("face_mesh",), ("face",), "a")
    other = digest_of(("face_mesh",), ("face",), "b")
    for digest in (first, first, other):
        assert kept(tmp_path, "clip-x", digest, make)["values"].tolist() == [0, 1, 2]
    kept(tmp_path, "clip-x-2", first, make)
    assert len(made) == 3
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([f"clip-x-{other}.npz", f"clip-x-2-{first}.npz"])


def test_a_digest_tells_networks_and_code_apart():
    assert digest_of(("face_mesh",), ("face",)) != digest_of(("iris",), ("face",))
    assert digest_of((), ("face",)) != digest_of((), ("micro",))


def test_comments_and_docstrings_do_not_make_a_file_stale():
    bare = "def f(x):\n    return x + 1\n"
    told = 'def f(x):\n    """Add one."""\n    return x + 1  # one\n'
    assert cache._meaning(bare) == cache._meaning(told)
    assert cache._meaning(bare) != cache._meaning(bare.replace("1", "2"))
