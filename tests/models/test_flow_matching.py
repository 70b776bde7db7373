"""Flow matching: what it regresses, and what follows from it."""

from __future__ import annotations

import math
from itertools import repeat

import pytest
import torch
from minimise import minimise
from two_clusters import log_density, two_clusters

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.flow_matching import FlowMatching
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.transport import Straight


def train(model, data, steps, batch=256, learning_rate=3e-3, condition=None):
    """On random batches of the rows of ``data``."""
    generator = torch.Generator().manual_seed(0)

    def examples(step):
        rows = torch.randint(len(data), (batch,), generator=generator)
        given = None if condition is None else condition[rows]
        return Batch(data[rows], given, Draws(step, batch), step / steps)

    return minimise(model, examples, steps, learning_rate)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    settings = FlowMatching.Settings(width=48, depth=2)
    return train(FlowMatching(Vector(2), settings=settings), two_clusters(8192), steps=600)


def test_a_trained_model_has_the_density_of_its_data(trained):
    x = two_clusters(512, seed=1)
    gap = (log_density(x) - trained.log_prob(x)).mean()
    assert -0.01 < float(gap) < 0.05, "the mean log-density of fresh data must come near the true one"


def test_the_density_integrates_to_one(trained):
    axis = torch.linspace(-4, 4, 81)
    mass = trained.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(mass) == pytest.approx(1, abs=2e-3)


def test_samples_have_the_moments_of_the_data(trained):
    x = trained.sample(Draws(0, 4000))
    assert float(x[:, 0].abs().mean()) == pytest.approx(1.2, abs=0.05)
    assert float(x[:, 1].std()) == pytest.approx(0.4, abs=0.04)
    assert float((x[:, 0] > 0).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_codes_are_standard_normal_and_decode_to_their_sample(trained):
    x = two_clusters(2000, seed=2)
    z = trained.encode(x)
    torch.testing.assert_close(z.T.cov(), torch.eye(2), rtol=0, atol=0.12)
    torch.testing.assert_close(trained.decode(z), x, rtol=0, atol=1e-3)


@pytest.mark.parametrize("method", ["euler", "heun", "midpoint", "rk4", "ddim", "dpm-solver"])
def test_deterministic_methods_agree_with_the_decoder(trained, method):
    sampling = trained.Sampling(method=method, steps=200 if method in ("euler", "ddim") else 50)
    expected = trained.decode(Draws(0, 200).normal(2))
    torch.testing.assert_close(trained.sample(Draws(0, 200), sampling=sampling), expected, rtol=0, atol=0.05)


def test_an_untrained_model_is_right_for_gaussian_data():
    """The network starts at zero beside the Gaussian answer, whose loss is the integral of 1 / ((1 - t)^2 + t^2)."""
    model = FlowMatching(Vector(4))
    (turn,) = model.turns(repeat(Batch(torch.randn(4096, 4), None, Draws(0, 4096))))
    assert turn.loss.item() == pytest.approx(math.pi / 2, abs=0.05)
    x = torch.randn(10, 4)
    expected = torch.distributions.Normal(0, 1).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=0, atol=1e-3)


def test_an_untrained_model_samples_a_gaussian_field_in_one_step():
    """`prepare` reads the power spectrum off a batch, and the network adds nothing yet."""
    space = Field(1, (16, 16), periodic=True)
    k = torch.fft.fftfreq(16)
    amplitude = 1 / (0.1 + (k[:, None] ** 2 + k**2).sqrt())

    def fields(count, seed):
        noise = torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
        return torch.fft.ifft2(torch.fft.fft2(noise) * amplitude).real

    def spectrum(x):
        return torch.fft.fft2(x, norm="ortho").abs().square().mean((0, 1))

    model = FlowMatching(space, settings=FlowMatching.Settings(width=8))
    model.prepare(Batch(fields(512, 0), None, Draws(0, 512)))
    x = model.sample(Draws(1, 2000), sampling=model.Sampling(method="euler", steps=1))
    ratio = spectrum(x) / amplitude.square()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=0.3)
    assert float(ratio.mean()) == pytest.approx(1, abs=0.03)
    fresh = fields(64, 2)
    modes = torch.fft.fft2(fresh, norm="ortho").abs().square().sum(1) / amplitude.square()
    size = space.size
    expected = -0.5 * modes.sum((1, 2)) - amplitude.log().sum() - size / 2 * math.log(2 * math.pi)
    assert float((model.log_prob(fresh) - expected).abs().mean()) < 0.02 * size


