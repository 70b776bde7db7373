import contextlib
import io

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pushforward.errors import DataError, UsageError
from pushforward.statistics import (
    bootstrap,
    classifier_two_sample_test,
    low_pass,
    mean_difference,
    memorisation,
    precision_recall_density_coverage,
    standard_error,
    summary_features,
    summary_names,
)
from pushforward.statistics.two_sample_classifiers import area


def by_definition(x, y, k):
    """Precision, recall, density and coverage of generated ``x`` and real ``y`` from the whole distance matrix."""
    distance = np.linalg.norm(x[:, None] - y[None], axis=2)
    radius_x = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), 1)[:, k]
    radius_y = np.sort(np.linalg.norm(y[:, None] - y[None], axis=2), 1)[:, k]
    inside = distance < radius_y
    recall = (distance < radius_x[:, None]).any(0).mean()
    return inside.any(1).mean(), recall, inside.sum() / (k * len(x)), (distance.min(0) < radius_y).mean()


@pytest.mark.parametrize("dim", [2, 30])
@pytest.mark.parametrize("k", [1, 5])
def test_precision_recall_density_coverage_follow_their_definition(dim, k):
    x, y = torch.randn(60, dim) * 0.7 + 50, torch.randn(80, dim) + 50
    found = precision_recall_density_coverage(x, y, k)
    expected = by_definition(x.double().numpy(), y.double().numpy(), k)
    np.testing.assert_allclose([found.precision, found.recall, found.density, found.coverage], expected)


@pytest.mark.parametrize("dim", [2, 64])
def test_precision_recall_density_coverage_are_those_of_prdc(dim):
    prdc = pytest.importorskip("prdc")
    real, fake = torch.randn(1000, dim, dtype=torch.float64), torch.randn(900, dim, dtype=torch.float64) + 0.1
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = prdc.compute_prdc(real_features=real.numpy(), fake_features=fake.numpy(), nearest_k=5)
    found = precision_recall_density_coverage(fake, real)
    for name, value in theirs.items():
        assert float(getattr(found, name)) == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("dim", [4, 64])
def test_samples_that_take_few_values_lie_in_each_others_neighbourhoods(dim):
    states = 2.0 * torch.randint(2, (16, dim)) - 1
    draws = [states[torch.randint(16, (1000,))] for _ in range(2)]
    whole = [torch.randn(400, dim).round() for _ in range(2)]
    for x, y in (draws, [torch.ones(1024, 64)] * 2, [states[:10] + 1e4] * 2):
        found = precision_recall_density_coverage(x, y)
        assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
        assert found.density >= 1
    if dim == 4:
        assert min(precision_recall_density_coverage(*whole).__dict__.values()) > 0.95


def test_k_must_leave_neighbours():
    with pytest.raises(UsageError, match="k=5"):
        precision_recall_density_coverage(torch.zeros(5, 2), torch.zeros(9, 2))


@pytest.mark.parametrize("classifier", ["mlp", "logistic", "trees"])
def test_classifier_is_at_chance_on_one_distribution_and_sees_a_shift(classifier):
    x, y = torch.randn(500, 2), torch.randn(600, 2)
    same = classifier_two_sample_test(x, y, classifier=classifier)
    assert abs(same.accuracy - 0.5) < 4 * same.accuracy_error
    assert abs(same.auc - 0.5) < 4 * same.auc_error
    apart = classifier_two_sample_test(x, y + torch.tensor([1e-3, 2.0]), classifier=classifier)
    # The best classifier between unit Gaussians two apart is right with probability Phi(1).
    assert abs(apart.accuracy - 0.8413) < 0.03
    assert abs(apart.auc - 0.9214) < 0.03


def test_only_a_nonlinear_classifier_sees_a_difference_in_width():
    x, y = torch.randn(600, 2), 2 * torch.randn(600, 2)
    assert classifier_two_sample_test(x, y, classifier="mlp").auc > 0.7
    assert classifier_two_sample_test(x, y, classifier="logistic").auc < 0.6


def test_area_under_curve_and_its_error():
    rng = np.random.default_rng(0)
    labels, alone = np.repeat([1, 0], [50, 80]), np.zeros(130, dtype=int)

    def of(scores):
        return area(scores, labels, alone, np.arange(130))

    rounded = np.round(rng.normal(labels, 1), 1)
    assert of(rounded)[0] == pytest.approx(roc_auc_score(labels, rounded))
    draws = [of(rng.normal(labels, 1)) for _ in range(400)]
    assert np.std([d[0] for d in draws]) == pytest.approx(np.mean([d[1] ** 2 for d in draws]) ** 0.5, rel=0.15)


def test_classifier_says_what_is_wrong():
    with pytest.raises(UsageError, match="folds"):
        classifier_two_sample_test(torch.zeros(5, 2), torch.zeros(50, 2))
    with pytest.raises(UsageError, match="unknown"):
        classifier_two_sample_test(torch.randn(20, 2), torch.randn(20, 2), classifier="forest")
    with pytest.raises(DataError, match="finite"):
        classifier_two_sample_test(torch.full((20, 2), torch.nan), torch.randn(20, 2))


