"""The cache never changes a result, and never fails."""

import os
from functools import partial

import numpy as np
import pytest

from pushforward.simulate import simulate
from pushforward.simulate.cache import cache_folder, cached


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return np.arange(5, dtype=np.float32)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_what_took_long_is_computed_once_for_each_set_of_options(home):
    compute = Counted()
    first, again = (cached("set", {"a": 1}, compute, worth=0) for _ in range(2))
    assert (first == again).all()
    assert compute.calls == 1
    cached("set", {"a": 2}, compute, worth=0)
    assert compute.calls == 2
    assert len(list(cache_folder().iterdir())) == 2, "no partial file is left"


def test_what_was_quick_is_not_kept(home):
    cached("set", {}, Counted(), worth=60)
    assert not cache_folder().exists()


def test_a_damaged_file_is_computed_again_and_mended(home):
    compute = Counted()
    cached("set", {}, compute, worth=0)
    (kept,) = cache_folder().iterdir()
    kept.write_bytes(kept.read_bytes()[:-7])
    assert (cached("set", {}, compute, worth=0) == np.arange(5)).all()
    assert (cached("set", {}, compute, worth=0) == np.arange(5)).all()
    assert compute.calls == 2


def test_a_folder_that_cannot_be_made_is_no_trouble(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert (cached("set", {}, Counted(), worth=0) == np.arange(5)).all()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_home_is_no_trouble(home):
    home.chmod(0o500)
    assert (cached("set", {}, Counted(), worth=0) == np.arange(5)).all()
    home.chmod(0o700)


def test_kept_maps_are_the_maps(home, monkeypatch):
    monkeypatch.setattr("pushforward.simulate.cosmic_web.cached", partial(cached, worth=0))
    made, kept = (simulate("cosmic-web", 5, grid=16) for _ in range(2))
    assert (made.x == kept.x).all()
    assert len(list(cache_folder().iterdir())) == 1
