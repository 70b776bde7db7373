"""The verdicts on emulators whose faults are known: they must be found, and nothing else."""

import numpy as np
import pytest
from stand_ins import StandIn, blobs, conditional_maps, maps, two_blobs

from pushforward.validation import validate


def judged(ensemble, draw):
    report = validate(StandIn(ensemble, draw), ensemble, progress=False)
    return report, {verdict.statistic: verdict for verdict in report.verdicts}


@pytest.fixture(scope="module")
def web():
    return conditional_maps()


@pytest.fixture(scope="module")
def plane():
    return blobs()


def test_real_maps_are_at_the_floor(web):
    report, found = judged(web, lambda n, rows, rng: maps(rows, rng))
    off = [v.sentence for v in report.verdicts if v.verdict == "off"]
    # Each statistic of a perfect model leaves its 95 % range once in forty times; more than two of twenty is unlikely.
    beyond = [v.sentence for v in report.verdicts if v.verdict != "at the floor"]
    assert not off
    assert len(beyond) <= 2, "\n".join(beyond)
    assert found["power_spectrum"].p_value > 0.005
    assert report.joint_p_value > 0.01
    assert report.quality < 1.5


def test_too_much_power_is_off_and_measured(web):
    report, found = judged(web, lambda n, rows, rng: maps(rows, rng, power=1.2))
    power = found["power_spectrum"]
    assert power.verdict == "off"
    assert abs(power.value - 20) < 3 * np.hypot(power.error, power.floor)
    assert report.quality > 1.5
    # The relative scatter of P(k) and its correlations do not change when every map is stretched alike.
    assert found["power_correlation"].verdict == "at the floor"
    curve = next(c for c in report.curves if c.name == "power_spectrum")
    inside = curve.x <= curve.cut
    assert abs(np.mean(curve.compared[inside]) - 1.2) < 0.06


def test_repeated_training_maps_are_memorised_even_if_they_are_moved(web):
    train = web.train

    def draw(n, rows, rng):
        copies = train.take(rng.integers(len(train), size=n))
        return np.rot90(np.roll(copies, (5, 11), axis=(2, 3)), axes=(2, 3)).copy()

    _, found = judged(web, draw)
    assert found["memorisation"].verdict == "off"
    assert found["memorisation"].value > 95


def test_blurred_points_are_not_called_copies(plane):
    _, found = judged(plane, lambda n, rows, rng: two_blobs(n, rng) * 0.6)
    assert found["memorisation"].verdict == "at the floor"
    assert found["memorisation"].value < 20


def test_more_recall_than_real_data_have_is_no_fault(plane):
    """Samples on both blobs and between them reach all real ones; that some lie where none do is told by precision."""
    _, found = judged(plane, lambda n, rows, rng: two_blobs(n, rng) + 1.0 * rng.normal(size=(n, 2)))
    assert found["recall"].value > found["recall"].floor
    assert found["recall"].verdict == "at the floor"
    assert found["recall"].ratio == 0
    assert found["precision"].verdict == "off"


def test_a_model_that_ignores_its_condition_is_off(web):
    everywhere = np.array([[0.9, 2.0]])
    _, found = judged(web, lambda n, rows, rng: maps(np.repeat(everywhere, n, axis=0), rng))
    for statistic in ("condition_range/A", "condition_response/A", "condition_recovered/A", "condition_response/slope"):
        assert found[statistic].verdict == "off", found[statistic].sentence


def test_missing_scatter_is_off_where_the_mean_is_right(web):
    """Fluctuations of every map rescaled to the same power: the mean spectrum may be right, its scatter is not."""

    def draw(n, rows, rng):
        fields = maps(rows, rng)
        many = [maps(rows, rng) for _ in range(8)]
        expected = np.mean([m.var(axis=(1, 2, 3), keepdims=True) for m in many], axis=0)
        mean = fields.mean(axis=(1, 2, 3), keepdims=True)
        return mean + (fields - mean) * np.sqrt(expected / fields.var(axis=(1, 2, 3), keepdims=True))

    _, found = judged(web, draw)
    assert found["power_spectrum"].verdict != "off"
    assert "at the floor" not in (found["power_scatter"].verdict, found["power_correlation"].verdict)


def test_real_points_are_at_the_floor(plane):
    report, found = judged(plane, lambda n, rows, rng: two_blobs(n, rng))
    assert all(v.verdict != "off" for v in report.verdicts)
    assert sum(v.verdict != "at the floor" for v in report.verdicts) <= 2
    assert found["wasserstein2"].verdict == "at the floor"


def test_a_collapsed_mode_lowers_recall_and_coverage(plane):
    def draw(n, rows, rng):
        return -np.abs(two_blobs(n, rng)) * np.array([1, 1], np.float32)

    _, found = judged(plane, draw)
    for statistic in ("recall", "coverage", "marginals", "wasserstein2", "classifier"):
        assert found[statistic].verdict == "off", found[statistic].sentence
    assert found["coverage"].value < 0.7
    assert found["precision"].value > 0.5


def test_collapsed_maps_lower_coverage(web):
    some = web.train.take(np.arange(3))
    _, found = judged(web, lambda n, rows, rng: some[rng.integers(3, size=n)])
    assert found["recall"].verdict == "off"
    assert found["coverage"].verdict == "off"
    assert found["coverage"].value < 0.2


def test_repeated_points_are_memorised(plane):
    train = plane.train.take(np.arange(len(plane.train)))
    report, found = judged(plane, lambda n, rows, rng: train[rng.integers(len(train), size=n)])
    assert found["memorisation"].verdict == "off"
    # They are real points nevertheless: no other distance sees a fault.
    assert found["wasserstein2"].verdict == "at the floor", report.summary


def test_the_same_seed_gives_the_same_report(plane):
    first, second = (judged(plane, lambda n, rows, rng: two_blobs(n, rng))[0].to_dict() for _ in range(2))
    assert first["verdicts"] == second["verdicts"]
    assert first["curves"] == second["curves"]
