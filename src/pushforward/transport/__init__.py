"""Motion from noise to data: Gaussian paths, what a network predicts, samplers, likelihoods, couplings."""

from __future__ import annotations

from pushforward.transport.couplings import optimal_transport
from pushforward.transport.ddim import ddim
from pushforward.transport.dpm_solver import dpm_solver
from pushforward.transport.grids import Spacing, equal_times, time_grid
from pushforward.transport.likelihood import divergence, log_likelihood, trace_probes
from pushforward.transport.ode import EULER, HEUN, MIDPOINT, RK4, Predictor, Tableau, flow, integrate
from pushforward.transport.path import Moment, Path, Straight, VarianceExploding, VPCosine, VPLinear
from pushforward.transport.prediction import Estimate, Prediction, convert, determinant, estimate, loss_weight, target
from pushforward.transport.samplers import SAMPLERS, Method, guided, sample

__all__ = [
    "EULER",
    "HEUN",
    "MIDPOINT",
    "RK4",
    "SAMPLERS",
    "Estimate",
    "Method",
    "Moment",
    "Path",
    "Prediction",
    "Predictor",
    "Spacing",
    "Straight",
    "Tableau",
    "VPCosine",
    "VPLinear",
    "VarianceExploding",
    "convert",
    "ddim",
    "determinant",
    "divergence",
    "dpm_solver",
    "equal_times",
    "estimate",
    "flow",
    "guided",
    "integrate",
    "log_likelihood",
    "loss_weight",
    "optimal_transport",
    "sample",
    "target",
    "time_grid",
    "trace_probes",
]
