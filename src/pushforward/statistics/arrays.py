"""Arguments of the statistics: conversion of arrays to tensors, and division into chunks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import DataError, UsageError

__all__ = [
    "Array",
    "FieldArray",
    "as_fields",
    "as_tensor",
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


def as_tensor(values: Any) -> Tensor:
    """Array, tensor or sequence of numbers as a tensor without a gradient; shares memory where it can.

    NumPy arrays in the other byte order, with negative strides or in extended precision are converted; masked values
    become NaN.

    Raises:
        UsageError: if the values are not numbers.

    Example:
        >>> as_tensor(np.arange(3, dtype=">f4")[::-1])
        tensor([2., 1., 0.])
    """
    if isinstance(values, Tensor):
        return values.detach().as_subclass(Tensor)
    array = np.ma.filled(values.astype(float), np.nan) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    if array.dtype.kind not in "biufc":
        raise UsageError(f"values of type {array.dtype} were given; give numbers")
    native = np.float64 if array.dtype == np.longdouble else array.dtype.newbyteorder("=")
    array = array.astype(native, copy=False)
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    with warnings.catch_warnings():
        # Statistics do not write to their arguments, so a read-only array may share its memory.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.as_tensor(array)


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
        raise DataError(f"fields of shape {tuple(tensor.shape)} have no values; give at least one sample")
    return tensor


def as_vectors(samples: Array, least: int = 1) -> Tensor:
    """Samples as vectors, shape ``(samples, dim)``; all axes after the first are flattened.

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
    """Both sets on the device of the first, in the higher of their precisions.

    Raises:
        UsageError: if one sample of the first has another shape than one of the second.
    """
    if x.shape[1:] != y.shape[1:]:
        raise UsageError(
            f"samples of shapes {tuple(x.shape[1:])} and {tuple(y.shape[1:])} were given; "
            "give two sets with samples of the same shape"
        )
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(x.device, dtype)


def wide_type(tensor: Tensor) -> torch.dtype:
    """Type of sums: float64, or float32 on a device without float64."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def wide(tensor: Tensor) -> Tensor:
    """``tensor`` in `wide_type`."""
    return tensor.to(wide_type(tensor))


def binary_unit(fields: Float[Tensor, "samples channels *grid"]) -> Float[Tensor, " channels"]:
    """Power of two near the largest value of each channel, as a unit for squares and cubes of the values.

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
    tensor = as_tensor(values)
    if tensor.is_complex():
        raise UsageError(f"values of type {tensor.dtype} were given; give real numbers")
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    # float32 holds whole numbers exactly to 24 bits only.
    exact_in_single = tensor.dtype.is_floating_point or tensor.dtype == torch.bool or tensor.dtype.itemsize <= 2
    return tensor.float() if exact_in_single else wide(tensor)
