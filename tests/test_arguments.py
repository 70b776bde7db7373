"""Arguments of public functions: of a wrong type, out of range, or unknown, they are one sentence."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import pushforward as pf
from pushforward.arguments import checked
from pushforward.errors import UsageError
from pushforward.simulate import simulate

STRANGE: tuple[Any, ...] = ("a", 2.5, -1, float("nan"), float("inf"), 10**30, [], {}, object(), b"x", np.ones(2))
ROWS = np.random.default_rng(0).normal(size=(40, 2))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> pf.Emulator:
    ensemble = pf.read(ROWS, condition=np.arange(40.0))
    return pf.fit(ensemble, "realnvp", steps=1, out=tmp_path_factory.mktemp("run") / "a", progress=False)


def _tried(function: Any, name: str, value: Any) -> str:
    """Outcome of a call: ``said`` for one sentence, ``ok``, or the raw error."""
    try:
        function(**{name: value})
    except UsageError as problem:
        return "said" if str(problem) else "an empty sentence"
    except Exception as problem:
        return f"{name}={value!r}: {type(problem).__name__}: {problem}"
    return "ok"


def _names(function: Any, but: tuple[str, ...] = ()) -> list[str]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [n for n, p in inspect.signature(function).parameters.items() if p.kind not in kinds and n not in but]


def _raw(function: Any, names: list[str]) -> list[str]:
    outcomes = (_tried(function, name, value) for name in names for value in STRANGE)
    return [each for each in outcomes if each not in ("said", "ok")]


def test_no_argument_of_read_ends_in_a_raw_error() -> None:
    assert not _raw(lambda **k: pf.read(k.pop("data", ROWS), **k), _names(pf.read))


def test_no_argument_of_fit_ends_in_a_raw_error(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def fit(**given: Any) -> Any:
        common = {"data": ROWS[:30], "model": "realnvp", "steps": 1, "out": tmp_path / "b", "progress": False}
        return pf.fit(**{**common, "resume": True, "settings": {"width": -1}, **given})

    # The setting is refused after every check of an argument, so that nothing trains.
    assert not _raw(fit, _names(pf.fit, but=("settings",)))
    for value in ("a", 2.5, [], b"x"):
        assert _tried(fit, "settings", value) == "said"


@pytest.mark.parametrize("verb", ["sample", "sample_with_conditions", "sample_and_log_prob", "plot", "posterior"])
def test_no_argument_of_sampling_ends_in_a_raw_error(emulator: pf.Emulator, verb: str) -> None:
    function = getattr(emulator, verb)
    names = _names(function)
    given: dict[str, Any] = {"n": 2} if "n" in names else {}
    given |= {"observation": ROWS[:1]} if "observation" in names else {}
    assert not _raw(lambda **k: function(**{**given, **k}), names)


@pytest.mark.parametrize("verb", ["log_prob", "encode", "decode", "interpolate"])
def test_no_array_ends_in_a_raw_error(emulator: pf.Emulator, verb: str) -> None:
    function = getattr(emulator, verb)
    first = "z" if verb == "decode" else "x"
    given: dict[str, Any] = {first: ROWS[:2], "condition": np.ones((2, 1))}
    given |= {"y": ROWS[2:4]} if verb == "interpolate" else {}
    assert not _raw(lambda **k: function(**{**given, **k}), _names(function))


def test_no_argument_of_judge_ends_in_a_raw_error() -> None:
    few = ROWS[:6]
    # Too few samples to judge by: refused after every check of an argument.
    assert not _raw(
        lambda **k: pf.judge(**{"samples": few, "data": few, "progress": False, **k}), _names(pf.judge, but=("out",))
    )


def test_no_argument_of_validate_ends_in_a_raw_error(emulator: pf.Emulator) -> None:
    few = pf.read(ROWS[:6], condition=np.arange(6.0))
    common = {"emulator": emulator, "ensemble": few, "progress": False}
    assert not _raw(lambda **k: pf.validate(**{**common, **k}), _names(pf.validate, but=("out",)))


def test_no_argument_of_compare_ends_in_a_raw_error(tmp_path: Any) -> None:
    common = {"ensemble": ROWS, "models": ["no-such"], "out": tmp_path, "progress": False}
    assert not _raw(lambda **k: pf.compare(**{**common, **k}), _names(pf.compare))


@pytest.mark.parametrize("name", ["two-moons", "gaussian-field", "ising", "light-curve"])
def test_no_count_or_seed_of_a_simulator_ends_in_a_raw_error(name: str) -> None:
    assert not _raw(lambda **k: simulate(name, **{"count": 2, **k}), ["count", "seed"])
    assert not _raw(lambda **k: simulate(**{"name": name, "count": 2, **k}), ["name"])


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (pf.Vector, {"dim": 2}),
        (pf.Field, {"channels": 1, "grid": (4, 4)}),
        (pf.Particles, {"count": 3, "dim": 2}),
        (pf.Series, {"dim": 1, "length": 4}),
        (pf.Trajectory, {"count": 3, "dim": 2, "times": (0.0, 1.0)}),
    ],
)
def test_no_value_of_a_space_ends_in_a_raw_error(kind: Any, given: dict[str, Any]) -> None:
    assert not _raw(lambda **k: kind(**{**given, **k}), _names(kind))
    with pytest.raises(UsageError, match="whole number of at least 1"):
        kind(**{**given, next(iter(given)): 0})


def test_a_space_takes_lists_and_whole_floats() -> None:
    assert pf.Field(1, [8, 8.0]) == pf.Field(1, (8, 8))  # type: ignore[arg-type,list-item]
    assert pf.Vector(np.int64(2)) == pf.Vector(2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: pf.read("two-moons", members=2.5), "members=2.5 was given; give a whole number of at least 1"),
        (lambda: pf.judge(ROWS, ROWS, seed=-1), "seed=-1 was given; give a whole number of at least 0"),
        (lambda: pf.read(np.ones((9, 4, 4)), box="a"), "box='a' was given; give a positive length"),
        (lambda: pf.read(np.ones((9, 4, 4)), box=-3.0), "give a positive length"),
        (lambda: pf.read(np.ones((9, 4, 4)), periodic="no"), "periodic='no' was given; give True or False"),
        (lambda: pf.fit(ROWS, members=2), "fit has no argument 'members'; it takes data, model"),
        (lambda: pf.judge(ROWS, ROWS, tolerance={}), "did you mean tolerances?"),
        (lambda: pf.fit(ROWS, steps=1.5), "steps=1.5 was given"),
    ],
)
def test_the_sentence_says_what_to_give(call: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert sentence in str(caught.value)


def test_whole_floats_and_numpy_numbers_are_whole_numbers() -> None:
    @checked(n=1)
    def twice(n: int, scale: float | None = None) -> Any:
        return n, type(n), scale

    assert twice(3.0) == (3, int, None)  # type: ignore[arg-type]
    assert twice(np.int64(3), np.float32(0.5)) == (3, int, 0.5)  # type: ignore[arg-type]
    for wrong in (0, True, "3", np.ones(1)):
        with pytest.raises(UsageError):
            twice(wrong)
