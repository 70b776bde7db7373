"""Bijections with the logarithm of their Jacobian determinant, the parts of a normalizing flow.

Every `Transform` has the same two methods, so that any two can be composed:

>>> import torch
>>> from pushforward.transforms import ActNorm, Composition, Linear
>>> flow = Composition([ActNorm(3), Linear(3)])
>>> x = torch.randn(5, 3)
>>> z, log_abs_det = flow(x)
>>> torch.allclose(flow.inverse(z)[0], x, atol=1e-5)
True
"""

from __future__ import annotations

from pushforward.transforms.actnorm import ActNorm
from pushforward.transforms.autoregressive import MaskedAutoregressive
from pushforward.transforms.circles import Angles, Probit
from pushforward.transforms.coupling import Coupling, MaskedCoupling, checkerboard
from pushforward.transforms.elementwise import Elementwise
from pushforward.transforms.fourier import FourierScaling
from pushforward.transforms.line_and_circle import LineAndCircle
from pushforward.transforms.linear import Linear, Permutation
from pushforward.transforms.monotone import Affine, Monotone
from pushforward.transforms.multiscale import Multiscale
from pushforward.transforms.on_features import OnFeatures
from pushforward.transforms.patches import Patches
from pushforward.transforms.reshape import Flatten
from pushforward.transforms.rotation import Rotation
from pushforward.transforms.sigmoidal import Sigmoidal
from pushforward.transforms.spline import CircularSpline, Spline
from pushforward.transforms.split import Split
from pushforward.transforms.squeeze import Haar, Squeeze
from pushforward.transforms.transform import Composition, Inverse, Transform

__all__ = [
    "ActNorm",
    "Affine",
    "Angles",
    "CircularSpline",
    "Composition",
    "Coupling",
    "Elementwise",
    "Flatten",
    "FourierScaling",
    "Haar",
    "Inverse",
    "LineAndCircle",
    "Linear",
    "MaskedAutoregressive",
    "MaskedCoupling",
    "Monotone",
    "Multiscale",
    "OnFeatures",
    "Patches",
    "Permutation",
    "Probit",
    "Rotation",
    "Sigmoidal",
    "Spline",
    "Split",
    "Squeeze",
    "Transform",
    "checkerboard",
]
