"""Ensembles: read lazily from any format, split without tearing simulations apart, and brought to network units."""

from __future__ import annotations

from pushforward.ensembles.builtin import DATASETS
from pushforward.ensembles.ensemble import Ensemble, Parameter
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.ensembles.read import read
from pushforward.ensembles.symmetries import augment

__all__ = ["DATASETS", "Ensemble", "Parameter", "Preprocessing", "augment", "read"]
