"""Motion from noise to data: paths, predictions, samplers, likelihoods, couplings."""

from __future__ import annotations

from pushforward.transport.churn import edm
from pushforward.transport.consistency import earlier, multistep, pseudo_huber
from pushforward.transport.couplings import optimal_transport
from pushforward.transport.ddim import ddim
from pushforward.transport.dpm_solver import dpm_solver
from pushforward.transport.gaussian import GaussianDenoiser, real_waves
from pushforward.transport.grids import Spacing, equal_times, time_grid
from pushforward.transport.likelihood import carry, log_likelihood
from pushforward.transport.noise import NORMAL, CentredNormal, Noise, Normal, StudentT, normal_of
from pushforward.transport.noise_level import NoiseLevel
from pushforward.transport.ode import INTEGRATORS, Integrator, Predictor, Solver, VelocityField, adaptive, flow
from pushforward.transport.path import Moment, Path, Straight, VarianceExploding, VPCosine, VPLinear
from pushforward.transport.prediction import Estimate, Prediction, convert, determinant, estimate, loss_weight, target
from pushforward.transport.samplers import SAMPLERS, Method, guided, sample
from pushforward.transport.sde import sde
from pushforward.transport.turn_around import turn_around_time

__all__ = [
    "INTEGRATORS",
    "NORMAL",
    "SAMPLERS",
    "CentredNormal",
    "Estimate",
    "GaussianDenoiser",
    "Integrator",
    "Method",
    "Moment",
    "Noise",
    "NoiseLevel",
    "Normal",
    "Path",
    "Prediction",
    "Predictor",
    "Solver",
    "Spacing",
    "Straight",
    "StudentT",
    "VPCosine",
    "VPLinear",
    "VarianceExploding",
    "VelocityField",
    "adaptive",
    "carry",
    "convert",
    "ddim",
    "determinant",
    "dpm_solver",
    "earlier",
    "edm",
    "equal_times",
    "estimate",
    "flow",
    "guided",
    "log_likelihood",
    "loss_weight",
    "multistep",
    "normal_of",
    "optimal_transport",
    "pseudo_huber",
    "real_waves",
    "sample",
    "sde",
    "target",
    "time_grid",
    "turn_around_time",
]
