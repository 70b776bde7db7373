"""Real maps: lensing convergence of one patch of sky at nineteen source redshifts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.conditions import Condition
from pushforward.ensembles import Preprocessing, read
from pushforward.spaces import Field

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "kappa"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the convergence maps are not beside the repository")


@pytest.fixture(scope="module")
def kappa():
    return read(str(FOLDER / "*.fits"), condition=FOLDER / "source_redshift.csv", crop=64)


def test_nineteen_maps_in_three_regions(kappa):
    assert kappa.name == "kappa"
    assert kappa.space == Field(1, (64, 64))
    assert (len(kappa.train), len(kappa.validation), len(kappa.test)) == (19 * 36, 19 * 6, 19 * 6)
    np.testing.assert_allclose(np.unique(kappa.conditions)[[0, -1]], [0.09, 1.5], rtol=1e-6)
    kappa.check()


def test_big_endian_pixels_come_in_native_order(kappa):
    fits = pytest.importorskip("astropy.io.fits")
    first = fits.getdata(FOLDER / "convergence_z009.fits")
    np.testing.assert_array_equal(kappa.take([0])[0, 0], first[:64, :64])


@pytest.mark.parametrize("scaled", [False, True])
def test_the_transform_is_near_normal_and_exact(kappa, scaled):
    preprocessing = Preprocessing.fit(kappa.train, scale_by_condition=scaled)
    x = torch.from_numpy(kappa.train.take(range(len(kappa.train))))
    c = Condition(torch.from_numpy(kappa.train.conditions))
    z = preprocessing(x, c)
    assert preprocessing.kinds == (("yeo-johnson",) if scaled else ("asinh",))
    assert z.abs().max() < 6
    assert (preprocessing.inverse(z, c) - x).abs().max() < 1e-6 * x.abs().max()
    sizes = z.reshape(19, -1).std(1)
    ratio = float(sizes.max() / sizes.min())
    assert ratio < 1.5 if scaled else ratio > 10
