"""Round trips of written files through `pushforward.read`."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import pushforward as pf
from pushforward.ensembles import check_output, write
from pushforward.errors import UsageError
from pushforward.simulate import Simulated, simulate
from pushforward.spaces import Field, Vector

ZARR = pytest.param(".zarr", marks=pytest.mark.skipif(find_spec("zarr") is None, reason="needs Zarr"))


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".npz", ".npy", ".fits", ".csv", ".parquet", ZARR])
def test_vectors_come_back(tmp_path, ending):
    made = simulate("two-moons", 50)
    write(made, tmp_path / f"moons{ending}")
    found = pf.read(str(tmp_path / f"moons{ending}"))
    np.testing.assert_allclose(found.take(np.arange(50)), made.x, rtol=1e-7)
    assert list(tmp_path.iterdir()) == [tmp_path / f"moons{ending}"], "no partial file is left"


@pytest.mark.parametrize("ending", [".h5", ".npz", ZARR])
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


@pytest.mark.parametrize("ending", [".h5", ".npz", ".csv", ".parquet", ZARR])
def test_labels_keep_their_names(tmp_path, ending):
    made = simulate("two-moons", 60, labels=True)
    write(made, tmp_path / f"moons{ending}")
    beside = {"condition": str(tmp_path / "moons.conditions.csv")} if ending in (".csv", ".parquet") else {}
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


@pytest.mark.parametrize("ending", [".h5", ".npz", ".fits", ".csv", ".parquet", ZARR])
def test_names_and_units_of_columns_are_kept(tmp_path, ending):
    x = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    origin = {"model": "realnvp", "seed": 7, "version": "pushforward 0.1.0"}
    made = Simulated(x, Vector(2, ("mass", "flux")), units=("Msun", "Jy"), origin=origin)
    for _ in range(2):  # what is there is replaced
        write(made, tmp_path / f"x{ending}")
    found = pf.read(tmp_path / f"x{ending}")
    assert found.space == Vector(2, ("mass", "flux"))
    np.testing.assert_allclose(found.take(np.arange(30)), x, rtol=1e-7)
    if ending != ".csv":
        assert found.units == ("Msun", "Jy")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_series_in_tables_come_back(tmp_path, ending):
    made = simulate("light-curve", 12)
    write(made, tmp_path / f"curves{ending}")
    found = pf.read(tmp_path / f"curves{ending}")
    assert len(found) == 12
    assert found.space.timed


def test_samples_know_what_they_were_made_by(tmp_path, monkeypatch, capsys):
    import h5py

    from pushforward import cli

    maps = tmp_path / "maps.h5"
    with h5py.File(maps, "w") as file:
        file["maps"] = np.random.default_rng(0).normal(size=(40, 8, 8)).astype(np.float32)
        file["maps"].attrs["units"] = "mK"
        file.attrs["box"] = 25.0
    run, samples = tmp_path / "run", tmp_path / "samples.h5"
    for words in (
        ["fit", maps, "--model", "flow-matching", "--steps", 2, "--out", run],
        ["sample", run, "-n", 3, "--seed", 11, "-o", samples],
    ):
        monkeypatch.setattr(sys, "argv", ["pushforward", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code
    with h5py.File(samples) as file:
        about = dict(file.attrs)
    assert (about["seed"], about["model"], about["version"]) == (11, "flow-matching", f"pushforward {pf.__version__}")
    found = pf.read(samples)
    assert (found.space, found.units) == (Field(1, (8, 8), box=25.0), ("mK",))
    assert "of seed 11" in capsys.readouterr().out


def test_a_table_of_vectors_keeps_all_digits_and_what_is_missing(tmp_path):
    x = np.array([[1 / 3, np.nan], [2.0, -1e-30]])
    write(Simulated(x, Vector(2)), tmp_path / "x.csv")
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "x.csv", delimiter=",", skiprows=1), x)


def test_a_simulation_is_written_without_torch(tmp_path):
    code = (
        "import sys; from pushforward.ensembles import check_output, write; from pushforward.simulate import simulate;"
        f"path = {str(tmp_path / 'x.h5')!r}; check_output(path); write(simulate('two-moons', 5), path);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
