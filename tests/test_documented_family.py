"""The family that docs/contracts.md writes is trained, judged and resumed as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import pushforward as pf
from pushforward.models import REGISTRY, Forecaster, Latent, Sampler
from pushforward.models.abilities import ABILITIES

PAGE = (Path(__file__).parents[1] / "docs" / "contracts.md").read_text()
RNG = np.random.default_rng(0)


@pytest.fixture
def family():
    (code, _) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict = {}
    exec(code, names)
    yield names["Cycle"]
    REGISTRY.pop("cycle", None)


def test_the_documented_family_is_trained_resumed_and_judged(family, tmp_path):
    a = RNG.normal(size=(400, 2)).astype(np.float32)
    b = (RNG.normal(size=(300, 2)) * [2, 1] + [5, 0]).astype(np.float32)
    pair = pf.EnsemblePair(pf.Ensemble.from_array(a, name="a"), pf.Ensemble.from_array(b, name="b"))
    options = {"out": tmp_path / "run", "settings": {"width": 16, "learning_rate": 5e-3}, "progress": False}
    pf.fit(pair, model=family, steps=100, **options)
    emulator = pf.fit(pair, model=family, steps=200, resume=True, **options)
    assert emulator.abilities == ("translator",)
    moved = emulator.translate(a, "b").numpy()
    assert np.abs(moved.mean(0) - b.mean(0)).max() < 0.5
    names = {name for name, _ in pf.validate(emulator, pair, samples=20, progress=False).verdicts}
    assert {"to_a/marginals", "to_b/marginals"} <= names


def test_every_ability_stands_on_the_page():
    for name in ABILITIES:
        assert name in ("corrected",) or f"| {name} |" in PAGE, f"docs/contracts.md does not say what {name} does"
    assert {Sampler, Latent, Forecaster} <= set(ABILITIES.values())
