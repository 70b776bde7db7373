"""A model of the user's own that breaks the contract ends in one sentence, before training where that can be known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.models import REGISTRY, Density, Model, Player, Settings, Turn
from pushforward.models.contract import check_class
from pushforward.models.registry import families, find, registered
from pushforward.plugins import plugins
from pushforward.simulate.registry import SIMULATORS

POINTS = pf.Ensemble.from_array(np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32), name="points")


class Two(Model):
    """A normal distribution with two groups of parameters."""

    spaces = ("vector",)

    def __init__(self, space, condition=0, settings=None):
        super().__init__(space, condition, settings)
        self.centre, self.other = (nn.Parameter(torch.ones(space.shape)) for _ in range(2))

    def turns(self, batches):
        yield turn(self, next(batches))

    def sample(self, draws, condition=None, sampling=None):
        return self.centre + draws.normal(*self.space.shape)


def turn(model, batch, player="model", **changes):
    loss = (batch.x - model.centre).square().mean() + model.other.square().mean()
    return Turn(player, loss, {})._replace(**changes)


def turns(make):
    """A method `turns` that yields what a function makes of the model and a batch."""

    def method(self, batches):
        yield make(self, next(batches))

    return {"turns": method}


def players(make):
    return {"players": make}


def endless(self, batches):
    for batch in batches:
        yield turn(self, batch)


def plain(self, batches):
    return turn(self, next(batches))


def failing(self, batches):
    next(batches)
    yield 1 / 0


def without_base(self, space, condition=0, settings=None):
    pass


class Needs(Settings):
    width: int


def answering(function):
    return lambda self, x, condition=None: function(x)


def sampling(function):
    return {"sample": lambda self, draws, condition=None, sampling=None: function(draws)}


BEFORE = {
    "constructor with other arguments": ({"__init__": lambda self, space: None}, r"__init__ cannot be called as"),
    "constructor that fails": ({"__init__": lambda self, *_: 1 / 0}, r"failed in its constructor: ZeroDivisionError"),
    "constructor without that of Model": ({"__init__": without_base}, r"must call super\(\).__init__\("),
    "no players": (players(lambda self: {}), r"players\(\) is empty"),
    "players in a list": (players(lambda self: [self.centre]), r"must return Players by name"),
    "a player without parameters": (
        players(lambda self: {"model": Player([self.centre]), "b": Player([])}), "'b' of .* no parameters to train"
    ),
    "players that share": (
        players(lambda self: {"a": Player([self.centre]), "b": Player([self.centre, self.other])}),
        "players 'a' and 'b' of .* share parameters",
    ),
    "parameters that are not saved": (
        players(lambda self: {"model": Player([nn.Parameter(torch.zeros(2))])}), "not the model's own"
    ),
    "zero rate": (players(lambda self: {"model": Player([self.centre], rate=0)}), "rate = 0; give a number above 0"),
    "unknown schedule": (
        players(lambda self: {"model": Player([self.centre], schedule="zigzag")}), "schedule = 'zigzag'; give cosine or"
    ),
    "betas out of range": (players(lambda self: {"model": Player([self.centre], betas=(1, 2))}), "give two numbers in"),
    "players that fail": (players(lambda self: 1 / 0), r"failed in players: ZeroDivisionError"),
    "settings that are no Settings": ({"Settings": dict}, "Settings is not a class derived from"),
    "a setting without a default": ({"Settings": Needs}, "no default for 'width'"),
    "unknown kind of sample": ({"spaces": ("vectors",)}, r"spaces = \('vectors',\); give a tuple of some of vector, "),
    "unknown source": ({"sources": "ensemble"}, "sources = 'ensemble'; give a tuple"),
    "unknown default": (
        {"training_defaults_for": classmethod(lambda cls, space: {"lr": 1})}, "returned 'lr'; it may name "
    ),
    "defaults that are none": ({"training_defaults_for": classmethod(lambda cls, space: None)}, "returned no names"),
    "half an ability": ({"encode": answering(lambda x: x)}, "defines encode but not decode"),
    "a method with other arguments": ({"sample": lambda self, n: n}, r"called as sample\(self, draws, condition, samp"),
    "samples of another shape": (sampling(lambda draws: draws.normal(5)), r"shape \(2, 5\); expected .* \(2, 2\)"),
    "samples that are no tensor": (sampling(lambda draws: [1, 2]), "sample returned list"),
    "sampling that fails": (sampling(lambda draws: {}["a"]), r"failed in sample before training: KeyError: 'a'"),
    "densities of another shape": ({"log_prob": answering(lambda x: x)}, r"log_prob returned shape \(2, 2\)"),
    "samples without their density": (
        {"sample_and_log_prob": lambda self, draws, condition=None, sampling=None: draws.normal(2)}, "must return"
    ),
    "decoding to another shape": (
        {"encode": answering(lambda x: x), "decode": answering(lambda z: z[:, :1])}, r"decode returned shape \(2, 1\)"
    ),
    "a prepare that fails": ({"prepare": lambda self, batch: batch.y}, "failed in prepare: AttributeError"),
}  # fmt: skip

DURING = {
    "a loss that is a number": (turns(lambda self, b: turn(self, b, loss=1.0)), "a tensor of one number, not float"),
    "a loss per sample": (turns(lambda self, b: turn(self, b, loss=b.x * self.centre)), r"not shape \(256, 2\)"),
    "a loss without gradient": (turns(lambda self, b: turn(self, b, loss=b.x.mean())), "not depend on any parameter"),
    "a loss that is not finite": (
        turns(lambda self, b: turn(self, b, loss=self.centre.sum() * torch.nan)),
        "the loss of 'model' was not finite",
    ),
    "a tuple": (turns(lambda self, b: tuple(turn(self, b))), r"must yield Turn\(player, loss, logs\), not tuple"),
    "an unknown player": (turns(lambda self, b: turn(self, b, "critic")), r"'critic', but players\(\) names 'model'"),
    "logs that are no numbers": (turns(lambda self, b: turn(self, b, logs={"a": b.x})), "the log 'a' .* one number"),
    "no logs": (turns(lambda self, b: turn(self, b, logs=None)), "must be numbers by name, not NoneType"),
    "no turn": ({"turns": lambda self, batches: iter(())}, "yielded no turn at step 1"),
    "turns that do not yield": ({"turns": plain}, "must yield Turn.*, not return Turn"),
    "turns that fail": (
        {"turns": failing},
        r"failed at step 1: ZeroDivisionError: .* \(test_mod.*, line",
    ),
    "turns that never end": ({"turns": endless}, r"10000 turns in one step.* next\(batches\)"),
    "a collate that returns nothing": ({"collate": property(lambda self: lambda batch: None)}, "must return a Batch"),
}


@pytest.fixture
def fitted(tmp_path):
    """Train a variant of `Two`; the registry is as before afterwards."""
    known = dict(REGISTRY)

    def call(changes, **options):
        kind = type("Broken", (changes.pop("base", Two),), changes)
        data = options.pop("data", POINTS)
        return pf.fit(data, kind, steps=2, out=tmp_path / "run", progress=False, device="cpu", **options)

    yield call
    REGISTRY.clear()
    REGISTRY.update(known)


@pytest.mark.parametrize("case", BEFORE)
def test_what_can_be_known_before_training_is_said_before_training(case, fitted, tmp_path):
    changes, sentence = BEFORE[case]
    with pytest.raises(UsageError, match=sentence):
        fitted(dict(changes))
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("case", DURING)
def test_a_step_that_breaks_the_contract_is_one_sentence(case, fitted):
    changes, sentence = DURING[case]
    with pytest.raises(UsageError, match=sentence):
        fitted(dict(changes))


def test_a_player_whose_loss_does_not_depend_on_it_is_named(fitted):
    two = players(lambda self: {"a": Player([self.centre]), "b": Player([self.other])})
    centre = turns(lambda self, batch: Turn("b", (batch.x - self.centre).square().mean(), {}))
    with pytest.raises(UsageError, match="the loss of 'b' depends on none of its parameters"):
        fitted({**two, **centre})


def test_parameters_named_twice_are_stepped_once(fitted):
    twice = fitted(players(lambda self: {"model": Player([self.centre, self.other, self.centre])}))
    assert len(twice.model.players()["model"].parameters) == 2


@pytest.mark.parametrize(
    ("model", "said"),
    [(nn.Linear, "is not a class derived from pushforward"), (int, "is not a class derived"), (3, "model=3 was given")],
)
def test_what_is_no_model_is_refused(model, said):
    with pytest.raises(UsageError, match=said):
        pf.fit(POINTS, model, steps=1)


def test_a_model_that_cannot_be_trained_names_what_it_lacks():
    with pytest.raises(UsageError, match="Halfway does not define turns"):
        pf.fit(POINTS, type("Halfway", (Model,), {}), steps=1)


def test_an_ability_that_is_declared_must_be_there():
    declared = type("Declared", (Two, Density), {})
    with pytest.raises(UsageError, match="Declared is declared a Density, but does not define log_prob"):
        check_class(declared)


def test_a_translator_of_one_way_is_tried_that_way_only(fitted):
    def translate(self, x, to):
        assert to == "b"
        return x

    other = pf.Ensemble.from_array(np.random.default_rng(1).normal(size=(100, 2)).astype(np.float32), name="others")
    changes = {"sources": ("pair",), "ends": ("b",), "translate": translate}
    assert "translator" in fitted(changes, data=pf.EnsemblePair(POINTS, other)).abilities


@pytest.mark.parametrize("name", families())
def test_every_family_keeps_the_contract(name):
    check_class(families()[name])


@pytest.mark.parametrize(
    ("method", "word"),
    [("translate", "cannot translate"), ("evolve", "cannot move a state in time")],
)
def test_an_ability_that_the_data_do_not_allow_is_none(fitted, method, word):
    emulator = fitted({"translate": lambda self, x, to: x, "evolve": lambda self, initial, times, condition=None: 0})
    with pytest.raises(UsageError, match=word):
        getattr(emulator, method)(torch.zeros(2, 2), "b")
    assert emulator.abilities == ("sampler",)


BROKEN = """
[pushforward.models]
fails-on-import = broken_package:Missing
twice = json:loads

