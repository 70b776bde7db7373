import signal

import numpy as np
import pytest
import torch
from quiet_runs import SignalAt, assert_same, metrics, weights

from pushforward.emulator import Emulator
from pushforward.ensembles import Ensemble
from pushforward.errors import UsageError
from pushforward.runs.files import load_tensors, part_of
from pushforward.training import Interrupted, fit


@pytest.fixture(scope="module")
def noise():
    """Few numbers that have nothing to do with their many conditions, which a flow learns by heart."""
    rng = np.random.default_rng(0)
    return Ensemble.from_array(rng.normal(size=(100, 2)), conditions=rng.normal(size=(100, 6)), name="noise")


def run(ensemble, out, model="maf", steps=300, **options):
    settings = {"width": 32, "keep": "best", "batch_size": 64, "log_every": 0, **options.pop("settings", {})}
    return fit(ensemble, model, out=out, steps=steps, device="cpu", settings=settings, **options)


def held_out(path):
    """Measured losses by step."""
    return {line["step"]: line["held_out/loss"] for line in metrics(path) if "held_out/loss" in line}


def test_the_best_weights_are_kept_where_the_last_ones_have_learned_by_heart(noise, tmp_path, capsys):
    best = run(noise, tmp_path / "best")
    printed = capsys.readouterr().err
    last = run(noise, tmp_path / "last", settings={"keep": "last"}, progress=False)
    losses = held_out(tmp_path / "best")
    step = min(losses, key=losses.get)
    assert len(losses) == 20
    assert step < 150
    assert losses[300] > losses[step] + 0.5
    assert "(keep=best)" in printed
    assert f"those of step {step} of 300, which are kept" in printed
    members = noise.validation
    scores = [each.log_prob(members.tensor(), members.conditions).mean().item() for each in (best, last)]
    assert scores[0] > scores[1] + 0.5, "nats per member"
    assert_same(weights(best), weights(Emulator.load(tmp_path / "best", device="cpu")))


@pytest.mark.parametrize("model", ["maf", "flow-matching", "vae"])
def test_a_resumed_run_keeps_the_weights_of_an_uninterrupted_one(noise, tmp_path, model):
    whole = run(noise, tmp_path / "whole", model, 45, progress=False)
    with pytest.raises(Interrupted):
        run(noise, tmp_path / "parts", model, 45, progress=False, tracker=SignalAt(27, signal.SIGINT))
    resumed = run(noise, tmp_path / "parts", model, 45, progress=False, resume=True)
    assert_same(weights(whole), weights(resumed))
    assert held_out(tmp_path / "whole") == held_out(tmp_path / "parts")
    final = [load_tensors(tmp_path / name / "checkpoint.safetensors", "checkpoint")[0] for name in ("whole", "parts")]
    assert_same(*final)


def test_measuring_leaves_the_course_of_the_training_alone(noise, tmp_path):
    states = []
    for keep in ("last", "best"):
        run(noise, tmp_path / keep, "flow-matching", 30, progress=False, settings={"keep": keep})
        tensors, _ = load_tensors(tmp_path / keep / "checkpoint.safetensors", "checkpoint")
        states.append(part_of(tensors, "model"))
    assert_same(*states)


def test_where_no_loss_tells_the_best_weights_it_says_so(noise, tmp_path):
    with pytest.raises(UsageError, match="keep=best needs a model with a density"):
        run(noise, tmp_path / "gan", "gan", 5)
    with pytest.raises(UsageError, match="keep=best needs 8 validation members, not 2"):
        run(Ensemble.from_array(torch.randn(20, 2).numpy()), tmp_path / "few", steps=5, settings={"batch_size": 8})
    assert not list(tmp_path.iterdir()), "it is refused before any work"


def test_a_held_out_loss_that_is_not_finite_is_never_the_best(noise, tmp_path, monkeypatch, capsys):
    measured = iter([float("nan"), 2.0, float("-inf"), 1.0, *[float("nan")] * 16])
    monkeypatch.setattr("pushforward.training.held_out._mean", lambda losses, fabric: next(measured))
    run(noise, tmp_path / "run", steps=20)
    assert "smallest loss, 1, with those of step 4 of 20" in capsys.readouterr().err
