import signal
import time

import numpy as np
import pytest
import torch
from quiet_runs import SignalAt, assert_same, metrics, quiet, weights

from pushforward.emulator import Emulator
from pushforward.ensembles import Ensemble
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.spaces import Field
from pushforward.training import Interrupted, fit

TOYS = ["toy-gaussian", "toy-adversaries"]


def test_maximum_likelihood_finds_the_moments_of_the_data(points, tmp_path):
    emulator = quiet(points, "toy-gaussian", tmp_path / "run", steps=400)
    x = points.train.take(np.arange(len(points.train)))
    samples = emulator.sample(4000, seed=1).numpy()
    assert np.allclose(samples.mean(0), x.mean(0), atol=0.1)
    assert np.allclose(samples.std(0), x.std(0), rtol=0.1)


@pytest.mark.parametrize("model", TOYS)
def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(points, tmp_path, model):
    first, second, other = (
        quiet(points, model, tmp_path / str(i), steps=7, seed=seed) for i, seed in enumerate((4, 4, 5))
    )
    assert_same(weights(first), weights(second))
    assert not torch.equal(next(iter(weights(first).values())), next(iter(weights(other).values())))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("model", TOYS)
def test_an_interrupted_run_goes_on_to_the_weights_of_an_uninterrupted_one(maps, tmp_path, model, number):
    whole = quiet(maps, model, tmp_path / "whole", steps=30)
    with pytest.raises(Interrupted, match=f"stopped by {number.name} after step 1[12], .*% of 30 steps; .*--resume"):
        quiet(maps, model, tmp_path / "parts", steps=30, tracker=SignalAt(11, number))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "handlers must be put back"
    assert Emulator.load(tmp_path / "parts").sample(2).shape == (2, 1, 8, 8), "what was learnt can be used"
    resumed = quiet(maps, model, tmp_path / "parts", steps=30, resume=True)
    assert_same(weights(whole), weights(resumed))
    assert [line["step"] for line in metrics(tmp_path / "parts")] == list(range(1, 31))
    a, b = metrics(tmp_path / "whole"), metrics(tmp_path / "parts")
    assert all(x[key] == y[key] for x, y in zip(a, b, strict=True) for key in x if key.endswith("/loss"))


def test_a_game_with_scattering_spectra_goes_on_to_the_same_weights(tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 1, 8, 8)).astype(np.float32)
    maps = Ensemble.from_array(x, space=Field(1, (8, 8), periodic=True), name="noise")
    options = {"steps": 5, "settings": {"width": 8, "critic_width": 4}}
    whole = quiet(maps, "r3gan", tmp_path / "whole", **options)
    assert whole.model.spectra is not None
    with pytest.raises(Interrupted):
        quiet(maps, "r3gan", tmp_path / "parts", tracker=SignalAt(2), **options)
    resumed = quiet(maps, "r3gan", tmp_path / "parts", resume=True, **options)
    assert_same(weights(whole), weights(resumed))
    loaded = Emulator.load(tmp_path / "parts")
    assert torch.equal(loaded.sample(3, seed=1), resumed.sample(3, seed=1))


def test_noise_that_is_paired_ahead_is_that_of_an_uninterrupted_run(points, tmp_path):
    whole = quiet(points, "ot-flow-matching", tmp_path / "whole", steps=12, settings={"batch_size": 32})
    with pytest.raises(Interrupted):
        quiet(
            points,
            "ot-flow-matching",
            tmp_path / "parts",
            steps=12,
            tracker=SignalAt(5),
            settings={"batch_size": 32},
        )
    resumed = quiet(points, "ot-flow-matching", tmp_path / "parts", steps=12, resume=True, settings={"batch_size": 32})
    assert_same(weights(whole), weights(resumed))


