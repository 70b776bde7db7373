import sys
from pathlib import Path

from pushforward.ensembles import EnsemblePair, EnsembleSource, read
from pushforward.training.recipe import command


def test_a_call_from_python_is_told_as_a_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py"])
    moons = read("two-moons", members=50, noise=0.05)
    settings = {"learning_rate": 0.001, "betas": (0.5, 0.9), "transform": "none"}
    assert command("vae", EnsembleSource(moons).to_dict(), settings, {"budget": 60.0}, Path("runs/my moons"), 3) == (
        "pushforward fit two-moons --model vae --members 50 --budget 60.0 --seed 3 --out 'runs/my moons'"
        " --set noise=0.05 --set learning_rate=0.001 --set betas=0.5,0.9 --set transform=none"
    )


def test_an_array_in_memory_is_told_by_a_stand_in(points):

    assert command("vae", EnsembleSource(points).to_dict(), {}, {"steps": 10}, Path("run"), 0).startswith(
        "pushforward fit ARRAY.npy --model vae"
    )


def test_a_typed_command_is_told_as_it_was_typed_but_not_as_a_continuation(points, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pushforward", "fit", "a b.npy", "--out", "run", "--resume"])

    assert (
        command("vae", EnsembleSource(points).to_dict(), {}, {"steps": 1}, Path("run"), 0)
        == "pushforward fit 'a b.npy' --out run"
    )


def test_two_ensembles_are_told_in_one_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py"])
    pair = EnsemblePair(read("two-moons", members=40), read("circles", members=40))
    told = command("between", pair.to_dict(), {}, {"steps": 9}, Path("run"), 0)
    assert told.startswith("pushforward fit two-moons --model between --and circles --members 40 --steps 9")
