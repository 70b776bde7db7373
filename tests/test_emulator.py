import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pushforward.conditions import Condition
from pushforward.emulator import Emulator
from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.errors import UsageError
from pushforward.models import model_class
from pushforward.training import fit

sys.path.insert(0, str(Path(__file__).parent / "training"))


@pytest.fixture(autouse=True, scope="module")
def _toys():
    import toys

    toys.register()
    yield
    toys.forget()


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A linear Gaussian emulator of three coordinates, one of them log-normal, given a number and a label."""
    rng = np.random.default_rng(0)
    tilt, kind = rng.uniform(-1, 1, 300), rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 3)) * 0.3 + np.stack([2 * tilt, 3.0 * kind, 0 * tilt], 1)
    x[:, 2] = np.exp(3 * x[:, 2])
    ensemble = Ensemble.from_array(
        x,
        conditions=np.stack([tilt, kind], 1),
        names=["tilt", "kind"],
        classes={"kind": ["dark", "bright"]},
        name="toy",
    )
    run = tmp_path_factory.mktemp("runs") / "conditional"
    return fit(ensemble, "toy-gaussian", steps=300, out=run, progress=False, device="cpu"), ensemble


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    points = Ensemble.from_array(np.random.default_rng(1).normal(size=(100, 2)), name="points")
    run = tmp_path_factory.mktemp("runs") / "plain"
    return fit(points, "toy-adversaries", steps=3, out=run, progress=False, device="cpu")


def test_samples_are_in_the_units_of_the_data(conditional):
    emulator, ensemble = conditional
    samples = emulator.sample(4000, seed=0).numpy()
    assert samples.shape == (4000, 3)
    assert samples.dtype == np.float32
    data = ensemble.train.take(np.arange(len(ensemble.train)))
    assert np.allclose(np.median(samples, 0), np.median(data, 0), atol=0.4)
    assert (samples[:, 2] > 0).all()


def test_a_seed_gives_the_same_samples_and_another_one_does_not(conditional):
    emulator, _ = conditional
    assert torch.equal(emulator.sample(5, seed=3), emulator.sample(5, seed=3))
    fresh = emulator.sample(5)
    assert not torch.equal(fresh, emulator.sample(5)), "without a seed, samples are fresh"
    fresh = emulator.sample(5)
    assert torch.equal(fresh, emulator.sample(5, seed=emulator.seed)), "and the seed that was taken is told"
    assert not torch.equal(emulator.sample(5, seed=3), emulator.sample(5, seed=4))


def test_the_noise_of_sampling_is_not_that_of_training(plain):
    from pushforward.randomness import Draws, seed_for

    noise = plain.preprocessing(plain.sample(8, seed=0)) - plain.model.generator.bias
    drawn = Draws(seed_for(0, 0), 8).normal(2) @ plain.model.generator.weight.T
    assert not torch.allclose(noise, drawn, atol=1e-3)


def test_conditions_are_given_by_name_and_matter(conditional):
    emulator, _ = conditional
    for tilt in (-0.8, 0.8):
        for number, kind in enumerate(("dark", "bright")):
            x = emulator.sample(500, {"tilt": tilt, "kind": kind}, seed=0).mean(0)
            assert x[0].item() == pytest.approx(2 * tilt, abs=0.4)
            assert x[1].item() == pytest.approx(3 * number, abs=0.4)
    by_text = emulator.sample(4, {"tilt": "0.5", "kind": "bright"}, seed=0)
    assert torch.equal(by_text, emulator.sample(4, {"tilt": 0.5, "kind": "bright"}, seed=0))
    each = emulator.sample(2, {"tilt": [-0.8, 0.8], "kind": ["dark", "bright"]}, seed=0)
    assert torch.equal(each, emulator.sample_at([[-0.8, 0], [0.8, 1]], seed=0))


def test_without_a_condition_those_of_the_training_members_are_used(conditional):
    emulator, ensemble = conditional
    x, rows = emulator.sample_with_conditions(50, seed=2)
    assert torch.equal(x, emulator.sample(50, seed=2))
    known = {tuple(row) for row in ensemble.train.conditions.tolist()}
    assert all(tuple(row) in known for row in rows.tolist())


def test_conditions_outside_the_trained_range_are_warned_of(conditional):
    emulator, _ = conditional
    with pytest.warns(UserWarning, match="tilt = 3 is outside the range seen in training"):
        emulator.sample(2, {"tilt": 3.0, "kind": "dark"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        emulator.sample(2, {"tilt": 0.5, "kind": "dark"})


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ({"tlit": 0.1, "kind": "dark"}, "'tlit'; did you mean 'tilt'"),
        ({"tilt": 0.1}, "no value was given for kind"),
        ({"tilt": 0.1, "kind": "grey"}, "no class 'grey'; its classes are dark, bright"),
        ({"tilt": "steep", "kind": "dark"}, "tilt='steep' is not a finite number"),
        ({"tilt": float("nan"), "kind": "dark"}, "not a finite number"),
        ({"tilt": [0.1, 0.2], "kind": "dark"}, "2 values; give one, or one per sample, 3"),
    ],
)
def test_a_wrong_condition_is_one_clear_sentence(conditional, condition, sentence):
    with pytest.raises(UsageError, match=sentence):
        conditional[0].sample(3, condition)


def test_rows_of_conditions_are_checked(conditional, plain):
    emulator, _ = conditional
    for rows, sentence in (
        ([[0.1]], r"shape \(1, 1\); expected \(n, 2\), the columns tilt, kind"),
        ([[0.1, 0.5]], "kind is a label"),
        ([[np.inf, 0]], "NaN or an infinity"),
        ([["a", "b"]], "array of numbers"),
    ):
        with pytest.raises(UsageError, match=sentence):
            emulator.sample_at(rows)
    with pytest.raises(UsageError, match="without conditions"):
        plain.sample_at([[1.0]])
    with pytest.raises(UsageError, match="without conditions"):
        plain.sample(2, {"tilt": 1})


def test_log_prob_is_a_density_in_the_units_of_the_data(conditional):
    """Against the change of variables by hand: the Jacobian of the preprocessing comes from autograd."""
    emulator, ensemble = conditional
    x, rows = torch.from_numpy(ensemble.take([0, 5, 9])), ensemble.condition_rows([0, 5, 9])
    found = emulator.log_prob(x, rows)
    for one, row, value in zip(x, rows, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: emulator.preprocessing(x[None])[0], one)
        condition = emulator.preprocessing.encode_condition(Condition(torch.from_numpy(row[None])))
        expected = emulator.model.log_prob(emulator.preprocessing(one[None]), condition) + jacobian.det().abs().log()
        assert value.item() == pytest.approx(expected.item(), abs=1e-4)


def test_a_density_integrates_to_one_in_the_units_of_the_data(tmp_path):
    rng = np.random.default_rng(3)
    points = Ensemble.from_array(np.exp(0.5 * rng.normal(size=(200, 1))) * 40, space="vector", name="sizes")
    emulator = fit(points, "toy-gaussian", steps=50, out=tmp_path / "run", progress=False, device="cpu")
    grid = torch.linspace(1e-3, 600, 40001)[:, None]
    density = emulator.log_prob(grid).double().exp()
    assert torch.trapezoid(density, grid[:, 0].double()).item() == pytest.approx(1, abs=1e-3)


def test_named_conditions_score_as_rows_do(conditional):
    emulator, ensemble = conditional
    x = ensemble.take([1, 2])
    by_name = emulator.log_prob(x, {"tilt": 0.25, "kind": "bright"})
    assert torch.equal(by_name, emulator.log_prob(torch.from_numpy(x), np.array([[0.25, 1], [0.25, 1]])))
    with pytest.raises(UsageError, match="give the conditions of the samples: tilt, kind"):
        emulator.log_prob(x)
    with pytest.raises(UsageError, match=r"shape \(2, 2\); expected \(n, 3\)"):
        emulator.log_prob(x[:, :2], {"tilt": 0, "kind": 0})


def test_codes_of_an_invertible_model_decode_to_the_samples(tmp_path):
    points = Ensemble.from_array(np.random.default_rng(1).normal(size=(100, 2)) * [1, 5], name="points")
    emulator = fit(points, "realnvp", steps=3, out=tmp_path / "run", progress=False, device="cpu")
    x = torch.from_numpy(points.take(np.arange(9)))
    assert torch.allclose(emulator.decode(emulator.encode(x)), x, atol=1e-3)
    assert emulator.abilities == ("sampler", "density", "joint", "latent")


def test_what_a_model_cannot_do_is_said(plain):
    assert plain.abilities == ("sampler",)
    for attempt in (lambda: plain.log_prob([[0.0, 0.0]]), lambda: plain.encode([[0.0, 0.0]])):
        with pytest.raises(UsageError, match="toy-adversaries has no"):
            attempt()
    with pytest.raises(UsageError, match="cannot translate"):
        plain.translate([[0.0, 0.0]], "b")
    with pytest.raises(UsageError, match="at least 1"):
        plain.sample(0)
    with pytest.raises(UsageError, match="no setting called 'temperature'"):
        plain.sample(2, temperature=0.5)


def test_an_emulator_comes_back_from_its_run_directory(conditional, tmp_path):
    emulator, _ = conditional
    loaded = Emulator.load(emulator.run, device="cpu")
    assert torch.equal(loaded.sample(20, seed=1), emulator.sample(20, seed=1))
    assert loaded.parameters == emulator.parameters
    assert (loaded.config, loaded.name, loaded.space) == (emulator.config, emulator.name, emulator.space)
    loaded.save(tmp_path / "copy")
    assert torch.equal(Emulator.load(tmp_path / "copy").sample(3, seed=0), emulator.sample(3, seed=0))


@pytest.mark.parametrize("model", ["flow-matching", "ddpm", "wgan-gp", "realnvp", "vae"])
def test_every_model_of_conditional_maps_is_the_same_after_loading(model, tmp_path):
    rng = np.random.default_rng(1)
    level = rng.uniform(1, 2, size=(40, 1)).astype(np.float32)
    maps = Ensemble.from_array(
        rng.normal(size=(40, 8, 8)) * 0.1 + level[:, :, None], conditions=level, names=["level"], periodic=True
    )
    emulator = fit(maps, model, steps=2, out=tmp_path / "run", progress=False, device="cpu")
    samples = emulator.sample(3, {"level": 1.5}, seed=0)
    assert samples.shape == (3, 1, 8, 8)
    assert samples.isfinite().all()
    assert torch.equal(Emulator.load(tmp_path / "run", device="cpu").sample(3, {"level": 1.5}, seed=0), samples)


@pytest.fixture
def copy(plain, tmp_path):
    plain.save(tmp_path / "run")
    return tmp_path / "run"


def edit(run, **changes):
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, **changes}))


def flip_a_byte(run):
    content = bytearray((run / "model.safetensors").read_bytes())
    content[-5] ^= 4
    (run / "model.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda run: (run / "config.yaml").unlink(), "holds no run"),
        (lambda run: (run / "config.yaml").write_text("a: ["), "not readable YAML"),
        (lambda run: (run / "config.yaml").write_text("hello: world"), "cannot be used|do not belong together"),
        (lambda run: (run / "model.safetensors").unlink(), "no weights yet"),
        (lambda run: (run / "model.safetensors").write_bytes(pickle.dumps([1])), "is a pickle"),
        (lambda run: (run / "model.safetensors").write_bytes(b"\x00" * 7), "damaged or truncated"),
        (flip_a_byte, "its checksum does not match"),
        (lambda run: edit(run, model="nice"), "no model called 'nice'"),
        (lambda run: edit(run, model="toy-gaussian"), "do not belong together"),
        (lambda run: edit(run, space={"kind": "blob"}), "kind 'blob' is unknown"),
        (lambda run: edit(run, settings={"model": {"colour": 1}}), "no setting called 'colour'"),
        (lambda run: edit(run, format=99), "newer"),
        (lambda run: edit(run, format=1), "train it again"),
    ],
)
def test_a_spoilt_run_directory_is_one_clear_sentence(copy, spoil, sentence):
    spoil(copy)
    with pytest.raises(UsageError, match=sentence):
        Emulator.load(copy)


def test_places_without_a_run_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match="there is no run at"):
        Emulator.load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no run"):
        Emulator.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        Emulator.load(tmp_path / "file")


def test_an_emulator_can_be_made_by_hand():
    points = Ensemble.from_array(np.random.default_rng(1).normal(size=(100, 2)), name="points")
    preprocessing = Preprocessing.fit(points)
    emulator = Emulator(model_class("toy-gaussian")(points.space), preprocessing, name="toy-gaussian")
    assert emulator.sample(3).shape == (3, 2)


@pytest.fixture
def broken(plain):
    """An emulator whose samples beyond a bound are not finite."""
    emulator = Emulator.load(plain.run, device="cpu")
    drawn = emulator.model.sample

    def sample(draws, condition=None, sampling=None):
        x = drawn(draws, condition, sampling)
        return torch.where(x.flatten(1).mean(1).view(-1, *[1] * (x.ndim - 1)) > emulator.bound, torch.nan, x)

    emulator.model.sample, emulator.bound = sample, 0.0
    return emulator


def test_samples_that_are_not_finite_are_counted(broken):
    with pytest.warns(UserWarning, match=r"of 40 samples of .* are not finite") as warned:
        x = broken.sample(40, seed=0)
    bad = ~x.flatten(1).isfinite().all(1)
    assert 0 < bad.sum() < 40, "the finite ones are kept"
    assert str(warned[0].message).startswith(f"{int(bad.sum())} of 40")
    broken.bound = -torch.inf
    with pytest.raises(UsageError, match=r"none of the 40 samples of .* is finite"):
        broken.sample(40, seed=0)
