"""Labels of statistics of fields."""

from dataclasses import replace

import numpy as np
import pytest
from stand_ins import StandIn

from pushforward.ensembles import Ensemble
from pushforward.spaces import Field
from pushforward.validation import validate
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.floor import Floor
from pushforward.validation.summaries import summarise


@pytest.mark.parametrize(
    ("box", "unit", "label"),
    [(None, "", "1/cell"), (25.0, "Mpc/h", "h/Mpc"), (25.0, "m", "1/m"), (25.0, "", "1/(unit of the box)")],
)
def test_wavenumbers_are_in_the_unit_of_the_box(box, unit, label):
    fields = np.random.default_rng(0).standard_normal((8, 1, 16, 16)).astype(np.float32)
    data = EvaluationData(
        space=Field(1, (16, 16), periodic=True, box=box),
        parameters=(),
        generated=fields[:4],
        real=fields,
        conditions=None,
        floor=Floor.build(np.arange(8), 4),
        groups=np.arange(8),
        train=None,
        milliseconds=1.0,
        name="noise",
    )
    found = summarise(replace(data, unit=unit))
    for name in ("power_spectrum", "bispectrum_equilateral", "bispectrum_squeezed"):
        assert found[name].x_label == f"k  [{label}]"


def test_discrete_fields_are_judged_as_such():
    """Scores of a model must not depend on whether it knows that counts are whole numbers."""
    rng = np.random.default_rng(1)

    def counts(members, rng):
        return rng.poisson(3.0, (members, 1, 16, 16)).astype(np.float32)

    ensemble = Ensemble.from_array(counts(300, rng), space=Field(1, (16, 16), periodic=True, isotropic=True))

    def draw(n, rows, rng):
        return counts(n, rng) + rng.uniform(-0.4, 0.4, (n, 1, 16, 16)).astype(np.float32)

    report = validate(StandIn(ensemble, draw), ensemble, progress=False)
    assert any("rounding" in note for note in report.notes)
    assert set(np.unique(report.evaluation.rounded)) <= set(np.unique(ensemble.take(np.arange(300))))
    pdf = next(curve for curve in report.curves if curve.name == "one_point_pdf")
    np.testing.assert_allclose(pdf.x, report.evaluation.levels)
    assert np.isfinite(pdf.compared[:8]).all()
    # Only the statistic of possible values may notice that these are not whole numbers, and it must.
    assert [v.statistic for v in report.verdicts if v.verdict == "off"] == ["value_support"]
