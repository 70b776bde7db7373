"""Samples of any code are judged as those of an emulator are, in Python and on the command line."""

import json

import numpy as np
import pytest
from stand_ins import conditional_maps, maps, two_blobs

import pushforward as pf
from pushforward.ensembles import Ensemble
from pushforward.errors import DataError, UsageError
from pushforward.validation import Statistic, judge


def blobs(count, seed):
    return two_blobs(count, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def perfect():
    return judge(blobs(400, 1), blobs(400, 2), train=blobs(2000, 3), progress=False)


def test_arrays_are_judged_like_an_emulator(perfect):
    assert not [v.sentence for v in perfect.verdicts if v.verdict == "off"]
    assert 0.01 < perfect.joint_p_value <= 1
    found = perfect.to_dict()
    assert {"verdicts", "joint_p_value", "quality", "summary"} <= found.keys()
    for verdict in found["verdicts"]:
        assert {"statistic", "label", "value", "error", "floor", "floor_low", "floor_high", "verdict"} <= verdict.keys()
        assert 0 <= verdict["p_value"] <= 1
        assert verdict["smallest_noticeable"] > 0
    assert "A perfect emulator would have about" in perfect.html()
    assert "Not looked at" in perfect.html()


def test_a_report_prints_its_table_and_shows_it_in_a_notebook(perfect):
    text = str(perfect)
    assert "Sliced Wasserstein" in text
    assert "Joint p-value" in text
    assert perfect._repr_html_().count("<tr") > len(perfect.verdicts)


def test_without_training_data_half_of_the_data_tells_the_floor():
    report = judge(blobs(400, 1), blobs(800, 2), progress=False)
    assert report.counts["test"] == 400
    assert all(v.statistic != "memorisation" for v in report.verdicts)
    assert any("Copies" in line for line in report.unseen)


def test_copies_among_many_training_members_are_found():
    train = blobs(9000, 3)
    samples = blobs(400, 1)
    samples[:80] = train[-80:]
    found = judge(samples, blobs(400, 2), train=train, progress=False).verdict("memorisation")
    assert found.verdict == "off"
    assert abs(found.value - 20) < 4 * found.error


def test_samples_at_conditions_of_their_own_are_set_beside_members_at_the_nearest():
    web, rng = conditional_maps(900), np.random.default_rng(5)
    test, train = web.subset(np.arange(200)), web.subset(np.arange(200, 900))
    order = rng.permutation(200)
    conditions = test.conditions[order]
    report = judge(maps(conditions, rng), test, condition=conditions, train=train, progress=False)
    assert not [v.sentence for v in report.verdicts if v.verdict == "off"]
    shuffled = judge(maps(conditions, rng), test, train=train, progress=False)
    assert shuffled.verdict("condition_recovered/A").verdict == "off"


def test_a_statistic_of_ones_own_is_measured_like_any_other():
    radius = Statistic("radius", "Radius", "mean distance from the origin", of=lambda x: x.norm(dim=1), kind="score")
    report = judge(1.2 * blobs(400, 1), blobs(800, 2), statistics=[radius], progress=False)
    found = report.verdict("radius")
    assert found.verdict == "off"
    assert found.p_value < 1e-3
    tolerated = judge(
        1.2 * blobs(400, 1), blobs(800, 2), statistics=[radius], tolerances={"radius": 2.0}, progress=False
    )
    assert tolerated.verdict("radius").verdict == "close"


def test_a_statistic_that_fails_is_a_line_and_not_a_lost_page():
    def broken(x):
        raise ValueError("no such thing")

    mine = Statistic("mine", "Mine", of=broken)
    report = judge(blobs(400, 1), blobs(800, 2), statistics=[mine], progress=False)
    assert any("Mine" in line and "no such thing" in line for line in report.failures)
    assert "Could not be measured" in report.html()
    assert report.verdict("marginals").verdict == "at the floor"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerances": {"marginals": "-2%"}}, "at least 0"),
        ({"tolerances": {"correlations": "2%"}}, "pure number"),
        ({"tolerances": {"power_spectrum": "2%"}}, "power_spectrum"),
        ({"statistics": ["latice"]}, "latice"),
        ({"condition": np.ones((7, 1))}, "7 conditions"),
    ],
)
def test_mistakes_are_one_sentence(options, message):
    with pytest.raises(UsageError, match=message):
        judge(blobs(100, 1), blobs(200, 2), progress=False, **options)


