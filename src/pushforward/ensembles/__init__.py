"""Ensembles: lazy reading, splits by simulation, conversion to network units, and writing to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushforward.lazy_names import lazy_names

if TYPE_CHECKING:
    from pushforward.ensembles.energy_source import EnergySource
    from pushforward.ensembles.ensemble import Ensemble, Parameter
    from pushforward.ensembles.pair import EnsemblePair, PairPreprocessing
    from pushforward.ensembles.preprocessing import Preprocessing
    from pushforward.ensembles.preprocessings import preprocessing_from_dict
    from pushforward.ensembles.read_ensemble import read
    from pushforward.ensembles.source import EnsembleSource, Source, source_of
    from pushforward.ensembles.symmetries import augment
    from pushforward.ensembles.trajectories import Trajectories
    from pushforward.ensembles.writing import check_output, write

__all__ = [
    "EnergySource",
    "Ensemble",
    "EnsemblePair",
    "EnsembleSource",
    "PairPreprocessing",
    "Parameter",
    "Preprocessing",
    "Source",
    "Trajectories",
    "augment",
    "check_output",
    "preprocessing_from_dict",
    "read",
    "source_of",
    "write",
]

_HOMES = {
    "EnergySource": "energy_source",
    "Ensemble": "ensemble",
    "EnsemblePair": "pair",
    "EnsembleSource": "source",
    "PairPreprocessing": "pair",
    "Parameter": "ensemble",
    "Preprocessing": "preprocessing",
    "Source": "source",
    "Trajectories": "trajectories",
    "augment": "symmetries",
    "check_output": "writing",
    "preprocessing_from_dict": "preprocessings",
    "read": "read_ensemble",
    "source_of": "source",
    "write": "writing",
}

__getattr__ = lazy_names("pushforward.ensembles", _HOMES)
