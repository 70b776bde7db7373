"""Arrays that are read from files: the other byte order, views, masks, whole numbers."""

import numpy as np
import pytest
import torch

from pushforward import statistics
from pushforward.errors import UsageError
from pushforward.statistics.arrays import as_tensor, as_vectors

FIELDS = np.random.default_rng(0).normal(size=(40, 2, 16, 16)).astype("f4")
VECTORS = np.random.default_rng(1).normal(size=(60, 3)).astype("f4")
STATISTICS = {
    "power_spectrum": lambda x, _: statistics.power_spectrum(x).power,
    "cross_power_spectrum": lambda x, _: statistics.cross_power_spectrum(x, x[::-1]).power,
    "bispectrum": lambda x, _: statistics.bispectrum(x).bispectrum,
    "one_point_pdf": lambda x, _: statistics.one_point_pdf(x).density,
    "one_point_distance": lambda x, _: statistics.one_point_distance(x, x[::-1] + 1).wasserstein1,
    "peak_counts": lambda x, _: statistics.peak_counts(x).counts,
    "minkowski_functionals": lambda x, _: statistics.minkowski_functionals(x).v1,
    "gaussian_smooth": lambda x, _: statistics.gaussian_smooth(x, 1.5),
    "low_pass": lambda x, _: statistics.low_pass(x, 4),
    "summary_features": lambda x, _: statistics.summary_features(x),
    "marginals": lambda _, v: statistics.marginals(v, v[::-1] + 1).relative,
    "correlations": lambda _, v: statistics.correlations(v).correlation,
    "energy_distance": lambda _, v: statistics.energy_distance(v, v + 1).distance,
    "wasserstein2": lambda _, v: statistics.wasserstein2(v, v + 1).distance,
    "sliced_wasserstein": lambda _, v: statistics.sliced_wasserstein(v, v + 1).distance,
    "precision_recall_density_coverage": lambda _, v: statistics.precision_recall_density_coverage(v, v).density,
    "memorisation": lambda _, v: statistics.memorisation(v, v + 1, v + 2).generated.distance,
    "standard_error": lambda _, v: statistics.standard_error(torch.ones(60, 2), groups=(10 * v[:, 0]).astype(v.dtype)),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_other_byte_order_and_reversed_views_give_the_same(name):
    compute = STATISTICS[name]
    expected = compute(FIELDS, VECTORS)
    for change in (lambda x: x.astype(">f4"), lambda x: x[::-1].copy()[::-1], lambda x: np.flip(np.flip(x).copy())):
        torch.testing.assert_close(compute(change(FIELDS), change(VECTORS)), expected, equal_nan=True)


def test_arrays_are_shared_where_they_can_be_and_read_only_ones_are_taken(recwarn):
    array = np.arange(6.0)
    assert as_tensor(array).data_ptr() == array.ctypes.data
    array.flags.writeable = False
    assert as_tensor(array).data_ptr() == array.ctypes.data
    assert not recwarn


def test_masked_values_are_not_numbers_and_large_whole_numbers_keep_their_digits():
    masked = np.ma.masked_equal(np.array([[1, -9999], [2, 3]]), -9999)
    assert as_vectors(masked).isnan().tolist() == [[False, True], [False, False]]
    assert as_vectors(np.array([2**24 + 1, 2**31 + 1])).flatten().tolist() == [2**24 + 1, 2**31 + 1]
    with pytest.raises(UsageError, match="numbers"):
        as_tensor(np.array(["a", "b"]))


def test_sides_of_the_box_may_be_an_array():
    expected = statistics.power_spectrum(FIELDS, [2.0, 2.0]).power
    for box in (np.array([2.0, 2.0]), torch.tensor([2.0, 2.0]), np.float32(2.0)):
        torch.testing.assert_close(statistics.power_spectrum(FIELDS, box).power, expected)