def test_shapes_must_agree():
    with pytest.raises(UsageError, match="shape"):
        judge(np.zeros((100, 3), np.float32), blobs(200, 2), progress=False)


def test_lattice_statistics_are_asked_for_by_name():
    rng = np.random.default_rng(0)
    spins = rng.choice([-1.0, 1.0], (300, 1, 8, 8)).astype(np.float32)
    aligned = np.where(rng.random((100, 1, 8, 8)) < 0.7, 1.0, -1.0).astype(np.float32)
    data = Ensemble.from_array(spins, space=pf.Field(1, (8, 8), periodic=True))
    report = judge(aligned, data, statistics=["lattice"], progress=False)
    assert report.verdict("lattice_magnetisation").verdict == "off"


def test_the_command_writes_the_same_page(command, tmp_path):
    for name, seed, count in (("samples", 1, 400), ("data", 2, 400), ("train", 3, 1200)):
        np.save(tmp_path / f"{name}.npy", blobs(count, seed))
    files = [tmp_path / f"{name}.npy" for name in ("samples", "data", "train")]
    out = tmp_path / "out"
    command("judge", files[0], files[1], "--train", files[2], "--out", out, "--tolerance", "marginals=2%")
    report = json.loads((out / "report.json").read_text())
    assert report["counts"]["training"] == 1200
    assert next(v for v in report["verdicts"] if v["statistic"] == "marginals")["tolerance"] == 2
    assert (out / "report.html").exists()


def test_sets_of_spins_of_one_distribution_are_not_told_apart():
    spins = np.sign(np.random.default_rng(0).normal(size=(2, 150, 8, 8)))
    report = judge(spins[0], spins[1], progress=False)
    assert report.verdict("classifier").p_value > 0.01


def test_too_few_samples_or_members_are_both_named():
    x = np.random.default_rng(0).normal(size=(200, 3))
    for samples, data in ((x[:1], x), (x, x[:3])):
        with pytest.raises(UsageError, match=f"{len(samples)} samples and {len(data)} members .* at least 8"):
            judge(samples, data, progress=False)


def test_statistics_of_other_data_are_refused():
    x = np.random.default_rng(0).normal(size=(2, 50, 3))
    with pytest.raises(UsageError, match="lattice_magnetisation is defined for field data, not for vector data"):
        judge(*x, statistics=["lattice"], progress=False)


def test_the_joint_p_value_is_not_bounded_by_the_number_of_draws():
    shifted = blobs(400, 1) + np.float32(3.0)
    report = judge(shifted, blobs(400, 2), train=blobs(1200, 3), progress=False)
    assert report.joint_p_value < 1e-6


@pytest.mark.parametrize(("columns", "known"), [("m,f,c", True), ("m,f,d", False)])
def test_samples_keep_the_conditions_that_their_file_names_like_the_data(tmp_path, columns, known):
    from pushforward.cli_judging import _with_own_conditions

    rows = np.random.default_rng(0).normal(size=(30, 3))
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", header=columns, comments="")
    reading = {"columns": "m,f", "condition": ["c"]}
    made = _with_own_conditions(str(tmp_path / "a.csv"), {"columns": "m,f"}, reading)
    assert (made.conditions is not None) == known
    assert made.space.dim == 2


def test_a_condition_of_samples_that_cannot_be_read_is_not_left_out(tmp_path):
    from pushforward.cli_judging import _with_own_conditions

    rows = np.random.default_rng(0).normal(size=(30, 3))
    rows[3, 2] = np.nan
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", header="m,f,c", comments="")
    with pytest.raises(DataError, match="c"):
        _with_own_conditions(str(tmp_path / "a.csv"), {"columns": "m,f"}, {"columns": "m,f", "condition": ["c"]})
