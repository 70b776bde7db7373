"""Training defaults of models made of causal transformers."""

from __future__ import annotations

from typing import Any

from pushforward.spaces import Space

__all__ = ["causal_defaults"]


def causal_defaults(space: Space) -> dict[str, Any]:
    """Settings of the training loop for causal transformers over the tokens of vectors or fields.

    With Adam their layers hardly move for hundreds of steps. Batches are small since each sample is many tokens.
    """
    return {"learning_rate": 1e-2, "optimiser": "muon", "batch_size": 32 if space.grid else 128, "gradient_clip": 1.0}
