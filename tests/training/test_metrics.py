import numpy as np
import pytest
from scipy import stats

from training.metrics import (
    auc,
    bootstrap_persons,
    confusion,
    f1,
    f1_micro,
    icc_3_1,
    icc_of_raters,
    mae,
    pearson,
    recalls,
    uar,
    war,
)

# Six targets, four judges: Shrout & Fleiss 1979, Table 2; their ICC(3,1) is 0.71.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


def test_icc_of_the_paper_s_table():
    assert icc_of_raters(SHROUT_FLEISS) == pytest.approx(0.71, abs=0.005)


def test_a_constant_offset_does_not_hurt_consistency_but_a_scale_does():
    truth = np.arange(10.0)
    assert icc_3_1(truth, truth + 3) == pytest.approx(1)
    assert icc_3_1(truth, 0.5 * truth) == pytest.approx(0.8)  # 2 r s1 s2 / (s1^2 + s2^2)


def test_icc_of_noise_is_nothing():
    rng = np.random.default_rng(0)
    assert abs(icc_3_1(rng.normal(size=4000), rng.normal(size=4000))) < 0.05


def test_mae_and_pearson():
    truth, read = np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.5, 1.0, 1.0, 5.0])
    assert mae(truth, read) == pytest.approx(2.5 / 4)
    assert pearson(truth, read) == pytest.approx(stats.pearsonr(truth, read).statistic)


def test_f1_counts_hits_twice():
    truth = np.array([1, 1, 1, 0, 0, 0], bool)
    read = np.array([1, 1, 0, 1, 0, 0], bool)
    assert f1(truth, read) == pytest.approx(4 / 6)


def test_micro_f1_puts_units_together():
    truth = np.array([[1, 0], [1, 0], [0, 1]], bool)
    read = np.array([[1, 0], [0, 1], [0, 1]], bool)
    assert f1_micro(truth, read) == pytest.approx(4 / 6)


def test_auc_is_the_share_of_pairs_in_order():
    truth = np.array([0, 0, 1, 1, 1], bool)
    score = np.array([0.1, 0.5, 0.5, 0.7, 0.05])
    pairs = [(p > n) + 0.5 * (p == n) for p in score[truth] for n in score[~truth]]
    assert auc(truth, score) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("metric", [icc_3_1, mae, pearson, f1, auc])
def test_unknown_pairs_are_left_out(metric):
    rng = np.random.default_rng(1)
    truth, read = (rng.uniform(size=(2, 50)) > 0.5).astype(float)
    read = read * 0.9 + 0.05 if metric is not f1 else read
    whole = metric(truth, read)
    holes = metric(np.append(truth, [np.nan, 1.0]), np.append(read, [0.3, np.nan]))
    assert holes == pytest.approx(whole)


def test_what_means_nothing_is_nan_and_not_zero():
    empty, none, one = np.array([]), np.zeros(5), np.ones(5)
    assert np.isnan(icc_3_1(empty, empty))
    assert np.isnan(mae(empty, empty))
    assert np.isnan(pearson(none, np.arange(5)))
    assert np.isnan(f1(none, none))
    assert np.isnan(auc(one, np.arange(5)))
    assert np.isnan(icc_3_1(none, none))


def test_recalls_come_from_the_rows_of_a_confusion_matrix():
    counts = confusion([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], 4)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert recalls(counts)[:3].tolist() == pytest.approx([2 / 3, 1, 0])
    assert np.isnan(recalls(counts)[3])
    assert war(counts) == pytest.approx(4 / 6)
    assert uar(counts) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_nothing_read_has_no_recall():
    assert np.isnan(war(confusion([], [], 2)))
    assert np.isnan(uar(confusion([], [], 2)))


def test_an_interval_over_persons_is_wider_than_one_over_their_samples():
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(20), 30)
    value = rng.normal(size=20)[person] + 0.1 * rng.normal(size=600)
    low, high = bootstrap_persons(person, lambda rows: float(value[rows].mean()))
    alone = bootstrap_persons(np.arange(600), lambda rows: float(value[rows].mean()))
    assert low < value.mean() < high
    assert high - low > 3 * (alone[1] - alone[0])


def test_an_interval_knows_what_never_came_and_what_means_nothing():
    delays = np.array([100.0, 200.0, np.inf, np.inf])
    assert bootstrap_persons(np.arange(4), lambda rows: float(np.median(delays[rows])))[1] == np.inf
    assert np.isnan(bootstrap_persons(np.arange(4), lambda _: float("nan"))).all()
