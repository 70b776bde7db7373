"""Properties of every built-in set: shapes, seeds, options, errors, digits."""

import subprocess
import sys

import numpy as np
import pytest

from pushforward.errors import UsageError
from pushforward.simulate import SIMULATORS, option_names, simulate
from pushforward.spaces import Series

SMALL = {"cosmic-web": {"grid": 16}, "gaussian-field": {"grid": 16}, "n-body": {"particles": 8, "steps": 2}}


@pytest.mark.parametrize("name", SIMULATORS)
def test_members_have_the_shape_of_their_space_and_follow_the_seed(name):
    made, same, other = (simulate(name, 30, seed=seed, **SMALL.get(name, {})) for seed in (1, 1, 2))
    assert made.x.shape == (30, *made.space.shape)
    assert made.x.dtype == np.float32
    whole = ~np.isinf(made.x) if isinstance(made.space, Series) else np.isfinite(made.x)
    assert whole.all(), "only a value of a series may be missing"
    np.testing.assert_array_equal(made.x, same.x)
    assert (made.x != other.x).any()
    if made.conditions is not None:
        assert made.conditions.shape == (30, len(made.names))
        assert made.conditions.dtype == np.float32


@pytest.mark.parametrize("name", SIMULATORS)
def test_an_unknown_option_lists_the_known_ones(name):
    with pytest.raises(UsageError) as caught:
        simulate(name, 3, colour="red")
    assert "colour" in str(caught.value)
    assert all(option in str(caught.value) for option in option_names(name))


def test_options_come_as_words_or_as_numbers():
    words = simulate("two-moons", 20, noise="0.2", labels="true")
    numbers = simulate("two-moons", 20, noise=0.2, labels=True)
    assert (words.x == numbers.x).all()
    assert words.names == ("moon",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, "count"),
        ({"count": 2.5}, "count"),
        ({"count": 3, "seed": -1}, "seed"),
        ({"count": 3, "noise": "loud"}, "noise of two-moons must be a number"),
        ({"count": 3, "noise": float("nan")}, "finite"),
        ({"count": 3, "labels": "perhaps"}, "true or false"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(options, words):
    with pytest.raises(UsageError, match=words):
        simulate("two-moons", **options)


def test_an_unknown_name_hints_at_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'two-moons'"):
        simulate("two-moon")


def test_digits_are_all_there_and_no_more():
    made = simulate("digits")
    assert made.x.shape == (1797, 1, 8, 8)
    assert (made.x.min(), made.x.max()) == (0, 16)
    assert len(made.classes["digit"]) == 10
    assert np.bincount(made.conditions[:, 0].astype(int)).min() > 170
    with pytest.raises(UsageError, match="1797"):
        simulate("digits", 1798)


def test_listing_the_sets_imports_no_simulator():
    code = "import sys, pushforward.simulate; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
