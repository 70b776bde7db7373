"""The family `diffusion-bridge`: exact between Gaussian fields, where it turns, and its random translations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.ensembles.batch import PairBatch
from pushforward.errors import UsageError
from pushforward.models.diffusion_bridge import DiffusionBridge
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.transport.path import Moment

SPACE = Field(1, (16, 16), periodic=True)
DATA: Moment[float] = Moment(0.0, 1.0, 0.0, 0.0, 0.0)


def untrained(space, powers: dict[str, torch.Tensor]) -> DiffusionBridge:
    """Networks that add nothing, so each flow is that of a Gaussian ensemble with these powers."""
    model = DiffusionBridge(space, settings=DiffusionBridge.Settings(width=8))
    for side, power in powers.items():
        gaussian = model.models[side].gaussian
        with torch.no_grad():
            gaussian.raw_log_power.copy_(power.log() / gaussian.speed)
        model.get_buffer(f"powers_{side}").copy_(power)
    return model


@pytest.fixture
def powers() -> dict[str, torch.Tensor]:
    shells = torch.arange(1.0, 13.0)
    a = 20 / shells**2
    return {"a": a, "b": torch.where(shells < 5, a, 0.2 * a)}


def test_between_gaussian_fields_every_wave_is_rescaled_at_pure_noise(powers):
    """The map of least displacement between two Gaussian fields, wave by wave."""
    model = untrained(SPACE, powers)
    x = model.models["a"].gaussian.colour(Draws(0, 4).normal(*SPACE.shape), DATA)
    moved = model.translate(x, "b", DiffusionBridge.Sampling(turn_around=1.0))
    gaussian = model.models["a"].gaussian
    ratio = (powers["b"] / powers["a"]).sqrt()[gaussian.index]
    torch.testing.assert_close(gaussian.modes(moved), ratio * gaussian.modes(x), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        model.translate(moved, "a", DiffusionBridge.Sampling(turn_around=1.0)), x, atol=1e-3, rtol=1e-3
    )


def test_it_turns_at_the_noise_where_the_spectra_part(powers):
    model = untrained(SPACE, powers)
    part = float(powers["a"][4])
    assert (model.turn_around() / (1 - model.turn_around())) ** 2 == pytest.approx(part - 2 * 0.2 * part, rel=1e-5)
    x = model.models["a"].gaussian.colour(Draws(0, 200).normal(*SPACE.shape), DATA)
    drawn = model.translate_at_random(x, "b", Draws(1, len(x)), DiffusionBridge.Sampling(random=True))
    gaussian = model.models["b"].gaussian
    start, end = gaussian.modes(x), gaussian.modes(drawn)
    alike = (start * end).mean(0) / (start.square().mean(0) * end.square().mean(0)).sqrt()
    long, short = gaussian.index == 1, gaussian.index >= 8
    assert alike[long].mean() > 0.8, "long waves stand above the noise and are kept"
    assert alike[short].mean() < 0.3, "short waves are made anew"
    found = gaussian.powers_of(drawn)
    torch.testing.assert_close(found[5:], powers["b"][5:], rtol=0.35, atol=0)


def test_vectors_are_taken_to_pure_noise_and_spectra_are_means_over_the_batches():
    model = DiffusionBridge(Vector(2), settings=DiffusionBridge.Settings(width=8, depth=1))
    assert model.turn_around() == 1.0
    for seed in range(3):
        draws = Draws(seed, 64)
        batch = PairBatch(draws.normal(2), None, draws, b=2 * draws.normal(2))
        assert [turn.player for turn in model.turns(iter([batch]))] == ["a", "b"]
    assert float(model.seen) == 3
    torch.testing.assert_close(model.powers_b / model.powers_a, torch.tensor([4.0, 4.0]), rtol=0.4, atol=0)


def test_random_and_deterministic_translations_of_a_resumed_run(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(40, 8, 8)).astype(np.float32) * scale for scale in (1.0, 3.0))
    np.save("a.npy", a)
    np.save("b.npy", b)
    fit = ("fit", "a.npy", "--and", "b.npy", "--model", "diffusion-bridge", "--set", "width=4", "--out", "run",
           "--space", "field")  # fmt: skip
    command(*fit, "--steps", 2)
    command(*fit, "--steps", 4, "--resume")
    command("translate", "run", "a.npy", "--to", "b", "-o", "one.npy")
    command("translate", "run", "a.npy", "--to", "b", "--set", "random=true", "--seed", 3, "-o", "two.npy")
    command("translate", "run", "a.npy", "--to", "b", "--set", "random=true", "--seed", 3, "-o", "three.npy")
    one, two, three = (np.load(f"{name}.npy") for name in ("one", "two", "three"))
    assert not np.array_equal(one, two)
    assert np.array_equal(two, three)
    with pytest.raises(UsageError, match="no setting called 'nonsense'"):
        pf.Emulator.load("run").translate(a[:2, None], "b", nonsense=1)
