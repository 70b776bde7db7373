"""How statistics of fields are labelled."""

from dataclasses import replace

import numpy as np
import pytest

from pushforward.spaces import Field
from pushforward.validation.floor import Floor
from pushforward.validation.material import Material
from pushforward.validation.summaries import summarise


@pytest.mark.parametrize(
    ("box", "unit", "label"),
    [(None, "", "1 / cell"), (25.0, "Mpc/h", "h / Mpc"), (25.0, "m", "1 / m"), (25.0, "", "1 / (unit of the box)")],
)
def test_wavenumbers_are_in_the_unit_of_the_box(box, unit, label):
    fields = np.random.default_rng(0).standard_normal((8, 1, 16, 16)).astype(np.float32)
    material = Material(
        space=Field(1, (16, 16), periodic=True, box=box),
        parameters=(),
        generated=fields[:4],
        real=fields,
        conditions=None,
        floor=Floor.build(np.arange(8), 4),
        training=np.arange(0),
        training_members=0,
        milliseconds=1.0,
        data="noise",
    )
    found = summarise(replace(material, unit=unit))
    for name in ("power_spectrum", "bispectrum_equilateral", "bispectrum_squeezed"):
        assert found[name].x_label == f"k  [{label}]"
