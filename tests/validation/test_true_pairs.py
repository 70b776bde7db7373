"""The judgement of translators by true pairs: what is right is found right, and what is wrong, wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pushforward import EnsemblePair
from pushforward.ensembles import Ensemble
from pushforward.spaces import Field, Vector
from pushforward.training import fit
from pushforward.validation import validate

SPACE = Field(1, (16, 16), periodic=True)


def fields(count: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, 1, 16, 16))
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(16), np.fft.rfftfreq(16), indexing="ij"))
    return np.fft.irfft2(np.fft.rfft2(noise) / (k + 0.1), s=(16, 16)).astype(np.float32)


def pairs(count: int, seed: int) -> Ensemble:
    """Fields, and three times each of them."""
    x = fields(count, seed)
    return Ensemble.from_array(np.concatenate([x, 3 * x], 1), space=Field(2, (16, 16), periodic=True))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    pair = EnsemblePair(
        Ensemble.from_array(fields(64, 0), space=SPACE), Ensemble.from_array(3 * fields(64, 1), space=SPACE)
    )
    settings = {"width": 4, "critic_width": 4, "batch_size": 8}
    out = tmp_path_factory.mktemp("run") / "run"
    return fit(pair, "cyclegan", steps=2, settings=settings, out=out, progress=False)


def test_a_translation_that_is_right_is_found_so(emulator, tmp_path):
    """Two steps leave a standardised identity, which is the truth of fields and three times each."""
    report = validate(emulator, pairs(48, 2), out=tmp_path, progress=False)
    for to in ("a", "b"):
        assert report.figure("correlation_with_truth", to).value > 0.98
        assert report.figure("round_trip", to).value > 0.98
        assert report.figure("power_spectrum", to).value < 20
        assert report.figure("round_trip_power", to).value < 20
        assert report.figure("transfer_function", to).untranslated > 60
    values = json.loads((tmp_path / "report.json").read_text())
    assert len(values["verdicts"]) == 10
    assert values["parameters"] == []
    assert "the pairs have no parameters" in values["notes"][0]
    page = (tmp_path / "report.html").read_text()
    assert "Round trip" in page
    assert "– %" not in page, "a floor that is not known has no unit"
    assert report.wavenumber == "1/cell"


def test_members_that_belong_to_others_have_no_correlation(emulator):
    x = pairs(48, 2)
    shuffled = x.tensor().numpy()
    shuffled[:, 1] = shuffled[::-1, 1]
    report = validate(emulator, Ensemble.from_array(shuffled, space=x.space), progress=False)
    assert abs(report.figure("correlation_with_truth", "b").value) < 0.3
    assert report.figure("power_spectrum", "b").value < 20


def test_vectors_are_judged_by_distances(tmp_path):
    x = torch.randn(256, 2).numpy()
    pair = EnsemblePair(Ensemble.from_array(x), Ensemble.from_array(2 * x[::-1].copy() + 5))
    run = fit(pair, "cyclegan", steps=2, settings={"width": 8, "critic_width": 8}, out=tmp_path / "r", progress=False)
    report = validate(run, Ensemble.from_array(np.concatenate([x, 2 * x + 5], 1), space=Vector(4)), progress=False)
    assert report.figure("truth", "b").value < 0.1 * report.figure("truth", "b").untranslated
    assert report.figure("wasserstein2", "a").value < report.figure("wasserstein2", "a").untranslated / 5


def with_amplitudes(count: int, seed: int, factor: float = 3.0) -> Ensemble:
    """Pairs of fields with amplitudes of their own, which are their parameter, two to a group."""
    amplitude = np.exp(np.random.default_rng(seed).uniform(-0.2, 0.2, size=count // 2)).repeat(2)
    x = amplitude[:, None, None, None] * fields(count, seed)
    both = np.concatenate([x, factor * x], 1).astype(np.float32)
    space = Field(2, (16, 16), periodic=True)
    conditions = np.stack([np.log(amplitude), np.ones(count)], 1)
    return Ensemble.from_array(both, space=space, conditions=conditions, groups=np.arange(count) // 2)


def test_a_translation_that_is_right_recovers_the_parameters_of_its_member(emulator, tmp_path):
    report = validate(emulator, with_amplitudes(240, 3), samples=160, out=tmp_path, progress=False)
    assert len(report.recovered) == 2, "one parameter varies, and there are two directions"
    for each in report.recovered:
        assert each.error_true < 0.6, "fields tell their amplitude"
        assert each.error < 1.3 * each.error_true
        assert abs(each.shift) < 0.5
        assert each.error_untranslated > 1.5, "a factor of three is no small difference of amplitude"
        assert 0.8 < each.width < 1.25
        assert 0.5 < each.coverage_true < 0.85
    saved = json.loads((tmp_path / "report.json").read_text())["parameters"]
    assert [each["direction"] for each in saved] == ["a to b", "b to a"]
    page = (tmp_path / "report.html").read_text()
    assert "Parameters recovered from translations" in page
    assert "as is" in str(report)


def test_parameters_of_wrong_partners_are_lost(emulator):
    """Amplitudes of other members say nothing of a parameter, though every distribution is right."""
    pairs = with_amplitudes(240, 3)
    x = pairs.tensor().numpy()
    x[:, 0] = np.roll(x[:, 0], 40, 0)
    wrong = Ensemble.from_array(
        x, space=pairs.space, conditions=pairs.condition_rows(np.arange(240)), groups=pairs.groups
    )
    found = {each.direction: each for each in validate(emulator, wrong, samples=160, progress=False).recovered}
    assert found["a to b"].error > 1.0 > found["a to b"].error_true
    assert found["a to b"].coverage < 0.6


def test_too_few_simulations_recover_no_parameters(emulator):
    report = validate(emulator, with_amplitudes(24, 3), progress=False)
    assert report.recovered == ()
    assert "12 simulations; at least 20" in report.notes[0]
