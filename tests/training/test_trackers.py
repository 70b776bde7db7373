import json
import sys
import types
from pathlib import Path

import pytest

from pushforward.errors import UsageError
from pushforward.training import Tracker
from pushforward.training.trackers import TRACKERS, JsonLines, open_tracker


def test_lines_after_the_step_resumed_from_and_broken_ones_are_taken_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    first = JsonLines(path)
    for step in (1, 2, 3):
        first.log_metrics(step, {"model/loss": step / 3})
    first.close()
    with path.open("a") as file:
        file.write('{"step": 4, "model/lo')
    second = JsonLines(path, after=2)
    second.log_metrics(3, {"model/loss": 9.0})
    second.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["model/loss"]) for line in lines] == [(1, 1 / 3), (2, 2 / 3), (3, 9.0)]


class Recorder:
    """Stands in for a tracking package: remembers every call on it and on what its calls return."""

    def __init__(self, calls):
        self._calls = calls

    def __getattr__(self, name):
        if name.startswith("__"):  # such as __file__, which `inspect` asks every imported module for
            raise AttributeError(name)

        def call(*args, **options):
            self._calls.append((name, args, options))
            return self

        return self if name == "config" else call


@pytest.mark.parametrize(
    ("name", "module", "expected"),
    [
        ("tensorboard", "torch.utils.tensorboard", {"SummaryWriter", "add_text", "add_scalar", "close"}),
        ("mlflow", "mlflow", {"start_run", "log_dict", "log_metrics", "end_run"}),
        ("wandb", "wandb", {"init", "update", "log", "finish"}),
    ],
)
def test_tracking_services_are_told_of_parameters_and_metrics(tmp_path, monkeypatch, name, module, expected):
    calls = []
    stand_in = types.ModuleType(module)
    stand_in.__getattr__ = Recorder(calls).__getattr__
    monkeypatch.setitem(sys.modules, module, stand_in)
    tracker = open_tracker(name, tmp_path)
    assert isinstance(tracker, Tracker)
    tracker.log_parameters({"seed": 1})
    tracker.log_metrics(7, {"model/loss": 0.5})
    tracker.close()
    assert {call[0] for call in calls} == expected
    assert any(7 in call[1] or call[2].get("step") == 7 for call in calls), "the step must be told"


@pytest.mark.parametrize("name", list(TRACKERS))
def test_a_package_that_is_not_installed_is_named_with_its_extra(name, monkeypatch):
    for module in ("torch.utils.tensorboard", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install 'pushforward\[{name}\]'"):
        open_tracker(name, Path())


@pytest.mark.parametrize(
    ("name", "module", "options", "call"),
    [
        ("tensorboard", "torch.utils.tensorboard", {"folder": "curves"}, "SummaryWriter"),
        ("mlflow", "mlflow", {"experiment": "maps"}, "set_experiment"),
        ("wandb", "wandb", {"project": "maps", "entity": "us"}, "init"),
    ],
)
def test_options_reach_the_service_and_others_are_refused(tmp_path, monkeypatch, name, module, options, call):
    calls = []
    stand_in = types.ModuleType(module)
    stand_in.__getattr__ = Recorder(calls).__getattr__
    monkeypatch.setitem(sys.modules, module, stand_in)
    open_tracker(name, tmp_path, options)
    (told,) = [each for each in calls if each[0] == call]
    assert set(options.values()) <= {*told[1], *told[2].values()}
    with pytest.raises(UsageError, match=f"the tracker {name} has no option 'colour'; it has .*{next(iter(options))}"):
        open_tracker(name, tmp_path, {"colour": 1})


def test_trackers_are_chosen_on_the_command_line(tmp_path, monkeypatch, capsys):
    from pushforward import cli

    calls = []
    stand_in = types.ModuleType("wandb")
    stand_in.__getattr__ = Recorder(calls).__getattr__
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    words = ["fit", "two-moons", "--members", "40", "--model", "realnvp", "--steps", "2", "--out", str(tmp_path / "a")]
    monkeypatch.setattr(sys, "argv", ["pushforward", *words, "--tracker", "wandb", "--tracker-set", "project=maps"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert next(each for each in calls if each[0] == "init")[2]["project"] == "maps"
    monkeypatch.setattr(sys, "argv", ["pushforward", *words[:-1], str(tmp_path / "other"), "--tracker", "wandbb"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "there is no tracker called 'wandbb'" in capsys.readouterr().err
