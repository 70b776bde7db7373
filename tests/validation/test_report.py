"""The report: what it writes, what it refuses, and what it says about densities, crops and labels."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats
from stand_ins import StandIn, blobs, conditional_maps, maps, two_blobs

from pushforward.ensembles import Ensemble
from pushforward.errors import UsageError
from pushforward.spaces import Field, Vector
from pushforward.validation import validate
from pushforward.validation.curves import Curve
from pushforward.validation.wording import duration, listing, number, with_error


@pytest.fixture(scope="module")
def web():
    return conditional_maps(400)


@pytest.fixture(scope="module")
def report(web):
    return validate(StandIn(web, lambda n, rows, rng: maps(rows, rng)), web, progress=False)


def test_the_page_needs_nothing_else(report, tmp_path):
    report.save(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page), "the page asks for something outside itself"
    assert all(verdict.label in page for verdict in report.verdicts)
    for heading in ("Samples beside data", "Verdicts", "Nearest training members", "Configuration"):
        assert heading in page


def test_the_numbers_are_plain_and_finite_or_null(report, tmp_path):
    report.save(tmp_path / "report.json")

    def refuse(name):
        raise AssertionError(f"{name} in report.json")

    found = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    keys = {"statistic", "value", "error", "floor", "floor_low", "floor_high", "verdict", "unit"}
    assert all(keys <= set(verdict) for verdict in found["verdicts"])
    assert found["timing"]["milliseconds_per_sample"] > 0
    curve = Curve.from_dict(found["curves"][0])
    np.testing.assert_allclose(curve.compared, report.curves[0].compared, rtol=1e-5)


def test_every_ending_but_two_is_refused(report, tmp_path):
    with pytest.raises(UsageError, match=r"\.html or \.json"):
        report.save(tmp_path / "report.pdf")


def test_validate_writes_both_files(web, tmp_path):
    validate(StandIn(web, lambda n, rows, rng: maps(rows, rng)), web, out=tmp_path / "new", progress=False)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"report.html", "report.json"}


def test_the_table_has_a_line_for_each_verdict(report):
    assert report.table().row_count == len(report.verdicts) + 1


def test_a_density_is_judged_by_the_entropy():
    """-log p of the true density is the entropy; a density shifted by 0.3 nats is off by just that."""

    class Exact:
        entropy = 2 * stats.norm.entropy()

        @staticmethod
        def log_prob(x):
            return stats.norm.logpdf(x).sum(axis=1)

    x = np.random.default_rng(0).standard_normal((2000, 2)).astype(np.float32)
    ensemble = Ensemble.from_array(x, space=Vector(2), exact=Exact())

    def draw(n, rows, rng):
        return rng.standard_normal((n, 2)).astype(np.float32)

    right, wrong = (
        validate(
            StandIn(ensemble, draw, ("density",), lambda x, less=less: Exact.log_prob(x) - less),
            ensemble,
            progress=False,
        ).verdict("nll")
        for less in (0.0, 0.3)
    )
    assert right.verdict == "at the floor"
    assert right.value == pytest.approx(right.floor, abs=1e-6)
    assert abs(right.value - Exact.entropy) < 4 * right.error
    assert wrong.verdict == "off"
    assert wrong.value - wrong.floor == pytest.approx(0.3, abs=1e-6)


def test_another_data_set_is_used_whole():
    ensemble, other = blobs(1000), blobs(600, seed=1)
    report = validate(StandIn(ensemble, lambda n, rows, rng: two_blobs(n, rng)), other, progress=False)
    assert report.counts["test"] == 300
    assert "memorisation" not in {v.statistic for v in report.verdicts}
    assert any("half" in note.lower() for note in report.notes)


def test_labels_are_judged_class_by_class():
    rng = np.random.default_rng(5)
    labels = rng.integers(3, size=900)
    x = rng.standard_normal((900, 2)).astype(np.float32) + 5 * np.eye(3, 2, dtype=np.float32)[labels]
    ensemble = Ensemble.from_array(
        x, space=Vector(2), conditions=labels, names=("kind",), classes={"kind": ("red", "green", "blue")}
    )

    def draw(n, rows, rng):
        return (
            rng.standard_normal((n, 2)).astype(np.float32) + 5 * np.eye(3, 2, dtype=np.float32)[rows[:, 0].astype(int)]
        )

    good = validate(StandIn(ensemble, draw), ensemble, progress=False)
    confused = validate(StandIn(ensemble, lambda n, rows, rng: draw(n, (rows + 1) % 3, rng)), ensemble, progress=False)
    assert good.verdict("condition_recovered/kind").verdict == "at the floor"
    assert confused.verdict("condition_recovered/kind").verdict == "off"
    assert confused.verdict("condition_range/kind").verdict == "off"
    assert good.responses[0].ticks == ("red", "green", "blue")
    assert "green" in good.html()


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 24, 16), (1, 12, 12, 12)])
def test_any_field_can_be_judged(shape):
    """Digits, crops that do not wrap around with two channels, and cubes: all statistics that can be had."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((120, *shape)).astype(np.float32)
    ensemble = Ensemble.from_array(x, space=Field(shape[0], shape[1:], periodic=len(shape) == 4))

    def draw(n, rows, rng):
        return rng.standard_normal((n, *shape)).astype(np.float32)

    report = validate(StandIn(ensemble, draw), ensemble, progress=False)
    assert report.verdict("power_spectrum").verdict != "off"
    assert "<figure" in report.html()


def test_constant_samples_are_judged_off_without_a_crash(web):
    report = validate(
        StandIn(web, lambda n, rows, rng: np.ones((n, *web.space.shape), np.float32)), web, progress=False
    )
    assert report.verdict("power_spectrum").verdict == "off"
    assert report.verdict("power_spectrum").value == pytest.approx(100, abs=1)
    report.html()


def test_what_cannot_be_judged_is_refused_in_a_sentence(web):
    model = StandIn(web, lambda n, rows, rng: np.full((n, *web.space.shape), np.nan, np.float32))
    with pytest.raises(UsageError, match="not finite"):
        validate(model, web, progress=False)
    with pytest.raises(UsageError, match="array in memory"):
        validate(model, None, progress=False)
    with pytest.raises(UsageError, match="shape"):
        validate(model, blobs(200), progress=False)
    with pytest.raises(UsageError, match="conditional on"):
        validate(model, web.subset(np.arange(300)).with_conditions(None), progress=False)


def test_numbers_have_the_digits_that_are_known():
    assert [number(v) for v in (0.03125, 12.351, 1530.4, 3.14e-7, 0, math.nan)] == [
        "0.0312",
        "12.4",
        "1,530",
        "3.14e-07",
        "0",
        "–",
    ]
    assert with_error(3.1234, 0.412) == "3.1 ± 0.4"
    assert with_error(3.1234, 0.0152) == "3.123 ± 0.015"
    assert with_error(1.0, 0.0) == "1.00"
    assert [duration(s) for s in (0.85, 12.34, 250, 7500)] == ["850 ms", "12.3 s", "4 min 10 s", "2 h 5 min"]
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(["a"]) == "a"
    assert listing([]) == ""
