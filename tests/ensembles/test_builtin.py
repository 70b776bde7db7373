"""Built-in ensembles are found by name in the registry of simulators."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from pushforward.conditions import ConditionSpace
from pushforward.ensembles import Preprocessing, read
from pushforward.errors import DataError, UsageError
from pushforward.simulate import SIMULATORS, Simulated, Simulator
from pushforward.spaces import Field, Vector


def points(count, seed, noise=0.1):
    x = np.random.default_rng(seed).normal(0, noise, size=(count, 2)).astype(np.float32)
    return Simulated(x, Vector(2), exact="known", notes=("made here",))


def fields(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 1, 32, 32)).astype(np.float32)
    kind = np.arange(count) % 2
    conditions = np.stack([rng.random(count), kind], axis=1)
    space = Field(1, (32, 32), periodic=True, box=64.0, isotropic=True)
    classes = {"kind": ("even", "odd")}
    return Simulated(
        x, space, conditions=conditions, names=("a", "kind"), classes=classes, groups=np.arange(count) // 2
    )


@pytest.fixture
def registry(monkeypatch):
    here = ModuleType("pushforward.simulate.standin")
    here.points, here.fields = points, fields
    monkeypatch.setitem(sys.modules, here.__name__, here)
    monkeypatch.setitem(SIMULATORS, "points", Simulator("pushforward.simulate.standin:points", "a blob", 300))
    monkeypatch.setitem(SIMULATORS, "fields", Simulator("pushforward.simulate.standin:fields", "noise", 40))


def test_a_name_is_simulated_with_its_options(registry):
    ensemble = read("points")
    assert (ensemble.name, len(ensemble), ensemble.exact, ensemble.notes) == ("points", 300, "known", ("made here",))
    np.testing.assert_array_equal(ensemble.take(range(300)), points(300, 0).x)
    np.testing.assert_array_equal(read("points", members=20, seed=3, noise=2.0).take(range(20)), points(20, 3, 2.0).x)
    assert ensemble.train.exact == "known"


def test_labels_and_groups_are_kept(registry):
    ensemble = read("fields")
    assert ensemble.parameters[1].classes == ("even", "odd")
    np.testing.assert_array_equal(ensemble.groups, np.arange(40) // 2)
    assert Preprocessing.fit(ensemble).condition_space == ConditionSpace(3)
    assert read("fields", condition=False).conditions is None
    assert not read("fields", periodic=False).space.periodic


def test_built_in_fields_can_be_cropped(registry):
    ensemble = read("fields", crop=8)
    assert ensemble.space == Field(1, (8, 8), periodic=False, box=16.0, isotropic=True)
    assert len(ensemble.train) == 40 * 2 * 4
    assert ensemble.train.conditions.shape == (320, 2)


def test_the_box_of_a_simulator_is_simulated():
    """P(k) of white noise in a smaller box is another field, not the same one with another label."""
    options = {"members": 2, "grid": 8, "slope": -2.0}
    small, large = (read("gaussian-field", box=box, **options) for box in (1.0, 100.0))
    assert (small.space.box, large.space.box) == (1.0, 100.0)
    assert small.exact.box == 1.0
    assert large.exact.box == 100.0
    assert read(**small.spec).fingerprint == small.fingerprint


def test_the_spec_simulates_the_same_again(registry):
    ensemble = read("points", members=50, seed=4, noise=0.5)
    assert ensemble.spec == {"data": "points", "seed": 4, "noise": 0.5, "members": 50}
    assert read(**ensemble.spec).fingerprint == ensemble.fingerprint
    assert read("points", members=50, seed=5, noise=0.5).fingerprint != ensemble.fingerprint


def test_a_bare_name_is_the_built_in_one_and_a_path_is_the_file(registry, tmp_path, monkeypatch):
    np.save(tmp_path / "points.npy", np.zeros((5, 3)))
    monkeypatch.chdir(tmp_path)
    assert not any("of that name" in note for note in read("points").notes)
    (tmp_path / "points").mkdir()
    np.save(tmp_path / "points/x.npy", np.zeros((5, 4)))
    for what in ("folder", "file"):
        built_in = read("points", noise=0.5)
        assert built_in.space == Vector(2)
        assert f"points is the built-in ensemble; the {what} of that name is ./points" in built_in.notes
        assert read("./points").space == Vector(4 if what == "folder" else 3)
        if what == "folder":
            (tmp_path / "points/x.npy").unlink()
            (tmp_path / "points").rmdir()
            (tmp_path / "points.npy").rename(tmp_path / "points")


def test_mistakes_are_answered(registry):
    with pytest.raises(DataError, match="did you mean the built-in ensemble 'points'"):
        read("point")
    with pytest.raises(UsageError, match="points has no option 'nose'; it has noise"):
        read("points", nose=1)
    with pytest.raises(UsageError, match="has its own conditions"):
        read("fields", condition="a.txt")
    with pytest.raises(UsageError, match="space cannot be given"):
        read("points", space="series")


def test_the_names_of_simulators_are_told_without_loading_them():
    imports = "import sys; from pushforward.ensembles import read"
    code = f"{imports}; sys.exit('pushforward.simulate.cosmic_web' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SMALL = {"n-body": {"particles": 8, "steps": 2}}


@pytest.mark.parametrize("name", sorted(SIMULATORS))
def test_every_built_in_set_is_ready_for_training(name):
    ensemble = read(name, members=120, **SMALL.get(name, {}))
    ensemble.check()
    preprocessing = Preprocessing.fit(ensemble.train)
    x = ensemble.tensor()
    assert x.shape == (120, *ensemble.space.shape)
    x, returned = x.nan_to_num(), preprocessing.inverse(preprocessing(x)).nan_to_num()
    assert ((returned - x).abs() <= 1e-5 * x.abs() + 1e-6 * x.std()).all()
    if isinstance(ensemble.space, Vector):
        assert set(preprocessing.kinds) == {"standardise"}
    assert read(**ensemble.spec).fingerprint == ensemble.fingerprint


def test_hydrogen_over_many_orders_of_magnitude_is_learned_as_its_logarithm():
    ensemble = read("hydrogen", members=20, grid=16)
    preprocessing = Preprocessing.fit(ensemble.train)
    assert preprocessing.kinds == ("log",)
    z = preprocessing(ensemble.tensor())
    assert float(z.abs().max()) < 10
    assert float(preprocessing.inverse(z - 20).min()) >= 0
