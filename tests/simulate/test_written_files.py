"""What is written is what `pushforward.read` finds."""

import numpy as np
import pytest

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.simulate import check_output, simulate, write


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".npz", ".npy", ".fits", ".csv"])
def test_vectors_come_back(tmp_path, ending):
    made = simulate("two-moons", 50)
    write(made, tmp_path / f"moons{ending}")
    found = pf.read(str(tmp_path / f"moons{ending}"))
    np.testing.assert_allclose(found.take(np.arange(50)), made.x, rtol=1e-7)
    assert list(tmp_path.iterdir()) == [tmp_path / f"moons{ending}"], "no partial file is left"


@pytest.mark.parametrize("ending", [".h5", ".npz"])
def test_maps_come_back_with_all_that_is_known(tmp_path, ending):
    made = simulate("cosmic-web", 36, grid=16)
    write(made, tmp_path / f"web{ending}")
    found = pf.read(str(tmp_path / f"web{ending}"))
    assert (found.take(np.arange(36)) == made.x).all()
    assert (found.space.grid, found.space.periodic, found.space.isotropic) == ((16, 16), True, True)
    assert found.space.box == 100.0
    assert tuple(parameter.name for parameter in found.parameters) == made.names
    np.testing.assert_allclose(found.conditions, made.conditions)
    assert (found.groups == made.groups).all()


@pytest.mark.parametrize("ending", [".npy", ".fits"])
def test_conditions_lie_beside_a_file_that_cannot_hold_them(tmp_path, ending):
    made = simulate("cosmic-web", 24, grid=16)
    write(made, tmp_path / f"web{ending}")
    found = pf.read(str(tmp_path / f"web{ending}"), condition=str(tmp_path / "web.conditions.csv"))
    assert (found.take(np.arange(24)) == made.x).all()
    np.testing.assert_allclose(found.conditions, made.conditions, rtol=1e-7)


@pytest.mark.parametrize("ending", [".h5", ".npz", ".csv"])
def test_labels_keep_their_names(tmp_path, ending):
    made = simulate("two-moons", 60, labels=True)
    write(made, tmp_path / f"moons{ending}")
    beside = {"condition": str(tmp_path / "moons.conditions.csv")} if ending == ".csv" else {}
    found = pf.read(str(tmp_path / f"moons{ending}"), **beside)
    (parameter,) = found.parameters
    assert (parameter.name, set(parameter.classes)) == ("moon", {"upper", "lower"})
    ours = np.array(made.classes["moon"])[made.conditions[:, 0].astype(int)]
    assert (np.array(parameter.classes)[found.conditions[:, 0].astype(int)] == ours).all()


def test_a_cube_stays_a_cube(tmp_path):
    made = simulate("gaussian-field", 3, grid=8, dim=3)
    for ending in (".npy", ".h5"):
        write(made, tmp_path / f"cubes{ending}")
        found = pf.read(str(tmp_path / f"cubes{ending}"))
        assert found.space.shape == (1, 8, 8, 8)


@pytest.mark.parametrize(
    ("name", "words"),
    [("x.txt", "known are .h5"), ("nowhere/x.npy", "does not exist"), ("folder.npy", "is a folder")],
)
def test_a_file_that_cannot_be_written_is_refused_first(tmp_path, name, words):
    (tmp_path / "folder.npy").mkdir()
    for refuse in (check_output, lambda path: write(simulate("two-moons", 2), path)):
        with pytest.raises(UsageError, match=words):
            refuse(tmp_path / name)


def test_fields_are_not_put_into_a_table(tmp_path):
    with pytest.raises(UsageError, match="vectors"):
        write(simulate("digits", 2), tmp_path / "digits.csv")


def test_a_full_disk_is_one_sentence_and_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.npy"
    path.write_text("old")

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(UsageError, match="No space left"):
        write(simulate("two-moons", 2), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
