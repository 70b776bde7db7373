"""Posteriors of parameters given an observation: drawn by a model that learned them, or sampled from a likelihood."""

from pushforward.inference.infer import Inferring, infer, inferred
from pushforward.inference.likelihood import LogLikelihood, sample_likelihood
from pushforward.inference.posterior import Posterior
from pushforward.inference.priors import Prior, prior_of

__all__ = ["Inferring", "LogLikelihood", "Posterior", "Prior", "infer", "inferred", "prior_of", "sample_likelihood"]
