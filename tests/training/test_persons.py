"""Persons kept out of training."""

from __future__ import annotations

import numpy as np
import pytest

from training.persons import held_out, split_of

HASHES = [f"{number:08x}" for number in np.random.default_rng(5).integers(0, 2**32, 4000).tolist()]


def test_a_fifth_of_the_persons_is_kept_out_of_every_training() -> None:
    share = np.mean([held_out(person) for person in HASHES])
    assert 0.17 < share < 0.23


@pytest.mark.parametrize("split", ["test", "validation"])
def test_each_half_of_those_kept_out_is_a_tenth(split: str) -> None:
    share = np.mean([split_of(person) == split for person in HASHES])
    assert 0.085 < share < 0.115


def test_a_hash_and_the_number_it_means_are_the_same_person() -> None:
    assert [split_of(person) for person in HASHES] == [split_of(int(p, 16)) for p in HASHES]
