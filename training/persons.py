"""Which persons of Labeled Faces in the Wild are learned from, and which are kept out.

The pack names persons by a hash, so the split is by its last tenth: fixed, the same for every
network, and no person stands on both sides. A fifth is kept out of every training. Half of that
fifth, ``validation``, may serve for choices (thresholds, curves, margins); the other half,
``test``, only for reporting.
"""

from __future__ import annotations

from typing import Final, Literal

Split = Literal["test", "validation", "train"]

_TENTHS: Final[dict[int, Split]] = {0: "test", 1: "validation"}


def split_of(person: str | int) -> Split:
    """Return the split of a person.

    Parameters
    ----------
    person : str or int
        The hash, in hexadecimal digits as ``lfw_train.npz`` stores it, or the number they mean.
    """
    number = int(person, 16) if isinstance(person, str) else int(person)
    return _TENTHS.get(number % 10, "train")


def held_out(person: str | int) -> bool:
    """Return whether no network may be trained on a person: true of a fifth of them."""
    return split_of(person) != "train"
