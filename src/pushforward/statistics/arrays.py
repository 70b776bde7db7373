"""What every statistic accepts: how samples are read, and how large a piece of work is done at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import DataError, UsageError

__all__ = [
    "Array",
    "FieldArray",
    "as_fields",
    "as_vectors",
    "binary_unit",
    "chunks",
    "same_device",
    "wide",
    "wide_type",
]

Array = Tensor | np.ndarray
FieldArray = Float[Array, "samples channels *grid"]

# A chunk of about this many values stays in the processor's caches between the passes of one statistic.
CHUNK_VALUES = 1 << 20


def as_fields(fields: FieldArray, dimensions: tuple[int, ...] = (1, 2, 3)) -> Tensor:
    """Fields as a floating tensor without a gradient, shape ``(samples, channels, *grid)``, float32 or float64.

    Raises:
        UsageError: if the number of axes does not fit ``dimensions`` of the grid.
        DataError: if there are no samples.
    """
    tensor = _floating(fields)
    if tensor.ndim - 2 not in dimensions:
        expected = " or ".join(f"(samples, channels{', cells' * d})" for d in dimensions)
        raise UsageError(f"fields of shape {tuple(tensor.shape)} were given; the shape must be {expected}")
    if tensor.numel() == 0:
        raise DataError(f"fields of shape {tuple(tensor.shape)} hold no values; give at least one sample")
    return tensor


def as_vectors(samples: Array, least: int = 1) -> Tensor:
    """Samples as vectors, shape ``(samples, dim)``; whatever follows the first axis is flattened.

    Raises:
        UsageError: if there is no sample axis.
        DataError: if there are fewer than ``least`` samples.
    """
    tensor = _floating(samples)
    if tensor.ndim == 0:
        raise UsageError("a single number was given; samples must have shape (samples, dim)")
    tensor = tensor[:, None] if tensor.ndim == 1 else tensor.flatten(1)
    if len(tensor) < least or tensor.numel() == 0:
        raise DataError(f"{len(tensor)} samples were given; this statistic needs at least {least}")
    return tensor


def same_device(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets where the first one lies, in the wider of their precisions.

    Raises:
        UsageError: if one sample of the first has another shape than one of the second.
    """
    if x.shape[1:] != y.shape[1:]:
        raise UsageError(
            f"samples of shapes {tuple(x.shape[1:])} and {tuple(y.shape[1:])} were given; "
            "two sets can be compared only if their samples have the same shape"
        )
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(x.device, dtype)


def wide_type(tensor: Tensor) -> torch.dtype:
    """float64, or float32 on a device that has no wider type: what sums are taken in."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def wide(tensor: Tensor) -> Tensor:
    """``tensor`` in `wide_type`."""
    return tensor.to(wide_type(tensor))


def binary_unit(fields: Float[Tensor, "samples channels *grid"]) -> Float[Tensor, " channels"]:
    """For each channel a power of two near its largest value, which squares and cubes of the values are taken in.

    Densities in grams per cubic centimetre or masses in solar masses would leave the range of float32 otherwise;
    division by a power of two costs no digit.
    """
    axes = tuple(axis for axis in range(fields.ndim) if axis != 1)
    largest = torch.maximum(fields.amax(axes), -fields.amin(axes))
    usable = (largest > 0) & largest.isfinite()
    return torch.where(usable, largest, 1.0).log2().floor().exp2()


def chunks(count: int, values_each: int, budget: int = CHUNK_VALUES) -> Iterator[slice]:
    """Slices over ``count`` samples, each of about ``budget`` values when a sample needs ``values_each``."""
    size = max(1, budget // max(1, values_each))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _floating(values: Array) -> Tensor:
    tensor = torch.as_tensor(values).detach()
    if tensor.is_complex():
        raise UsageError(f"values of type {tensor.dtype} were given; statistics are of real samples")
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
