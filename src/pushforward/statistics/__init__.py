"""Statistics for the comparison of ensembles: batched functions of tensors that return tensors.

Fields have shape ``(samples, channels, *grid)``, vectors ``(samples, dim)``. Results stay on the samples' device,
in float64 if the device has it. Each statistic of one set returns a value per sample, so that errors follow from
the scatter (`standard_error`, `bootstrap`). In comparisons of two sets, the generated one comes first, the
reference second.
"""

from __future__ import annotations

from pushforward.statistics.bispectrum import Bispectrum, bispectrum
from pushforward.statistics.calibration import (
    joint_p_value,
    p_value,
    rank_p_value,
    significance,
    smallest_noticeable,
)
from pushforward.statistics.classifier import ClassifierTest, classifier_two_sample_test
from pushforward.statistics.covariance import (
    Covariance,
    CovarianceDistance,
    correlations,
    covariance_distance,
    power_covariance,
)
from pushforward.statistics.cross_spectra import CrossSpectra, cross_spectra
from pushforward.statistics.difference import Difference, mean_difference
from pushforward.statistics.energy_distance import EnergyDistance, energy_distance
from pushforward.statistics.features import low_pass, summary_features, summary_names
from pushforward.statistics.field_memorisation import field_memorisation, nearest_fields
from pushforward.statistics.held_out_classifiers import HeldOutClassifiers, held_out_classifiers
from pushforward.statistics.lattice import LatticeObservables, TwoPointFunction, lattice_observables, two_point_function
from pushforward.statistics.marginals import Marginals, marginals
from pushforward.statistics.memorisation import Memorisation, excess_of_copies, memorisation
from pushforward.statistics.minkowski import MinkowskiFunctionals, gaussian_minkowski, minkowski_functionals
from pushforward.statistics.mode_counts import ModeCounts, class_counts, cluster_counts, compare_counts
from pushforward.statistics.neighbours import NearestMembers, nearest_members
from pushforward.statistics.one_point import OnePointDistance, OnePointPDF, one_point_distance, one_point_pdf
from pushforward.statistics.particles import (
    RadialDistribution,
    configuration_features,
    pair_distances,
    radial_distribution,
    radius_of_gyration,
)
from pushforward.statistics.peaks import PeakCounts, peak_counts
from pushforward.statistics.permutation import PermutationTest, permutation_test
from pushforward.statistics.position import BorderProfile, border_profile
from pushforward.statistics.posterior_calibration import PosteriorCalibration, Uniformity, posterior_calibration
from pushforward.statistics.power_spectrum import CrossSpectrum, PowerSpectrum, cross_power_spectrum, power_spectrum
from pushforward.statistics.precision_recall import PrecisionRecallDensityCoverage, precision_recall_density_coverage
from pushforward.statistics.quadrupole import Quadrupole, quadrupole
from pushforward.statistics.showers import ShowerObservables, shower_observables
from pushforward.statistics.sliced_wasserstein import SlicedWasserstein, sliced_wasserstein
from pushforward.statistics.smoothing import gaussian_smooth
from pushforward.statistics.spectral_fit import SpectrumFit, SpectrumWeights, amplitude_and_slope, spectrum_weights
from pushforward.statistics.two_sample_classifiers import ClassifierScores, TwoSampleClassifiers, two_sample_classifiers
from pushforward.statistics.uncertainty import (
    Bootstrap,
    blended_error,
    bootstrap,
    discrepancy_error,
    half_sample_error,
    half_samples,
    standard_error,
)
from pushforward.statistics.value_support import SupportDifference, circular_moments, value_support
from pushforward.statistics.wasserstein import Wasserstein2, wasserstein2

__all__ = [
    "Bispectrum",
    "Bootstrap",
    "BorderProfile",
    "ClassifierScores",
    "ClassifierTest",
    "Covariance",
    "CovarianceDistance",
    "CrossSpectra",
    "CrossSpectrum",
    "Difference",
    "EnergyDistance",
    "HeldOutClassifiers",
    "LatticeObservables",
    "Marginals",
    "Memorisation",
    "MinkowskiFunctionals",
    "ModeCounts",
    "NearestMembers",
    "OnePointDistance",
    "OnePointPDF",
    "PeakCounts",
    "PermutationTest",
    "PosteriorCalibration",
    "PowerSpectrum",
    "PrecisionRecallDensityCoverage",
    "Quadrupole",
    "RadialDistribution",
    "ShowerObservables",
    "SlicedWasserstein",
    "SpectrumFit",
    "SpectrumWeights",
    "SupportDifference",
    "TwoPointFunction",
    "TwoSampleClassifiers",
    "Uniformity",
    "Wasserstein2",
    "amplitude_and_slope",
    "bispectrum",
    "blended_error",
    "bootstrap",
    "border_profile",
    "circular_moments",
    "class_counts",
    "classifier_two_sample_test",
    "cluster_counts",
    "compare_counts",
    "configuration_features",
    "correlations",
    "covariance_distance",
    "cross_power_spectrum",
    "cross_spectra",
    "discrepancy_error",
    "energy_distance",
    "excess_of_copies",
    "field_memorisation",
    "gaussian_minkowski",
    "gaussian_smooth",
    "half_sample_error",
    "half_samples",
    "held_out_classifiers",
    "joint_p_value",
    "lattice_observables",
    "low_pass",
    "marginals",
    "mean_difference",
    "memorisation",
    "minkowski_functionals",
    "nearest_fields",
    "nearest_members",
    "one_point_distance",
    "one_point_pdf",
    "p_value",
    "pair_distances",
    "peak_counts",
    "permutation_test",
    "posterior_calibration",
    "power_covariance",
    "power_spectrum",
    "precision_recall_density_coverage",
    "quadrupole",
    "radial_distribution",
    "radius_of_gyration",
    "rank_p_value",
    "shower_observables",
    "significance",
    "sliced_wasserstein",
    "smallest_noticeable",
    "spectrum_weights",
    "standard_error",
    "summary_features",
    "summary_names",
    "two_point_function",
    "two_sample_classifiers",
    "value_support",
    "wasserstein2",
]
