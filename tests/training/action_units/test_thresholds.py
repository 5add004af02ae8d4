"""Thresholds of a network whose answers are known."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from tests.training.action_units.known_answers import (
    AGREEING,
    PERSONS,
    Network,
    photographs,
    stills,
    studio,
)
from training.action_units.thresholds import choose_thresholds


def test_a_threshold_is_never_under_a_trace():
    split = studio([0, 0, 0.4, 0.4, 1, 2, 3])
    chosen = choose_thresholds(Network(), photographs(0, 5), split, AGREEING)
    assert chosen["AU09"] == pytest.approx(1.0)


def test_a_taught_unit_is_present_as_often_as_the_teacher_shows_it():
    read = np.linspace(0.1, 4, 40)
    persons = stills(read, np.where(np.arange(40) < 30, 0.5, 1.5))
    chosen = choose_thresholds(Network(), photographs(0, 5), studio([0, 3]), persons)
    assert (read >= chosen["AU04"]).sum() == pytest.approx(8, abs=1)  # a fifth


def test_resting_faces_do_not_silence_a_taught_unit():
    read = np.linspace(0.1, 4, 40)
    persons = stills(read, np.where(np.arange(40) < 30, 0.5, 1.5))
    pictures = photographs(0, 5, others=4.5)
    chosen = choose_thresholds(Network(), pictures, studio([0, 3]), persons)
    assert (read >= chosen["AU04"]).sum() == pytest.approx(6, abs=1)  # three quarters of them
    assert chosen["AU09"] == pytest.approx(4.75)


def test_a_threshold_keeps_real_resting_faces_out():
    pictures = photographs(0.2, 5, others=2.0)
    chosen = choose_thresholds(Network(), pictures, studio([0, 0, 1, 2, 3]), AGREEING)
    assert chosen["AU09"] == pytest.approx(2.25)
    assert chosen["AU12"] == pytest.approx(2.0, abs=0.03)


def test_the_smile_s_threshold_lies_in_the_middle_of_what_separates_photographs():
    pictures = photographs(1.2, 2.0)
    chosen = choose_thresholds(Network(), pictures, studio([0, 0, 1, 2, 3]), AGREEING)
    assert chosen["AU12"] == pytest.approx(1.625, abs=0.03)


def test_one_unseen_person_is_enough_to_raise_a_threshold():
    pictures = photographs(0, 5)
    unseen = [int(row["face_id"]) > 35 for row in PERSONS].index(True)
    pictures.neutral.crops[unseen, 0, 1] = 30  # AU 3.0 on one of 28 pictures
    chosen = choose_thresholds(Network(), pictures, studio([0, 0, 1, 2, 3]), AGREEING)
    assert chosen["AU09"] == pytest.approx(3.25)
