"""Databases in miniature: the publishers' folders, with plain colours in them."""

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import json

import torch

from realtime_affect.errors import InputError, InputMissingError, UsageError
from training.ifdd import train
from training.ifdd.databases import CLASSES, random_window, read_clips, windows
from training.ifdd.network import EXPRESSIONS


def pictures(folder, n, suffix=".jpg", value=0):
    folder.mkdir(parents=True)
    for k in range(n):
        image = np.full((32, 32, 3), (value, 10 * k % 250, 200), np.uint8)
        cv2.imwrite(str(folder / f"{k + 1}{suffix}"), image)


@pytest.fixture
def dfew(tmp_path):
    clips = tmp_path / "Clip" / "clip_224x224_16f"
    for number, n in ((1, 16), (2, 35), (30, 9)):
        pictures(clips / f"{number:05}", n)
    for split, rows in (("train", "1,1\n2,7\n30,3\n"), ("test", "2,5\n")):
        folder = tmp_path / "EmoLabel_DataSplit" / f"{split}(single-labeled)"
        folder.mkdir(parents=True)
        (folder / "set_3.csv").write_text("order,label\n" + rows)
    return tmp_path


@pytest.fixture
def ferv39k(tmp_path):
    pictures(tmp_path / "2_ClipsforFaceCrop" / "Action" / "Happy" / "0267", 16)
    pictures(tmp_path / "2_ClipsforFaceCrop" / "Crime" / "Fear" / "0001", 20)
    folder = tmp_path / "4_setups" / "All_scenes"
    folder.mkdir(parents=True)
    (folder / "train_All.csv").write_text("Action/Happy/0267 Happy\nCrime/Fear/0001 Fear\n")
    (folder / "test_All.csv").write_text("Crime/Fear/0001 Fear\n")
    return tmp_path


@pytest.fixture
def mafw(tmp_path):
    pictures(tmp_path / "data" / "frames" / "00001", 64, ".png")
    clips = tmp_path / "data" / "clips"
    clips.mkdir(parents=True)
    video = cv2.VideoWriter(str(clips / "00002.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (32, 32))
    for k in range(70):
        video.write(np.full((32, 32, 3), 3 * k, np.uint8))
    video.release()
    folder = tmp_path / "Train & Test Set" / "single" / "no_caption" / "set_2"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("00001.mp4 anger\n00002.avi disappointment\n")
    (folder / "test.txt").write_text("00002.avi neutral\n")
    return tmp_path


def test_dfew_counts_labels_from_one_and_leaves_out_short_clips(dfew):
    clips = read_clips("dfew", dfew, "train", 3)
    assert [(clip.name, EXPRESSIONS[clip.label]) for clip in clips] == [
        ("00001", "happiness"), ("00002", "fear"),
    ]  # fmt: skip
    frames = clips[1].frames()
    assert frames.shape == (35, 32, 32, 3)
    assert frames[0, 0, 0, 0] > 150  # red comes first
    greens = frames[:, 0, 0, 1].astype(int)
    assert (np.diff(greens[:24]) > 0).all()  # by number: 10 after 9, not after 1


def test_ferv39k_names_scene_expression_and_clip(ferv39k):
    clips = read_clips("ferv39k", ferv39k, "train")
    assert [(clip.name, EXPRESSIONS[clip.label]) for clip in clips] == [
        ("Action/Happy/0267", "happiness"), ("Crime/Fear/0001", "fear"),
    ]  # fmt: skip
    assert len(read_clips("ferv39k", ferv39k, "test")) == 1


def test_mafw_has_eleven_expressions_as_pictures_or_videos(mafw):
    clips = read_clips("mafw", mafw, "train", 2)
    names = [CLASSES["mafw"][clip.label] for clip in clips]
    assert names == ["anger", "disappointment"]
    assert clips[0].frames().shape == (64, 32, 32, 3)
    assert clips[1].frames().shape == (70, 32, 32, 3)


def test_windows_do_not_overlap_and_a_tail_is_dropped():
    assert [w.tolist() for w in windows(9, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [w.tolist() for w in windows(9, 2, 2)] == [[0, 2], [4, 6]]
    assert windows(3, 4) == []


def test_a_random_window_lies_inside_where_there_is_room():
    rng = np.random.default_rng(1)
    seen = {int(random_window(20, 16, 1, rng)[0]) for _ in range(200)}
    assert seen == {0, 1, 2, 3, 4}
    assert random_window(40, 4, 2, rng).tolist()[1] - random_window(2, 1, 1, rng)[0] > 0


@pytest.mark.parametrize(
    ("name", "fold", "said"), [("afew", 1, "dfew"), ("dfew", 6, "folds 1 to 5")]
)
def test_an_unknown_database_or_fold_names_the_known_ones(tmp_path, name, fold, said):
    with pytest.raises(UsageError, match=said):
        read_clips(name, tmp_path, "train", fold)


def test_missing_labels_and_missing_clips_say_what_is_missing(dfew, tmp_path_factory):
    with pytest.raises(InputMissingError, match=r"set_1\.csv"):
        read_clips("dfew", dfew, "train", 1)
    path = dfew / "EmoLabel_DataSplit" / "test(single-labeled)" / "set_3.csv"
    path.write_text("order,label\n77,1\n")
    with pytest.raises(InputMissingError, match="none of 1"):
        read_clips("dfew", dfew, "test", 3)
    path.write_text("order,label\nx,1\n")
    with pytest.raises(UsageError, match="'x'"):
        read_clips("dfew", dfew, "test", 3)


def test_a_damaged_picture_is_named(dfew):
    (clip,) = read_clips("dfew", dfew, "test", 3)
    clip.media[4].write_bytes(b"")
    with pytest.raises(InputError, match=r"5\.jpg"):
        clip.frames()


class Colour(torch.nn.Module):
    """Reads every clip as fear, more so the more windows it has."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, clip):
        self.seen.append(tuple(clip.shape))
        return torch.nn.functional.one_hot(torch.tensor([6]), 7).float()


def test_a_clip_is_read_window_by_window_and_scored(dfew):
    network = Colour()
    clips = read_clips("dfew", dfew, "train", 3)
    report = train.evaluate(network, clips, "dfew")
    assert network.seen == [(1, 3, 16, 224, 224)] * 3  # one of 16 frames, two of 35
    assert report["war"] == report["uar"] == 0.5
    assert report["recall"]["fear"] == 1
    assert report["recall"]["neutral"] is None
    assert report["confusion"][0][6] == 1
    json.dumps(report, allow_nan=False)


def test_an_epoch_sees_every_clip_and_moves_the_network(ferv39k, monkeypatch):
    class Small(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 7)

        def forward(self, clip):
            assert clip.shape == (2, 3, 16, 224, 224)
            return self.linear(clip.mean((2, 3, 4))), torch.zeros(2, 7, 7), None

    network = Small()
    before = network.linear.weight.clone()
    clips = read_clips("ferv39k", ferv39k, "train")
    optimiser = train.make_optimiser(network)
    loss = train.train_epoch(network, clips, "ferv39k", optimiser, epoch=5, batch=2)
    assert loss > 0
    assert not torch.equal(before, network.linear.weight)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(4.95e-5)
