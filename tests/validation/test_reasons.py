"""Figures that cannot be given are a line that says why, not a number without a meaning."""

from __future__ import annotations

import numpy as np
import pytest

import pushforward as pf
from pushforward.errors import UsageError

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def of_constants() -> pf.validation.report.Report:  # type: ignore[name-defined]
    real = RNG.normal(size=(80, 1, 1)) * np.ones((1, 8, 8))
    return pf.judge(RNG.normal(size=(40, 8, 8)), real, progress=False, tolerances={"power_spectrum": "2%"})


def test_fields_that_are_constant_have_no_spectrum_and_the_page_says_so(of_constants) -> None:
    (line,) = [each for each in of_constants.failures if "each real sample is constant" in each]
    for label in ("Power spectrum", "Amplitude of P(k)", "Bispectrum", "Direction"):
        assert label in line, "statistics of one reason share a line"
    numbers = [verdict.value for verdict in of_constants.verdicts]
    assert np.isfinite(numbers).all(), "no verdict without a value"
    assert max(np.abs(numbers)) < 1e4
    assert {curve.name for curve in of_constants.curves} == {"one_point_pdf"}
    assert "Not measured: Power spectrum" in of_constants.table().caption


def test_a_tolerance_is_checked_before_anything_is_measured() -> None:
    fields = RNG.normal(size=(60, 8, 8))
    for wrong, sentence in (
        ({"no_such": 1.0}, "a tolerance was given for no_such; there are power_spectrum"),
        ({"power_spectrum": "-2%"}, "it takes a percentage, finite and at least 0"),
        ({"power_spectrum": "two"}, "it takes a percentage, finite and at least 0"),
        ({"power_spectrum": "inf%"}, "finite and at least 0"),
        ({"bispectrum": "2%"}, "it takes a number of σ"),
    ):
        with pytest.raises(UsageError, match=sentence):
            pf.judge(fields[:30], fields[30:], tolerances=wrong, progress=False)


def test_a_response_to_conditions_of_two_simulations_is_refused() -> None:
    conditions = np.repeat([[0.1, 0.8], [0.4, 0.7]], 30, axis=0)
    ensemble = pf.Ensemble(
        pf.read(RNG.normal(size=(60, 8, 8)).astype(np.float32)).members,
        pf.Field(1, (8, 8)),
        conditions=conditions.astype(np.float32),
        parameters=pf.read(np.ones((60, 2)), condition={"a": conditions[:, 0], "b": conditions[:, 1]}).parameters,
        groups=np.repeat([0, 1], 30),
    )
    report = pf.judge(RNG.normal(size=(60, 8, 8)), ensemble, progress=False)
    (line,) = [each for each in report.failures if "slopes on 2 conditions need at least 5" in each]
    assert line.startswith("Response to a, Response to b: the test members are of")
    assert not [verdict for verdict in report.verdicts if verdict.statistic.startswith("condition_response")]


def test_showers_of_rows_need_the_cells_of_each_layer() -> None:
    rows = np.where(RNG.uniform(size=(80, 12)) < 0.5, 0, RNG.exponential(size=(80, 12)))
    for named in ("showers", "showers:5,5", "showers:a"):
        with pytest.raises(UsageError, match="numbers of cells that sum to 12, such as showers:6,6"):
            pf.judge(rows[:40], rows[40:], statistics=[named], progress=False)
    report = pf.judge(rows[:40], rows[40:], statistics=["showers:4,8"], progress=False)
    assert report.verdict("shower_layers").label == "Energy in layers"


def test_a_classifier_that_always_tells_is_not_close() -> None:
    real, made = RNG.normal(size=(60, 2)), RNG.normal(size=(30, 2)) + 20
    assert pf.judge(made, real, progress=False).verdict("classifier").verdict == "off"


def test_labels_on_the_terminal_are_distinct(tmp_path) -> None:
    given = RNG.normal(size=(600, 1))
    ensemble = pf.read(given + RNG.normal(size=(600, 2)), condition={"c": given[:, 0]})
    emulator = pf.fit(ensemble, "realnvp", steps=1, out=tmp_path / "run", progress=False)
    labels = [verdict.label for verdict in pf.validate(emulator, ensemble, progress=False).verdicts]
    assert "Calibration: coverage" in labels
    assert len(labels) == len(set(labels))
