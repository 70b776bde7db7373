"""Batched, differentiable solvers of ordinary and stochastic differential equations."""

from __future__ import annotations

from pushforward.dynamics.control import Controller
from pushforward.dynamics.divergence import (
    exact_divergence,
    hutchinson_divergence,
    probe,
    probed_divergence,
    trace_probes,
)
from pushforward.dynamics.kick_drift import integrate_kick_drift
from pushforward.dynamics.leapfrog import leapfrog
from pushforward.dynamics.methods import METHODS
from pushforward.dynamics.neural_ode import NeuralODE
from pushforward.dynamics.odeint import odeint
from pushforward.dynamics.perceptron import PerceptronFlow
from pushforward.dynamics.sdeint import sdeint
from pushforward.dynamics.shared_steps import adams_bashforth, shared_step
from pushforward.dynamics.solution import IntegrationError, Solution, Statistics, Status
from pushforward.dynamics.stepper import Move, State, Stepper
from pushforward.dynamics.symplectic import SYMPLECTIC, integrate_symplectic
from pushforward.dynamics.tableau import Tableau

__all__ = [
    "METHODS",
    "SYMPLECTIC",
    "Controller",
    "IntegrationError",
    "Move",
    "NeuralODE",
    "PerceptronFlow",
    "Solution",
    "State",
    "Statistics",
    "Status",
    "Stepper",
    "Tableau",
    "adams_bashforth",
    "exact_divergence",
    "hutchinson_divergence",
    "integrate_kick_drift",
    "integrate_symplectic",
    "leapfrog",
    "odeint",
    "probe",
    "probed_divergence",
    "sdeint",
    "shared_step",
    "trace_probes",
]
