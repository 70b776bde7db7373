"""Every recipe of docs/your-data.md is run on a small file of its kind."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from pushforward import cli

PAGE = (Path(__file__).parents[1] / "docs" / "your-data.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"^\| .*\| `(fit [^`]+)` \|$", PAGE, flags=re.MULTILINE)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the recipes name."""
    at = tmp_path_factory.mktemp("data")
    np.save(at / "rows.npy", RNG.normal(size=(40, 3)))
    np.save(at / "maps.npy", RNG.normal(size=(40, 8, 8)))
    np.save(at / "mask.npy", RNG.random((40, 8, 8)) < 0.1)
    with h5py.File(at / "jets.h5", "w") as file:
        file["x"] = RNG.normal(size=(40, 6, 3))
    np.save(at / "map.npy", RNG.normal(size=(128, 128)))
    np.save(at / "lattice.npy", RNG.normal(size=(20, 4, 6, 6, 6)))
    np.save(at / "waves.npy", RNG.normal(size=(40, 8, 8)) + 1j * RNG.normal(size=(40, 8, 8)))
    catalogue = pd.DataFrame(
        {"mass": RNG.lognormal(size=60), "flux": RNG.normal(size=60), "radius": RNG.normal(size=60)}
    )
    catalogue.assign(kind=RNG.choice(["a", "b"], 60), source_id=10**18 + np.arange(60)).to_csv(at / "catalogue.csv")
    catalogue.to_csv(at / "europe.csv", sep=";", decimal=",", index=False)
    catalogue.assign(flux=catalogue.flux.mask(RNG.random(60) < 0.2, -99)).to_csv(at / "gaps.csv", index=False)
    days = np.sort(RNG.uniform(0, 9, (12, 8)), axis=1)
    curves = pd.DataFrame({"name": np.repeat([f"star{i}" for i in range(12)], 8), "mag": RNG.normal(16, 0.3, 96)})
    curves.assign(mjd=2459000.5 + days.ravel(), filter=["g", "r"] * 48).to_csv(at / "curves.csv", index=False)
    dates = pd.Timestamp("2020-01-01") + pd.to_timedelta(days.ravel(), unit="D")
    curves.assign(date=dates.strftime("%Y-%m-%dT%H:%M:%S")).to_csv(at / "dates.csv", index=False)
    (at / "maps").mkdir()
    for number in range(24):
        np.save(at / "maps" / f"{number:02d}.npy", RNG.normal(size=(8, 8)))
    np.savetxt(at / "params.txt", RNG.uniform(0.1, 0.5, (24, 2)), header="Omega_m sigma_8")
    names = [f"kappa_{kappa}" for kappa in (0.25, 0.26, 0.27)]
    for parent, parts in (("chains", names), ("runs", ["run_1", "run_2", "run_3"])):
        for part in parts:
            (at / parent / part).mkdir(parents=True)
            np.save(at / parent / part / "configs.npy", RNG.normal(size=(12, 8, 8)))
    pd.DataFrame({"file": names, "beta": [1.0, 2.0, 3.0]}).to_csv(at / "files.csv", index=False)
    for kind in ("spirals", "rings"):
        (at / "galaxies" / kind).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(at / "galaxies" / kind / f"{number}.png")
    with h5py.File(at / "maps.h5", "w") as file:
        file["maps"], file["noise"] = RNG.normal(size=(2, 40, 8, 8))
        file["redshift"] = RNG.uniform(0, 1, 40)
    counts = np.where(np.arange(40) < 3, -999, RNG.integers(0, 50, 40))
    columns = [fits.Column("mag", "E", array=RNG.normal(size=40)), fits.Column("n", "J", array=counts, null=-999)]
    fits.BinTableHDU.from_columns(columns).writeto(at / "table.fits")
    columns = [
        fits.Column("flux", "6E", array=RNG.normal(size=(40, 6))),
        fits.Column("z", "E", array=RNG.uniform(size=40)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(at / "spectra.fits")
    frame = "3\nwater\nO {} {} {}\nH {} {} {}\nH {} {} {}\n"
    (at / "water.xyz").write_text("".join(frame.format(*RNG.normal(size=9)) for _ in range(30)))
    return at


def test_the_page_has_recipes():
    assert len(RECIPES) > 30


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_right(folder, tmp_path, monkeypatch, capsys, recipe):
    if "water.xyz" in recipe:
        pytest.importorskip("ase")
    monkeypatch.chdir(folder)
    series = "--space series" in recipe or "--time" in recipe
    model = "latent-ode" if series else "flow-matching"
    words = [*shlex.split(recipe), "--model", model, "--steps", "1", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["pushforward", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code, capsys.readouterr().err