@pytest.mark.parametrize("model", ["flow-matching", "ot-flow-matching", "cnf"])
def test_particles_that_are_turned_and_paired_go_on_as_in_an_uninterrupted_run(tmp_path, model):
    x = np.random.default_rng(0).normal(size=(80, 4, 2))
    particles = Ensemble.from_array(x, space="particles", centred=True, name="particles")
    options = {"steps": 8, "settings": {"batch_size": 16, "width": 8, "depth": 2}}
    whole = quiet(particles, model, tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        quiet(particles, model, tmp_path / "parts", tracker=SignalAt(4), **options)
    resumed = quiet(particles, model, tmp_path / "parts", resume=True, **options)
    assert_same(weights(whole), weights(resumed))


@pytest.mark.parametrize("model", ["flow-matching", "vae", "wgan-gp", "glow"])
def test_networks_of_fields_go_on_as_in_an_uninterrupted_run(maps, tmp_path, model):
    options = {"steps": 6, "settings": {"optimiser": "muon"}}
    whole = quiet(maps, model, tmp_path / "whole", **options)
    with pytest.raises(Interrupted):
        quiet(maps, model, tmp_path / "parts", tracker=SignalAt(3), **options)
    resumed = quiet(maps, model, tmp_path / "parts", resume=True, **options)
    assert_same(weights(whole), weights(resumed))


def test_a_resumed_run_counts_the_time_that_it_has_had(points, tmp_path):
    with pytest.raises(Interrupted):
        quiet(points, "toy-gaussian", tmp_path / "run", budget="1.2s", tracker=SignalAt(50))
    before = metrics(tmp_path / "run")[-1]["seconds"]
    start = time.monotonic()
    quiet(points, "toy-gaussian", tmp_path / "run", resume=True)
    assert metrics(tmp_path / "run")[-1]["seconds"] == pytest.approx(1.2, abs=0.3)
    assert time.monotonic() - start < 1.2 - before + 1.0


def test_a_budget_includes_the_last_save_and_takes_the_learning_rate_to_zero(points, tmp_path):
    start = time.monotonic()
    quiet(points, "toy-gaussian", tmp_path / "run", budget=1.0)
    assert time.monotonic() - start < 2.0
    rates = [line["learning_rate"] for line in metrics(tmp_path / "run")]
    assert rates[-1] < 0.01 * max(rates)


def test_a_run_holds_what_is_needed_to_repeat_it(maps, tmp_path):
    emulator = quiet(maps, "toy-gaussian", tmp_path / "run", steps=3, seed=9, settings={"scale": "2"})
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "checkpoint.safetensors",
        "config.yaml",
        "metrics.jsonl",
        "model.safetensors",
    ]
    config = Emulator.load(tmp_path / "run").config
    assert config == emulator.config
    assert (config["model"], config["seed"], config["steps"]) == ("toy-gaussian", 9, 3)
    assert config["settings"]["model"] == {"scale": 2.0, "fails_at": 0}
    assert config["settings"]["training"]["batch_size"] == 16
    assert config["data"]["fingerprint"] == maps.fingerprint
    assert config["parameters"][0]["name"] == "level"
    assert "pushforward fit" in config["command"]
    line = metrics(tmp_path / "run")[0]
    assert {"step", "seconds", "model/loss", "model/scale", "learning_rate", "samples_per_second", "waiting"} <= set(
        line
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "toy-adversaries"}, "with model toy-gaussian, not toy-adversaries"),
        ({"seed": 1}, "with seed 0, not 1"),
        ({"settings": {"scale": 2}}, r"with scale=1.0, not 2.0"),
        ({"settings": {"learning_rate": 1}}, r"with learning_rate=0.05, not 1.0"),
        ({"ensemble": "other"}, "on other data"),
    ],
)
def test_a_run_is_not_resumed_as_something_else(points, tmp_path, change, sentence):
    quiet(points, "toy-gaussian", tmp_path / "run", steps=3)
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    if "ensemble" in change:
        change = {"ensemble": Ensemble.from_array(np.random.default_rng(9).normal(size=(50, 2)), name="other")}
    asked = {"ensemble": points, "model": "toy-gaussian", "settings": {}, **change}
    with pytest.raises(TrainingError, match=sentence):
        quiet(asked.pop("ensemble"), asked.pop("model"), tmp_path / "run", steps=3, resume=True, **asked)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_a_run_is_not_overwritten_by_a_fresh_one(points, tmp_path):
    quiet(points, "toy-gaussian", tmp_path / "run", steps=3)
    with pytest.raises(UsageError, match="already holds a run"):
        quiet(points, "toy-gaussian", tmp_path / "run", steps=3)


def test_a_damaged_checkpoint_is_not_resumed(points, tmp_path):
    quiet(points, "toy-gaussian", tmp_path / "run", steps=3)
    path = tmp_path / "run" / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"checkpoint\.safetensors is damaged"):
        quiet(points, "toy-gaussian", tmp_path / "run", steps=6, resume=True)


