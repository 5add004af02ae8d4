"""Which TensorRT has run a network that is trained here: what its card says, and keeps saying.

A new network has been run by none, whatever ran the last one; so a card that is written anew takes
over what the card before it said of the very same files, and of others nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from affect_engines.cards import parse_card

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def ran_by_tensorrt(card: Path, digests: Collection[str]) -> tuple[str, ...]:
    """Return what `card` says has run, if it is of the files with these SHA-256.

    Parameters
    ----------
    card : Path
        The card about to be written over; need not be there.
    digests : collection of str
        Of all forms of the network.
    """
    if not card.is_file():
        return ()
    before = parse_card(card.stem, card.read_text("utf-8"))
    same = {form.sha256 for form in before.all_forms()} == set(digests)
    return before.ran_by_tensorrt or () if same else ()


def proof_lines(ran: Collection[str]) -> list[str]:
    """Return the lines of a card that say it."""
    so_far = "" if ran else ": none yet"
    return [
        f"# Versions of TensorRT that have really run a plan of it, each with the GPU{so_far}.",
        f"ran_by_tensorrt = [{', '.join(json.dumps(version) for version in ran)}]",
    ]
