import numpy as np
import pytest
from gaussian_maps import gaussian_fields
from scipy import stats

from pushforward.errors import UsageError
from pushforward.statistics import field_memorisation, memorisation


def vectors(rng, count, dim=5):
    return rng.normal(size=(count, dim))


@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
@pytest.mark.parametrize(("noise", "dim"), [(0.0, 2), (0.0, 30), (0.05, 30)])
def test_share_of_copies_is_measured_and_significant(share, noise, dim):
    rng = np.random.default_rng(0)
    training = 1000 + vectors(rng, 3000, dim)
    generated = 1000 + vectors(rng, 400, dim)
    copies = rng.permutation(400)[: int(share * 400)]
    chosen = rng.permutation(3000)[: len(copies)]
    generated[copies] = training[chosen] + noise * vectors(rng, len(copies), dim)
    found = memorisation(generated, training, 1000 + vectors(rng, 400, dim))
    assert found.p_value < 2e-3
    assert float(found.excess) == pytest.approx(share, abs=0.05)
    assert float(found.copied) == pytest.approx(share if noise == 0 else 0, abs=1e-9)
    assert np.array_equal(found.generated.index[copies], chosen)


def test_copies_that_passed_through_single_precision_are_copies():
    rng = np.random.default_rng(1)
    training = 1e4 + vectors(rng, 500)
    found = memorisation(training[:50].astype(np.float32).astype(float), training, 1e4 + vectors(rng, 200))
    assert found.copied == 1
    assert found.test_copied == 0


def repeating(rng, count, originals, share):
    x = vectors(rng, count, originals.shape[1])
    copied = rng.random(count) < share
    x[copied] = originals[rng.integers(len(originals), size=copied.sum())]
    return x


@pytest.mark.parametrize("repeated", [0.06, 0.3])
def test_only_copies_beyond_those_of_the_data_count(repeated):
    rng = np.random.default_rng(2)
    training = vectors(rng, 1000)
    test = repeating(rng, 500, training, repeated)
    assert memorisation(repeating(rng, 500, training, repeated), training, test).p_value > 0.01
    assert float(memorisation(training[:500], training, test).excess) == 1
    half = memorisation(repeating(rng, 500, training, repeated + 0.5 * (1 - repeated)), training, test)
    assert float(half.excess) == pytest.approx(0.5, abs=0.08)
    assert half.p_value < 1e-10


def test_states_that_all_occur_in_training_cannot_be_memorised():
    rng = np.random.default_rng(3)
    states = rng.choice([-1.0, 1.0], (16, 64))
    found = memorisation(*(states[rng.integers(16, size=count)] for count in (300, 1000, 300)))
    assert (found.excess, found.p_value, found.copied, found.test_copied) == (0, 1, 1, 1)


def decoded(rng, count, noise):
    """Points on a curved plane in 20 dimensions with noise, such as those a VAE decodes if the noise is left out."""
    hidden = rng.normal(size=(count, 2))
    frame = np.random.default_rng(9).normal(size=(6, 20))
    return np.concatenate([hidden, hidden**2, np.sin(2 * hidden)], 1) @ frame + noise * rng.normal(size=(count, 20))


NARROW = {
    "scaled": lambda rng, count: 0.5 * vectors(rng, count, 20),
    "slightly scaled": lambda rng, count: 0.8 * vectors(rng, count, 20),
    "one point": lambda rng, count: np.zeros((count, 20)) + 1e-9 * vectors(rng, count, 20),
}


@pytest.mark.parametrize("change", NARROW)
@pytest.mark.parametrize("seed", range(3))
def test_samples_narrower_than_the_data_are_not_copies(change, seed):
    rng = np.random.default_rng(seed)
    training, test = vectors(rng, 8000, 20), vectors(rng, 500, 20)
    found = memorisation(NARROW[change](rng, 500), training, test)
    assert found.nearness < 1e-3
    assert found.p_value > 0.05
    assert found.excess == 0


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_means_without_the_noise_of_the_data_are_not_copies(noise):
    rng = np.random.default_rng(0)
    training, test = decoded(rng, 4000, noise), decoded(rng, 500, noise)
    assert memorisation(decoded(rng, 500, 0.0), training, test).p_value > 0.05
    copied = memorisation(np.concatenate([decoded(rng, 400, 0.0), training[:100]]), training, test)
    assert copied.p_value < 1e-6


