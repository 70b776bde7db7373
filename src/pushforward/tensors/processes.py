"""Rows of all processes of a run."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["joined_rows"]


def joined_rows(x: Tensor) -> Tensor:
    """The rows of every process, in the order of their ranks; of a single process, ``x`` itself.

    Arguments:
        x: this process's rows, as many as every other has.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)
