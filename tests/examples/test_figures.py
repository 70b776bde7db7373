"""Figures of examples are drawn, those of trained models from short trainings."""

from __future__ import annotations

from importlib import import_module

import pytest

SHORT = {
    "approaching_distributions": {"STEPS": 2, "DISTANCES": (0.0, 1.0)},
    "dirac_gan": {"STEPS": 60},
    "flow_layers": {"STEPS": 2, "SAMPLES": 500},
    "generator_losses": {},
    "maf_and_iaf": {},
    "optimal_discriminator": {},
    "posterior": {"SIMULATIONS": 600, "STEPS": 2, "TESTED": 12, "DRAWS": 10},
}


@pytest.mark.parametrize("name", SHORT)
def test_the_figure_is_drawn(name, tmp_path, monkeypatch):
    example = import_module(f"examples.{name}")
    for constant, value in SHORT[name].items():
        assert hasattr(example, constant)
        monkeypatch.setattr(example, constant, value)
    example.main(str(tmp_path / "figure.png"))
    assert (tmp_path / "figure.png").stat().st_size > 10_000
