"""Snapshots: what they hold, what they depend on, and that a file gives them back."""

import numpy as np
import pytest

import pushforward as pf
from pushforward.ensembles import write
from pushforward.errors import UsageError
from pushforward.simulate import Cosmology, simulate
from pushforward.simulate.particle_mesh import HUBBLE_VELOCITY
from pushforward.spaces import Trajectory, space_from_dict, space_to_dict

SMALL = {"particles": 8, "box": 100.0, "times": 4, "steps": 2}


@pytest.fixture(autouse=True)
def _no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def made():
    return simulate("n-body", 3, seed=1, **SMALL)


def test_snapshots_are_positions_in_the_box_and_velocities(made):
    assert made.space == Trajectory(512, 3, times=tuple(np.linspace(0.1, 1, 4).tolist()), box=100.0)
    assert made.x.shape == (3, *made.space.shape)
    positions, velocities = made.x[:, :, 0], made.x[:, :, 1]
    assert (positions >= 0).all()
    assert (positions < 100).all()
    assert 100 < velocities[:, -1].std() < 600, "one-dimensional velocities of matter are some hundred km/s"


def test_velocities_are_those_of_linear_theory_at_the_start(made):
    """v = a H f psi for displacements psi that have hardly left the linear regime."""
    cosmology = Cosmology()
    moved = made.x[:, 0, 0] - made.x[:, 0, 0].mean(1, keepdims=True)
    lattice = np.stack(np.meshgrid(*[(np.arange(8) + 0.5) * 12.5] * 3, indexing="ij"), -1).reshape(-1, 3)
    psi = (moved + 50 - lattice + 50) % 100 - 50
    expected = 0.1 * HUBBLE_VELOCITY * cosmology.hubble(9.0) * cosmology.growth_rate(9.0) * psi
    assert np.linalg.norm(made.x[:, 0, 1] - expected) < 0.1 * np.linalg.norm(expected)


def test_finer_meshes_and_more_steps_evolve_the_same_universe(made):
    finer = simulate("n-body", 3, seed=1, **SMALL | {"mesh": 24, "steps": 4})
    np.testing.assert_array_equal(finer.x[:, 0], made.x[:, 0])
    apart = (finer.x[:, -1, 0] - made.x[:, -1, 0] + 50) % 100 - 50
    assert 0 < np.abs(apart).mean() < 2


def test_simulations_do_not_depend_on_how_many_are_made(made):
    np.testing.assert_array_equal(simulate("n-body", 1, seed=1, **SMALL).x[0], made.x[0])
    assert (simulate("n-body", 1, seed=2, **SMALL).x[0] != made.x[0]).any()


def test_reading_by_name_simulates_with_all_options(made):
    """Also the box, which `read` knows as a property of fields."""
    found = pf.read("n-body", members=3, seed=1, **SMALL)
    assert found.space == made.space
    np.testing.assert_array_equal(found.take(np.arange(3)), made.x)


def test_a_file_gives_trajectories_back(made, tmp_path):
    write(made, tmp_path / "runs.h5")
    found = pf.read(str(tmp_path / "runs.h5"))
    assert found.space == made.space
    np.testing.assert_array_equal(found.take(np.arange(3)), made.x)


def test_the_command_line_simulates(command, tmp_path):
    options = [word for name, value in SMALL.items() for word in (f"--{name}", value)]
    command("simulate", "n-body", "-n", 2, "-o", tmp_path / "out.h5", *options)
    assert pf.read(str(tmp_path / "out.h5")).take([0, 1]).shape == (2, 4, 2, 512, 3)


def test_a_trajectory_has_a_plain_description():
    space = Trajectory(10, 2, times=(0.1, 0.5, 1.0), box=3.0)
    assert space_from_dict(space_to_dict(space)) == space
    assert (space.shape, space.size) == ((3, 2, 10, 2), 120)


def test_other_formats_are_refused(made, tmp_path):
    with pytest.raises(UsageError, match=r"\.h5"):
        write(made, tmp_path / "runs.npz")


def test_an_array_of_the_wrong_shape_is_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.zeros((2, 3, 2, 8, 3), np.float32)
        file.attrs.update({"kind": "trajectory", "times": [0.1, 1.0]})
    with pytest.raises(UsageError, match="2 times"):
        pf.read(str(tmp_path / "x.h5"))


@pytest.mark.parametrize("options", [{"particles": 7}, {"steps": 0}, {"start": 1.5}, {"times": 1}, {"box": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UsageError, match="n-body needs"):
        simulate("n-body", 1, **options)
