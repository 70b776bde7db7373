"""Samples of flows, corrected after training to the values and the power spectrum of members."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.conditions import Condition, ConditionSpace
from pushforward.emulator import Emulator
from pushforward.models import Batch
from pushforward.models.flow_matching import FlowMatching
from pushforward.models.matched_flow import MatchedFlow, _nearest
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.statistics import power_spectrum
from pushforward.transport import GaussianDenoiser

SPACE = Field(1, (16, 16), periodic=True)


def fields(count: int, seed: int, tilt: float = 0.0) -> torch.Tensor:
    """Gaussian fields of unit variance with a steep spectrum."""
    noise = torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    waves = (torch.fft.fftfreq(16)[:, None].square() + torch.fft.rfftfreq(16).square()).sqrt().clamp(min=1 / 16)
    x = torch.fft.irfft2(torch.fft.rfft2(noise) * waves ** (tilt - 1.0), s=(16, 16))
    return x / x.std()


def fitted(made: torch.Tensor, members: torch.Tensor) -> tuple[MatchedFlow, GaussianDenoiser]:
    spectrum = GaussianDenoiser(SPACE)
    spectrum.initialise(members)
    match = MatchedFlow(SPACE, ConditionSpace(), len(spectrum.raw_log_power), 1.0)
    values = members.exp()
    match.fit(made, Batch(members, None, Draws(0, len(members)), values=values), spectrum)
    return match, spectrum


def powers(x: torch.Tensor) -> torch.Tensor:
    return power_spectrum(x.exp(), box=1.0).power.mean((0, 1))[:6]


def test_samples_with_too_much_small_scale_power_and_too_heavy_tails_are_corrected():
    off = [1.2 * torch.sinh(0.4 * fields(400, seed, tilt=0.15)) / 0.4 for seed in (1, 2)]
    members, unseen = fields(400, 3), fields(400, 4)
    match, spectrum = fitted(off[0], members)
    corrected = match(off[1], spectrum)
    before, after, floor = ((powers(x) / powers(unseen)).log().abs().mean() for x in (off[1], corrected, members))
    assert before > 0.4
    assert after < 0.05 + floor, f"{after} after, {floor} of members"
    tails = [float(x.quantile(0.999)) for x in (corrected[:200], unseen[:200])]
    assert tails[0] == pytest.approx(tails[1], abs=0.15)


def test_what_is_not_significant_is_not_corrected():
    match, _ = fitted(fields(100, 1), fields(100, 2))
    naive = power_spectrum(fields(100, 2), box=1.0).power.mean(0) / power_spectrum(fields(100, 1), box=1.0).power.mean(
        0
    )
    assert (match.match.gain.log().abs() < 0.02).float().mean() > 0.6
    assert match.match.gain.log().abs().mean() < 0.6 * naive.log().abs().mean()


def test_many_members_with_one_label_are_all_used():
    labels = torch.randint(2, (1024, 1), generator=torch.Generator().manual_seed(0)).float()
    beside = _nearest(Batch(torch.zeros(1024, 1, 1, 1), Condition(labels), Draws(0, 1024)), 256, 4)
    assert len(beside.unique()) > 500
    assert torch.equal(labels[beside], labels[:256, None].expand(-1, 4, -1))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("count", [128, 320])
def test_perfect_samples_of_skewed_fields_are_hardly_changed(count, seed):
    match, spectrum = fitted(fields(count, 10 + seed), fields(count, 20 + seed))
    others, unseen = fields(2000, 3), fields(2000, 4)
    before, after = ((powers(x) / powers(unseen)).log().abs().mean() for x in (others, match(others, spectrum)))
    assert after < before + 0.03, f"{after} after, {before} before"
    # The highest values, of which few were seen, are not far from where they were.
    assert float(match(others, spectrum).max()) == pytest.approx(float(others.max()), rel=0.1)


def test_samples_are_compared_with_members_at_their_conditions():
    numbers = torch.rand(200, 1, generator=torch.Generator().manual_seed(0))
    members = fields(200, 3) * (1 + numbers[..., None, None])
    spectrum = GaussianDenoiser(SPACE)
    spectrum.initialise(members)
    match = MatchedFlow(SPACE, ConditionSpace(1), len(spectrum.raw_log_power), 1.0)
    narrow = (numbers[:, 0] < 0.3).nonzero()[:, 0]
    first = torch.cat([narrow, (numbers[:, 0] >= 0.3).nonzero()[:, 0]])
    batch = Batch(members[first], Condition(numbers[first]), Draws(0, 200))
    match.fit(fields(len(narrow), 5) * (1 + numbers[narrow, :, None, None]), batch, spectrum)
    # The members at these conditions are half as wide as all of them, and so the samples are right as they are.
    theirs, ours = (scores.quantiles[0, 48] - scores.quantiles[0, 16] for scores in (match.scores, match.match.scores))
    assert float(theirs / ours) == pytest.approx(1, abs=0.1)


def test_densities_and_codes_are_those_of_the_corrected_samples():
    torch.manual_seed(0)
    space = Field(1, (4, 4), periodic=True)
    model = FlowMatching(space).eval()
    members = torch.randn(200, 1, 4, 4)
    model.prepare(Batch(members, None, Draws(0, 200)))
    assert model.completion(10**6, 200).members == 200
    assert model.completion(10**4, 10**6).members == 4 * 187
    skewed = (1.3 * members).sinh()
    model.complete(Batch(skewed, None, Draws(0, 200)), seen=10**6)
    x = model.sample(Draws(1, 3)).double()
    model.double()
    torch.testing.assert_close(model.decode(model.encode(x)), x, rtol=1e-4, atol=1e-4)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda x: model.match.inverse(x[None], model.gaussian)[0].flatten()))(
        x
    )
    expected = torch.linalg.slogdet(jacobians.flatten(2)).logabsdet
    torch.testing.assert_close(model.match.log_volume(x, model.gaussian), expected, rtol=1e-6, atol=1e-6)
    before = model.log_prob(x)
    inner, volume = model.match.inverse(x, model.gaussian), model.match.log_volume(x, model.gaussian)
    model.match.reset()
    torch.testing.assert_close(model.log_prob(inner) + volume, before)


def test_a_run_is_saved_with_its_match_and_can_do_without(tmp_path, monkeypatch):
    monkeypatch.setattr(MatchedFlow, "fewest", 4)
    data = pf.Ensemble.from_array(fields(128, 0).numpy() ** 2, space="field", periodic=True)
    settings = {"width": 8, "batch_size": 32}
    emulator = pf.fit(data, steps=10, out=tmp_path / "run", settings=settings, device="cpu", progress=False)
    loaded = Emulator.load(tmp_path / "run")
    assert loaded.model.match.done == 1
    torch.testing.assert_close(loaded.sample(4, seed=0), emulator.sample(4, seed=0))
    apart = emulator.sample(4, seed=0, matched=False)
    assert (apart - emulator.sample(4, seed=0)).abs().max() > 1e-3
    emulator.model.match.reset()
    torch.testing.assert_close(emulator.sample(4, seed=0), apart)


def test_an_interrupted_match_is_made_up_for_by_resuming(tmp_path, monkeypatch):
    monkeypatch.setattr(MatchedFlow, "fewest", 4)
    data = pf.Ensemble.from_array(fields(128, 0).numpy() ** 2, space="field", periodic=True)
    options = {"steps": 10, "out": tmp_path / "run", "settings": {"width": 8, "batch_size": 32}, "device": "cpu"}

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(MatchedFlow, "fit", stopped)
        with pytest.raises(KeyboardInterrupt, match=r"stopped while matching .* --resume"):
            pf.fit(data, **options, progress=False)
    assert Emulator.load(tmp_path / "run").model.match.done == 0
    assert pf.fit(data, **options, resume=True, progress=False).model.match.done == 1
    assert Emulator.load(tmp_path / "run").model.match.done == 1


def test_short_trainings_few_members_and_other_spaces_are_left_alone():
    model = FlowMatching(SPACE)
    assert model.completion(seen=6000, members=10**4) is None
    assert model.completion(seen=10**6, members=120) is None
    assert model.completion(seen=10**9, members=10**4).members == 4 * MatchedFlow.most
    completion = model.completion(seen=20_000, members=10**4)
    assert completion.cost == pytest.approx(MatchedFlow.share * 20_000, rel=0.01)
    assert FlowMatching(Vector(3)).completion(10**9, 10**4) is None
    assert FlowMatching(Field(1, (16, 16))).completion(10**9, 10**4) is None
