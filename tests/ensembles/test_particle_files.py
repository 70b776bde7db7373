"""Particles in files: positions, species, box and centre of mass come back, and what a file does not state is told."""

import numpy as np
import pytest

import pushforward as pf
from pushforward.ensembles import read, write
from pushforward.errors import DataError, UsageError
from pushforward.simulate import Simulated, simulate
from pushforward.spaces import Particles

pytest.importorskip("ase")
rng = np.random.default_rng(0)


def positions(space, members=12):
    x = rng.normal(size=(members, *space.shape))
    return (x - x.mean(1, keepdims=True) if space.centred else x).astype(np.float32)


@pytest.mark.parametrize("ending", [".extxyz", ".xyz", ".h5", ".npz"])
@pytest.mark.parametrize(
    "space",
    [
        Particles(5, 3),
        Particles(4, 2, centred=True),
        Particles(3, 1, centred=True),
        Particles(4, 3, box=7.5),
        Particles(4, 2, box=3.0),
        Particles(3, 3, species=("O", "H", "H"), centred=True),
        Particles(3, 3, species=("core", "shell", "shell")),
    ],
)
def test_what_is_written_is_read_with_its_space(tmp_path, space, ending):
    x = positions(space)
    write(Simulated(x, space), tmp_path / f"frames{ending}")
    found = read(tmp_path / f"frames{ending}")
    assert found.space == space
    np.testing.assert_allclose(found.take(np.arange(len(x))), x, atol=2e-6)


def test_conditions_are_in_the_comment_lines(tmp_path):
    x, conditions = positions(Particles(4, 3)), rng.normal(size=(12, 1)).astype(np.float32)
    write(Simulated(x, Particles(4, 3), conditions=conditions, names=("pressure",)), tmp_path / "frames.extxyz")
    found = read(tmp_path / "frames.extxyz", condition="pressure")
    np.testing.assert_allclose(found.conditions, conditions, rtol=1e-6)


def test_centred_members_are_recognised_and_others_are_not():
    x = positions(Particles(5, 3, centred=True), 100)
    assert pf.Ensemble.from_array(x, space="particles").space.centred
    assert not pf.Ensemble.from_array(x, space="particles", centred=False).space.centred
    assert not pf.Ensemble.from_array(x, space=Particles(5, 3)).space.centred
    x[50, 2] += 1.0
    ensemble = pf.Ensemble.from_array(x[50:], space="particles")
    assert not ensemble.space.centred
    assert not ensemble.notes


def test_centres_of_mass_are_removed_where_that_is_asked_for(tmp_path):
    x = positions(Particles(5, 3), 20)
    np.save(tmp_path / "x.npy", x)
    for ensemble in (
        pf.Ensemble.from_array(x, space="particles", centred=True),
        read(tmp_path / "x.npy", space=Particles(5, 3, centred=True)),
        read(tmp_path / "x.npy", space="particles", centred=True),
    ):
        np.testing.assert_allclose(ensemble.take(np.arange(20)), x - x.mean(1, keepdims=True), atol=1e-6)
        assert ensemble.subset([3]).take([0]) == pytest.approx((x - x.mean(1, keepdims=True))[3:4], abs=1e-6)
        assert any("moved to the origin" in note for note in ensemble.notes)


def test_particles_of_a_box_have_no_centre():
    with pytest.raises(UsageError, match="periodic box"):
        pf.Ensemble.from_array(positions(Particles(5, 3)), space=Particles(5, 3, box=2.0), centred=True)


def test_frames_keep_the_order_of_species(tmp_path):
    (tmp_path / "frames.xyz").write_text("2\n\nH 0 0 0\nO 0 0 1\n2\n\nO 0 0 0\nH 0 0 1\n")
    with pytest.raises(DataError, match="orders of species"):
        read(tmp_path / "frames.xyz")


def test_maps_are_not_written_as_particles(tmp_path):
    with pytest.raises(UsageError, match="particles in up to three dimensions"):
        write(simulate("digits", 2), tmp_path / "digits.extxyz")