def test_neighbours_are_the_nearest():
    generated, training, test = torch.randn(20, 20), torch.randn(30, 20), torch.randn(25, 20)
    found = memorisation(generated, training, test)
    distance = torch.cdist(generated.double(), training.double())
    torch.testing.assert_close(found.generated.distance, distance.min(1).values)
    assert torch.equal(found.generated.index, distance.argmin(1))


def test_low_pass_keeps_large_scales():
    fields = torch.randn(5, 2, 64, 48)
    coarse = low_pass(fields, 16)
    assert coarse.shape == (5, 2 * 16 * 16)
    torch.testing.assert_close(coarse.reshape(5, 2, 256).mean(2), fields.mean((2, 3)))
    assert torch.equal(low_pass(fields, 100), fields.flatten(1))
    assert low_pass(torch.randn(2, 1, 8, 8, 8), 4).shape == (2, 64)


@pytest.mark.parametrize("grid", [(40,), (32, 32), (4, 4), (3, 3), (6, 8, 6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_summary_features_are_named_and_finite(grid, channels):
    fields = torch.randn(6, channels, *grid)
    names = summary_names(fields, box=10.0)
    assert len(set(names)) == len(names)
    for these in (fields, torch.zeros_like(fields), torch.full_like(fields, 1e20)):
        features = summary_features(these, box=10.0)
        assert features.shape == (6, len(names))
        assert features.isfinite().all()


def test_summary_features_do_not_depend_on_the_other_samples():
    """A feature that does marks a sample with its set: a classifier would tell equal sets apart."""
    spins = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)).sign()
    torch.testing.assert_close(summary_features(spins)[:15], summary_features(spins[:15]), rtol=0, atol=1e-12)


def test_summary_features_scale_as_their_names_say():
    fields = torch.randn(6, 2, 32, 32)
    names, plain, scaled = (
        summary_names(fields, 10.0),
        summary_features(fields, 10.0),
        summary_features(3 * fields, 10.0),
    )
    for column, name in enumerate(names):
        x, y = plain[:, column], scaled[:, column]
        expected = x
        if name.startswith("ln P"):
            expected = x + np.log(9)
        elif name.startswith("ln standard"):
            expected = x + np.log(3)
        elif name.startswith("mean"):
            expected = 3 * x
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("correlation", lambda x: torch.stack([x[:, 0], x[:, 1].roll(16, -1)], 1)),
        ("cos 2 phi", lambda x: x + 0.3 * x.roll(1, 2)),
        ("ln border", lambda x: torch.nn.functional.pad(x[..., 1:-1, 1:-1], (1, 1, 1, 1))),
    ],
)
def test_summary_features_see_channels_directions_and_places(name, change):
    shared = torch.randn(2, 100, 1, 32, 32)
    first, second = (torch.cat([s, s + 0.5 * torch.randn_like(s)], 1) for s in shared)
    names = np.array(summary_names(first))
    z = mean_difference(summary_features(change(first)), summary_features(second)).z.abs().numpy()
    assert names[z.argmax()].startswith(name) or z[[n.startswith(name) for n in names]].max() > 8


def test_standard_error_is_the_usual_one_and_takes_whole_groups():
    values = torch.randn(50, 3, dtype=torch.float64)
    torch.testing.assert_close(standard_error(values), values.std(0) / 50**0.5)
    repeated, groups = values.repeat_interleave(4, 0), torch.arange(50).repeat_interleave(4)
    torch.testing.assert_close(standard_error(repeated, groups), standard_error(values))
    assert (standard_error(repeated) < 0.6 * standard_error(values)).all()
    for wrong, error in ((torch.zeros(50), DataError), (torch.zeros(3), UsageError)):
        with pytest.raises(error):
            standard_error(values, wrong.long())


def test_bootstrap_of_a_mean_is_its_standard_error():
    values = torch.randn(100, 3, 2, dtype=torch.float64)
    found = bootstrap(values, resamples=4000)
    torch.testing.assert_close(found.estimate, values.mean(0))
    torch.testing.assert_close(found.error, standard_error(values), rtol=0.06, atol=0)
    assert ((found.low < found.estimate) & (found.estimate < found.high)).all()
    groups = np.arange(100) // 5
    grouped = bootstrap(values, groups=groups, resamples=4000)
    torch.testing.assert_close(grouped.error, standard_error(values, groups), rtol=0.1, atol=0)


def test_bootstrap_of_a_ratio_covers_it():
    hits = 0
    for seed in range(60):
        values = torch.randn(80, 2, generator=torch.Generator().manual_seed(seed)) + torch.tensor([3.0, 2.0])
        found = bootstrap(values, lambda means: means[:, 0] / means[:, 1], resamples=300)
        hits += bool(found.low < 1.5) and bool(found.high > 1.5)
    assert 30 < hits < 52
