"""Networks of a user's own: a class in a module, named ``module:Class``, in place of a built-in one.

>>> class Shrink(torch.nn.Module):                     # in shrink.py
...     def __init__(self, space, condition, width=64):
...         super().__init__()
...         self.factor = torch.nn.Parameter(torch.zeros(space.shape))
...
...     def forward(self, x, t, condition=None):       # x (batch, *space.shape), t (batch,), condition a `Condition`
...         return self.factor * x

    pushforward fit maps.npy --model flow-matching --set network=shrink

The module must be one that Python can import. Training also looks in the current folder; loading a run does not, since
what a run directory names is not trusted to be run from where it lies.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from inspect import signature
from typing import Any

import torch
from torch import nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.spaces import Space

__all__ = ["custom_network", "network_class", "search_here"]


def search_here() -> None:
    """Let modules of the current folder be imported, after all others."""
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())


def network_class(name: str) -> type[nn.Module]:
    """The class that ``module:Class`` names, or the only network that ``module`` defines.

    Raises:
        UsageError: if there is none.
    """
    path, _, wanted = name.partition(":")
    try:
        module = import_module(path)
    except ModuleNotFoundError as problem:
        if problem.name is None or not (path == problem.name or path.startswith(f"{problem.name}.")):
            raise UsageError(f"the module of network={name} cannot be imported: {problem}") from None
        raise UsageError(
            f"there is no network called {path!r} and no module of that name; put the folder of {path}.py on PYTHONPATH"
        ) from None
    except Exception as problem:
        raise UsageError(
            f"the module of network={name} cannot be imported: {type(problem).__name__}: {problem}"
        ) from None
    if wanted:
        found = [getattr(module, wanted, None)]
    else:
        found = [each for each in vars(module).values() if getattr(each, "__module__", None) == path]
    networks = [each for each in found if isinstance(each, type) and issubclass(each, nn.Module)]
    if len(networks) != 1:
        names = ", ".join(each.__name__ for each in networks) or "none"
        raise UsageError(
            f"{path} has no class {wanted} that is a torch.nn.Module"
            if wanted
            else f"{path} must define one torch.nn.Module, and defines {names}; name one as network={path}:CLASS"
        )
    return networks[0]


def custom_network(name: str, space: Space, condition: ConditionSpace, options: dict[str, Any]) -> nn.Module:
    """An instance of `network_class`, made as ``Class(space, condition, **options)`` and called once as a check.

    Raises:
        UsageError: if it cannot be made or called, takes another option, or answers in another shape.
    """
    kind = network_class(name)
    unknown = [option for option in options if not _takes(kind, option)]
    if unknown:
        raise UsageError(f"network={name} takes no {unknown[0]}; leave it out")
    try:
        network = kind(space, condition, **options)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            shape = tuple(network(torch.zeros(2, *space.shape), torch.full((2,), 0.5), _unknown(condition)).shape)
    except UsageError:
        raise
    except Exception as problem:
        raise UsageError(
            f"network={name} does not work as CLASS(space, condition)(x, t, condition): "
            f"{type(problem).__name__}: {str(problem).partition(chr(10))[0]}"
        ) from None
    if shape != (2, *space.shape):
        raise UsageError(
            f"network={name} answers in shape {shape} where samples are {(2, *space.shape)}; make them alike"
        )
    return network


def _takes(kind: type[nn.Module], option: str) -> bool:
    parameters = signature(kind).parameters
    return option in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def _unknown(space: ConditionSpace) -> Condition | None:
    """Two rows of a condition that are not told."""
    if not space:
        return None
    numbers = torch.full((2, space.numbers), torch.nan) if space.numbers else None
    return Condition(numbers, None if space.field is None else torch.full((2, *space.field.shape), torch.nan))