@pytest.mark.parametrize("log_every", [0, 100])
def test_a_loss_that_is_not_finite_names_player_step_and_last_good_checkpoint(points, tmp_path, log_every):
    settings = {"fails_at": 7, "log_every": log_every, "checkpoint_every": 0 if log_every == 0 else 100}
    good = 6 if log_every == 0 else 0
    with pytest.raises(
        TrainingError, match=rf"loss of 'model' was not finite at step 7; .* that of step {good}, .*run"
    ):
        quiet(points, "toy-gaussian", tmp_path / "run", steps=20, settings=settings)


def test_a_checkpoint_that_cannot_be_written_stops_with_the_one_before_kept(points, tmp_path, monkeypatch):
    from pushforward.training import loop

    real, calls = loop.save_checkpoint, []

    def fail_later(path, state):
        calls.append(path)
        if len(calls) > 3:
            raise UsageError(f"{path} cannot be written: No space left on device")
        real(path, state)

    monkeypatch.setattr(loop, "save_checkpoint", fail_later)
    with pytest.raises(TrainingError, match=r"No space left on device; the last good checkpoint is that of step 2"):
        quiet(points, "toy-gaussian", tmp_path / "run", steps=20, settings={"checkpoint_every": 0})
    monkeypatch.undo()
    resumed = quiet(points, "toy-gaussian", tmp_path / "run", steps=20, resume=True, settings={"checkpoint_every": 0})
    whole = quiet(points, "toy-gaussian", tmp_path / "whole", steps=20)
    assert_same(weights(whole), weights(resumed))


def test_a_full_disk_is_found_before_training(points, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(UsageError, match=r"disk of .* is full"):
        quiet(points, "toy-gaussian", tmp_path / "run", steps=3)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"model": "nice"}, UsageError, "no model called 'nice'"),
        ({"settings": {"with": 1}}, UsageError, "no setting called 'with'"),
        ({"settings": {"steps": 1}}, UsageError, "it is an option, --steps"),
        ({"steps": 3, "budget": "1s"}, UsageError, "give one of them"),
        ({"steps": 0}, UsageError, "at least 1"),
        ({"budget": "soon"}, UsageError, "not a length of time"),
        ({"device": "tpu"}, UsageError, "no device called 'tpu'"),
        ({"seed": -1}, UsageError, "seed=-1 was given; give a whole number of at least 0"),
        ({"devices": 0}, UsageError, "at least 1"),
        ({"precision": "8"}, UsageError, "no precision called '8'"),
        ({"tracker": "paper"}, UsageError, "no tracker called 'paper'"),
        ({"tracker": "mlflow"}, UsageError, r"pip install 'pushforward\[mlflow\]'"),
        ({"tracker": object()}, UsageError, "log_parameters, log_metrics and close"),
        ({"resume": True, "out": None}, UsageError, "resume needs the directory"),
        ({"out": "/proc/run"}, UsageError, "cannot be written to"),
        ({"ensemble": Ensemble.from_array(np.zeros((2, 2)))}, DataError, "2 members"),
        ({"ensemble": Ensemble.from_array(np.ones((50, 2)))}, DataError, "constant"),
    ],
)
def test_what_cannot_work_is_refused_before_training(points, tmp_path, monkeypatch, options, error, sentence):
    monkeypatch.chdir(tmp_path)
    asked = {"ensemble": points, "model": "toy-gaussian", "out": "run", "progress": False, **options}
    with pytest.raises(error, match=sentence):
        fit(asked.pop("ensemble"), asked.pop("model"), **asked)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_without_a_directory_a_fresh_one_is_made(points, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (quiet(points, "toy-gaussian", None, steps=2) for _ in range(2))
    assert [str(first.run), str(second.run)] == ["runs/points-toy-gaussian", "runs/points-toy-gaussian-2"]


def test_progress_goes_to_standard_error_in_plain_lines(points, tmp_path, capsys):
    fit(points, "toy-gaussian", out=tmp_path / "run", steps=3)
    captured = capsys.readouterr()
    assert captured.out == ""
    for text in ("points: 200 members", "x1: ", "toy-gaussian: ", "parameters, float32 on cpu", "100%  step 3"):
        assert text in captured.err


def test_the_random_numbers_of_the_caller_are_left_alone(points, tmp_path):
    torch.manual_seed(1)
    expected = torch.randn(3)
    torch.manual_seed(1)
    quiet(points, "toy-gaussian", tmp_path / "run", steps=2)
    assert torch.equal(torch.randn(3), expected)
