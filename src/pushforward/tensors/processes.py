"""Rows gathered over the processes of a run."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["joined_rows"]


def joined_rows(x: Tensor) -> Tensor:
    """Rows of all processes in rank order; in a single process, ``x`` itself.

    Arguments:
        x: this process's rows, equally many in every process.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    parts = [torch.empty_like(x) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)