def test_logit_normal_times_have_the_quantiles_that_were_set():
    settings = FlowMatching.Settings(time_sampling="logit-normal", time_mean=-0.4, time_std=1.5)
    times = FlowMatching(Vector(2), settings=settings).times(Draws(0, 4000))
    logits = torch.logit(times.double())
    assert float(logits.mean()) == pytest.approx(-0.4, abs=0.01)
    assert float(logits.std()) == pytest.approx(1.5, abs=0.02)
    assert ((times > 0) & (times < 1)).all()


def test_optimal_transport_shortens_the_paths():
    model = FlowMatching(Vector(2), settings=FlowMatching.Settings(coupling="optimal-transport"))
    batch = Batch(two_clusters(128), None, Draws(0, 128))
    coupled = (model.noise(batch) - batch.x).square().sum()
    independent = (Draws(0, 128).normal(2) - batch.x).square().sum()
    assert coupled < 0.7 * independent


def test_withheld_conditions_give_the_unconditional_distribution():
    torch.manual_seed(0)
    label = (torch.arange(4096) % 2).float()[:, None] * 2 - 1
    data = label.repeat(1, 2) + 0.3 * torch.randn(4096, 2)
    settings = FlowMatching.Settings(width=32, depth=2, condition_dropout=0.2)
    model = train(FlowMatching(Vector(2), ConditionSpace(1), settings), data, steps=300, condition=Condition(label))
    right = Condition(torch.ones(500, 1))
    told, untold = model.sample(Draws(0, 500), right), model.sample(Draws(0, 500))
    assert float(told.mean()) == pytest.approx(1, abs=0.1)
    assert float(untold.mean()) == pytest.approx(0, abs=0.15)
    none = model.sample(Draws(0, 500), right, model.Sampling(guidance=0.0))
    torch.testing.assert_close(none, untold, rtol=0, atol=0.1)
    whitened, plain = (
        model.sample(Draws(0, 500), right, model.Sampling(guidance=1.3, method=method, steps=100))
        for method in ("rk4", "dpm-solver")
    )
    torch.testing.assert_close(whitened, plain, rtol=0, atol=0.05)


def test_a_batch_of_conditions_is_not_changed():
    model = FlowMatching(Vector(2), ConditionSpace(1), FlowMatching.Settings(condition_dropout=0.9))
    condition = torch.ones(64, 1)
    next(model.turns(repeat(Batch(torch.randn(64, 2), Condition(condition), Draws(0, 64)))))
    assert torch.equal(condition, torch.ones(64, 1))


def test_a_network_in_bfloat16_leaves_the_loop_in_single_precision():
    model = FlowMatching(Field(1, (8, 8)), settings=FlowMatching.Settings(width=8))
    torch.nn.init.normal_(model.network.output.convolution.weight, std=0.02)
    with torch.autocast("cpu", torch.bfloat16):
        low = model.sample(Draws(0, 3))
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, model.sample(Draws(0, 3)), rtol=0, atol=0.05)


def test_a_network_call_sees_inputs_of_unit_variance():
    model, line = FlowMatching(Vector(1)), Straight()
    seen = []
    model.network.forward = lambda x, t, condition: seen.append((x.std().item(), t[0].item())) or 0 * x
    for moment in line.moments([0.0, 0.3, 1.0]):
        z = moment.mix(torch.randn(10000, 1), torch.randn(10000, 1))
        model.predictor()(z, moment)
    assert [std for std, _ in seen] == pytest.approx([1, 1, 1], abs=0.03)
    assert [t for _, t in seen] == pytest.approx([0, 0.3, 1])


def test_what_the_model_cannot_do_is_refused():
    with pytest.raises(UsageError, match="multipliers"):
        FlowMatching(Vector(2), settings=FlowMatching.Settings(multipliers=(1, 2)))
    model = FlowMatching(Vector(2), ConditionSpace(1))
    with pytest.raises(UsageError, match="guidance=2"):
        model.sample(Draws(0, 2), None, model.Sampling(guidance=2.0))
    with pytest.raises(UsageError, match="condition_dropout"):
        FlowMatching(Vector(2), ConditionSpace(1), FlowMatching.Settings(condition_dropout=0)).sample(Draws(0, 2))
