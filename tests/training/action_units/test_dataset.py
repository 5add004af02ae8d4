import numpy as np
import pytest

from training.action_units import dataset
from training.action_units.dataset import FRAMES, REFERENCES, Observer, Tools, load_samples
from training.filming import write_arrays
from training.synthetic.studio import make_subject

SCENES = 2


@pytest.fixture(scope="module", autouse=True)
def few_scenes():
    """Fewer than are filmed to learn from; what is said of them holds for any number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "SCENES", SCENES)
        yield


@pytest.fixture(scope="module")
def folder(head, models, tmp_path_factory):
    """Two people of each split, filmed."""
    folder = tmp_path_factory.mktemp("people")
    tools = Tools(Observer(), head)
    for split, number in (("train", 0), ("train", 1), ("test", 0)):
        path = folder / f"{split}_{number:05d}.npz"
        write_arrays(path, dataset.film(tools, split, number))
    return folder


def test_a_person_is_filmed_in_several_scenes_some_of_it_at_rest(folder):
    samples = load_samples(sorted(folder.glob("train_*.npz")))
    n = SCENES * FRAMES
    assert len(samples["presence"]) == 2 * n
    assert samples["reference"].sum() == 2 * SCENES * REFERENCES
    assert not samples["units"][samples["reference"]][:, :-1].any()
    assert samples["crops"].shape == (2 * n, 96, 96)
    assert samples["points"].shape == (2 * n, 468, 3)
    assert samples["person"].tolist() == [0] * n + [1] * n
    assert (samples["presence"] >= dataset.PRESENT).mean() > 0.95


def test_what_is_seen_follows_the_truth(folder):
    samples = load_samples(sorted(folder.glob("*.npz")))
    seen = samples["angles_rad"][:, 1]
    true = samples["true_angles_rad"][:, 1].astype(np.float32)
    assert np.corrcoef(seen, true)[0, 1] > 0.9


def test_tested_people_are_seen_in_motion(folder):
    samples = load_samples([folder / "test_00000.npz"])
    assert len(samples["presence"]) == SCENES * (REFERENCES + 20)


def test_the_same_person_is_filmed_the_same(head, folder):
    person = make_subject(head, "train", 1)
    again = dataset.film_person(person, "train", 1, Observer())
    samples = load_samples([folder / "train_00001.npz"])
    assert np.array_equal(again["units"], samples["units"])
    assert np.array_equal(again["crops"], samples["crops"])
    assert np.array_equal(again["points"], samples["points"])