[pushforward.simulators]
fails-too = broken_package:SIMULATOR
"""


@pytest.fixture
def _broken_package(tmp_path, monkeypatch):
    """Two installed packages that fail on import, and that declare one name."""
    (tmp_path / "broken_package.py").write_text("1 / 0\n")
    for name in ("first", "second"):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(
            BROKEN if name == "first" else "[pushforward.models]\ntwice = json:dumps\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    known, simulators = dict(REGISTRY), dict(SIMULATORS)
    plugins.cache_clear()
    yield
    for registry, before in ((REGISTRY, known), (SIMULATORS, simulators)):
        registry.clear()
        registry.update(before)
    plugins.cache_clear()
    sys.modules.pop("broken_package", None)


@pytest.mark.usefixtures("_broken_package")
def test_a_package_that_fails_breaks_nothing_else(capsys):
    with pytest.raises(UsageError, match="fails-on-import of the installed package first cannot be loaded: ZeroDivis"):
        find("fails-on-import").load()
    with pytest.raises(UsageError, match="'twice' is declared by several installed packages, first and second;"):
        find("twice").load()
    assert "cannot be used: " in registered()["fails-on-import"].summary
    with pytest.raises(UsageError, match="no model called 'realnpv'; did you mean 'realnvp'"):
        find("realnpv")
    with pytest.raises(UsageError, match="fails-too of the installed package first cannot be loaded"):
        pf.read("fails-too")
    assert len(pf.read("two-moons", members=20)) == 20
    assert "realnvp" in families()
