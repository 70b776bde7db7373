"""Public names of `pushforward`, and the effect of an interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import pushforward as pf
from pushforward.training import Interrupted


def test_dir_lists_what_users_need_and_nothing_else():
    names = [name for name in dir(pf) if not name.startswith("__")]
    assert not {"Any", "TYPE_CHECKING", "import_module", "annotations", "cli", "options"} & set(names)
    assert set(pf.__all__) <= set(names)
    assert all(hasattr(pf, name) for name in names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("room", ["statistics", "dynamics", "simulate", "energies"])
def test_rooms_are_there_without_an_import_of_their_own(room):
    script = f"import sys, pushforward as pf; assert 'torch' not in sys.modules; print(pf.{room}.__name__)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert told.stdout.strip() == f"pushforward.{room}"


def test_the_package_is_a_command():
    told = subprocess.run(
        [sys.executable, "-m", "pushforward", "--version"], capture_output=True, text=True, check=True, env=os.environ
    )
    assert told.stdout.strip() == pf.__version__


def interrupt_when(path):
    def watch():
        while not path.exists() or not path.read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def test_an_interrupt_is_no_error_that_code_swallows_and_keeps_the_run(tmp_path):
    run = tmp_path / "run"
    interrupt_when(run / "metrics.jsonl")
    options = {"model": "realnvp", "out": run, "progress": False, "settings": {"log_every": 0}}
    with pytest.raises(Interrupted, match="--resume") as stop:
        pf.fit(pf.read("two-moons", members=100), steps=100_000, **options)
    assert isinstance(stop.value, KeyboardInterrupt)
    assert not isinstance(stop.value, Exception)
    assert pf.Emulator.load(run).sample(2).shape == (2, 2)


def test_an_interrupted_command_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    from pushforward import cli

    run = tmp_path / "run"
    interrupt_when(run / "metrics.jsonl")
    words = ["fit", "two-moons", "--members", "100", "--model", "realnvp", "--steps", "100000", "--out", str(run)]
    monkeypatch.setattr(sys, "argv", ["pushforward", *words, "--set", "log_every=0"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130
    assert f"--out {run} --resume" in capsys.readouterr().err.splitlines()[-1]
