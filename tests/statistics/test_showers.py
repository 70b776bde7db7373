import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.statistics import shower_observables, two_sample_classifiers


def test_observables_of_flat_and_gridded_showers_agree():
    rng = np.random.default_rng(0)
    grid = np.where(rng.random((20, 1, 5, 4, 3)) < 0.6, 0.0, rng.lognormal(size=(20, 1, 5, 4, 3)))
    incident = rng.uniform(1, 2, 20)
    by_axis = shower_observables(grid, incident=incident)
    by_size = shower_observables(grid.reshape(20, -1), layers=[12] * 5, incident=incident)
    for name in ("total", "layers", "depth", "width", "sparsity", "response"):
        torch.testing.assert_close(getattr(by_axis, name), getattr(by_size, name))
    np.testing.assert_allclose(by_axis.total, grid.reshape(20, -1).sum(1))
    np.testing.assert_allclose(by_axis.sparsity, (grid[:, 0] == 0).reshape(20, 5, -1).mean(2))
    weights = by_axis.layers.numpy()
    depth = [np.average(np.arange(5), weights=w) for w in weights]
    np.testing.assert_allclose(by_axis.depth, depth)
    np.testing.assert_allclose(
        by_axis.width,
        [np.average((np.arange(5) - d) ** 2, weights=w) ** 0.5 for w, d in zip(weights, depth, strict=True)],
    )
    np.testing.assert_allclose(by_axis.response, by_axis.total.numpy() / incident)


def test_layers_of_unequal_size_and_empty_showers():
    found = shower_observables(np.zeros((3, 7)), layers=(1, 2, 4))
    assert found.sparsity.eq(1).all()
    assert found.features.isfinite().all()
    assert found.features.shape == (3, len(found.names))
    low = shower_observables(np.full((1, 4), 0.1), layers=[4], threshold=0.2)
    assert low.sparsity == 1
    assert low.total == pytest.approx(0.4)


def test_a_detector_that_never_reads_zero_is_named():
    rng = np.random.default_rng(1)

    def showers(count, noise):
        cells = rng.lognormal(0, 0.3, (count, 30)) * np.repeat([1.0, 3.0, 2.0], 10)
        return shower_observables(np.where(rng.random(cells.shape) < 0.5, noise, cells), layers=[10, 10, 10])

    real, smooth = showers(300, 0.0), showers(300, 1e-3)
    found = two_sample_classifiers(smooth.features, real.features, names=real.names, importance=True)
    assert found.auc > 0.99
    assert next(iter(found.importance)).startswith("sparsity")


def test_says_what_is_wrong():
    with pytest.raises(UsageError, match="layers"):
        shower_observables(np.ones((3, 7)))
    with pytest.raises(UsageError, match="layers of 6 cells"):
        shower_observables(np.ones((3, 7)), layers=[2, 4])
    with pytest.raises(UsageError, match="incident"):
        shower_observables(np.ones((3, 7)), layers=[7], incident=np.ones(2))