def test_training_members_with_noise_in_the_plane_are_copies():
    """In two dimensions every sample has a near member: only the unseen ones, which are never near, tell."""
    rng = np.random.default_rng(1)
    training, test = vectors(rng, 1000, 2), vectors(rng, 500, 2)
    generated = training[:500] + 0.02 * vectors(rng, 500, 2)
    assert memorisation(generated, training, test).p_value < 1e-3


@pytest.mark.parametrize("grouped", [False, True])
def test_p_value_is_valid_under_the_null(grouped):
    found = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        parts = [vectors(rng, 25, 3).repeat(8, 0) + 0.2 * vectors(rng, 200, 3) for _ in range(2)]
        if not grouped:
            parts = [vectors(rng, 200, 3) for _ in range(2)]
        groups = np.arange(25).repeat(8) if grouped else None
        found.append(
            float(memorisation(parts[0], vectors(rng, 300, 3), parts[1], groups=groups, test_groups=groups).p_value)
        )
    # A sign of copies is required besides, so that p-values are never too small but often too large.
    for level in (0.05, 0.2):
        assert np.mean(np.array(found) <= level) <= level + 3 * (level / 300) ** 0.5
    assert stats.kstest(found, "uniform", alternative="greater").pvalue > 0.01


def maps(count, seed, n=32):
    return gaussian_fields(count, (n, n), (n, n), lambda k: k**-2.0 * np.exp(-((k / (0.5 * np.pi)) ** 2)), seed)


CHANGES = {
    "none": lambda x, _: x,
    "moved": lambda x, rng: np.stack([np.roll(f, rng.integers(0, 32, 2), (1, 2)) for f in x]),
    "turned": lambda x, _: np.rot90(x, axes=(2, 3)),
    "mirrored": lambda x, _: x[..., ::-1],
    "transposed": lambda x, _: np.swapaxes(x, 2, 3),
    "moved, turned, with noise": lambda x, rng: np.rot90(np.roll(x, 5, 2), 3, (2, 3)) + 0.05 * rng.normal(size=x.shape),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_copies_of_fields_are_found_wherever_they_moved(change, share):
    rng = np.random.default_rng(4)
    training, test, generated = maps(400, 0), maps(100, 1), maps(100, 2)
    copies = int(100 * share)
    generated[:copies] = CHANGES[change](training[:copies], rng)
    found = field_memorisation(generated, training, test)
    assert found.p_value < 1e-4
    assert float(found.excess) == pytest.approx(share, abs=0.06)
    np.testing.assert_array_equal(found.generated.index[:copies], np.arange(copies))
    assert field_memorisation(maps(100, 3), training, test).p_value > 0.01


@pytest.mark.parametrize("grid", [(40,), (8, 8), (9, 12)])
def test_distance_is_the_least_over_all_translations_and_turns(grid):
    rng = np.random.default_rng(5)
    x, t = rng.normal(size=(3, 2, *grid)), rng.normal(size=(6, 2, *grid))
    found = field_memorisation(x, t, x, candidates=48)
    mean = t.mean((0, *range(2, t.ndim)), keepdims=True)
    scale = np.sqrt(((t - mean) ** 2).reshape(6, 2, -1).sum(2).mean(0)).reshape(2, *[1] * len(grid)) * 2**0.5
    a, b = (x - mean) / scale, (t - mean) / scale
    axes = tuple(range(1, len(grid) + 1))
    orders = [axes, axes[::-1]] if grid == (8, 8) else [axes]
    for i in range(3):
        least = np.inf
        for order in orders:
            turned = a[i].transpose(0, *order)
            for flips in np.ndindex(*[2] * len(grid)):
                mirrored = np.flip(turned, [axis for axis, flip in zip(axes, flips, strict=True) if flip])
                for j in range(6):
                    for s in np.ndindex(grid):
                        least = min(least, np.sum((np.roll(mirrored, s, axes) - b[j]) ** 2))
        assert float(found.generated.distance[i]) == pytest.approx(least**0.5)


def test_fields_with_borders_are_turned_but_not_moved():
    rng = np.random.default_rng(6)
    training, test = maps(200, 0), maps(60, 1)
    turned = CHANGES["turned"](training[:60], rng)
    assert field_memorisation(turned, training, test, periodic=False).copied == 1
    assert field_memorisation(turned, training, test, periodic=False, isotropic=False).copied == 0
    assert field_memorisation(CHANGES["moved"](training[:60], rng), training, test, periodic=False).copied == 0
    with pytest.raises(UsageError, match="candidates"):
        field_memorisation(turned, training, test, candidates=0)
    with pytest.raises(UsageError, match="quantile"):
        memorisation(np.ones((4, 2)), np.ones((4, 2)), np.ones((4, 2)), quantile=0)
