"""Registry of the families: the module of each, and a summary for its choice.

It imports no family, so that listing them is fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from pushforward.errors import UsageError
from pushforward.plugins import load_plugin, plugins

if TYPE_CHECKING:
    from pushforward.models.model import Model

__all__ = ["KINDS", "REGISTRY", "SOURCES", "Family", "families", "find", "model_class", "register_model", "registered"]

KINDS = ("vector", "field", "particles", "series", "trajectory")
"""Kinds of sample."""
SOURCES = ("ensemble", "pair", "energy", "teacher", "trajectories")
"""Kinds of source."""


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        target: the class, or ``module:class`` below `pushforward.models`.
        summary: one line for `pushforward models`.
        paper: its reference.
        spaces: kinds of space that it learns.
        sources: kinds of source that it learns from (see `pushforward.ensembles.source`).
        problem: reason why it cannot be used; empty if it can.
    """

    target: str | type[Model]
    summary: str
    paper: str = ""
    spaces: tuple[str, ...] = ("vector", "field")
    sources: tuple[str, ...] = ("ensemble",)
    problem: str = ""

    def load(self) -> type[Model]:
        """The class of the family, imported on demand.

        Raises:
            UsageError: if it cannot be used.
        """
        if self.problem:
            raise UsageError(self.problem)
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        return getattr(import_module(f"pushforward.models.{module}"), attribute)


REGISTRY: dict[str, Family] = {
    "flow-matching": Family(
        "flow_matching:FlowMatching",
        "velocity of a straight path from noise to data; the best default for fields",
        "https://arxiv.org/abs/2210.02747",
        sources=("ensemble", "teacher"),
        spaces=("vector", "field", "particles"),
    ),
    "ot-flow-matching": Family(
        "ot_flow_matching:OTFlowMatching",
        "flow matching with noise paired to the data by optimal transport; straighter paths, fewer steps",
        "https://arxiv.org/abs/2302.00482",
        spaces=("vector", "field", "particles"),
    ),
    "yukawa": Family(
        "yukawa:Yukawa",
        "screened Poisson process: noise that is Cauchy near the data and normal far away",
        "https://arxiv.org/abs/2304.02637",
    ),
    "ddpm": Family(
        "ddpm:DDPM",
        "denoising diffusion: removes Gaussian noise step by step",
        "https://arxiv.org/abs/2006.11239",
        spaces=("vector", "field", "particles"),
    ),
    "edm": Family(
        "edm:EDM",
        "diffusion with a preconditioned network, trained where noise levels matter most",
        "https://arxiv.org/abs/2206.00364",
        spaces=("vector", "field", "particles"),
    ),
    "pfgm++": Family(
        "pfgm:PFGMPlusPlus",
        "Poisson flow in D extra dimensions: EDM with Student-t noise; robust at moderate D",
        "https://arxiv.org/abs/2302.04265",
    ),
    "pfgm": Family(
        "pfgm:PFGM",
        "Poisson flow with one extra dimension, PFGM++ with D = 1",
        "https://arxiv.org/abs/2209.11178",
    ),
    "consistency": Family(
        "consistency:Consistency",
        "the end of a flow in one or two network calls; alone, or distilled from a trained model (teacher=RUN)",
        "https://arxiv.org/abs/2303.01469",
        sources=("ensemble", "teacher"),
    ),
    "between": Family(
        "bridge:Bridge",
        "flow between two unpaired ensembles (--and names the other); translates in both directions",
        "https://arxiv.org/abs/2209.03003",
        sources=("pair",),
    ),
    "cyclegan": Family(
        "cyclegan:CycleGAN",
        "translators in both directions between two unpaired ensembles, with a critic of each; one network call",
        "https://arxiv.org/abs/1703.10593",
        sources=("pair",),
    ),
    "cut": Family(
        "cut:CUT",
        "adversarial translators with a contrastive loss of patches, without a cycle; maps and cubes, one way or both",
        "https://arxiv.org/abs/2007.15651",
        spaces=("field",),
        sources=("pair",),
    ),
    "schrodinger-bridge": Family(
        "schrodinger_bridge:SchrodingerBridge",
        "most likely diffusion between two unpaired ensembles, by iterated bridges; random or along its flow",
        "https://arxiv.org/abs/2303.16852",
        sources=("pair",),
    ),
    "diffusion-bridge": Family(
        "diffusion_bridge:DiffusionBridge",
        "a flow of each of two unpaired ensembles, joined at the noise level at which their spectra agree",
        "https://arxiv.org/abs/2305.01822",
        sources=("pair",),
    ),
    "gan": Family(
        "gan:GAN",
        "generator against a classifier; may lose modes, included for comparison",
        "https://arxiv.org/abs/1406.2661",
    ),
    "wgan": Family(
        "wgan:WGAN",
        "generator against a Wasserstein critic with bounded weights",
        "https://arxiv.org/abs/1701.07875",
    ),
    "wgan-gp": Family(
        "wgan:WGANGP",
        "generator against a Wasserstein critic with gradient penalty; one network call per sample",
        "https://arxiv.org/abs/1704.00028",
    ),
    "r3gan": Family(
        "r3gan:R3GAN",
        "generator against a relativistic critic, flat on data and samples; keeps modes, one network call per sample",
        "https://arxiv.org/abs/2501.05441",
    ),
    "drifting": Family(
        "drifting:Drifting",
        "one-step generator without an adversary: samples drift to the data and from each other",
        "https://arxiv.org/abs/2602.04770",
    ),
    "realnvp": Family(
        "realnvp:RealNVP",
        "invertible affine couplings; exact density and exact latent codes",
        "https://arxiv.org/abs/1605.08803",
        sources=("ensemble", "energy"),
    ),
    "nsf": Family(
        "nsf:NSF",
        "invertible spline couplings: exact density and codes, several modes with fewer layers than realnvp",
        "https://arxiv.org/abs/1906.04032",
        sources=("ensemble", "energy"),
    ),
    "maf": Family(
        "maf:MAF",
        "each number given the previous ones; exact density in one pass, samples number by number",
        "https://arxiv.org/abs/1705.07057",
        spaces=("vector",),
        sources=("ensemble", "energy"),
    ),
    "iaf": Family(
        "iaf:IAF",
        "inverse of maf: samples in one pass, densities number by number",
        "https://arxiv.org/abs/1606.04934",
        spaces=("vector",),
        sources=("ensemble", "energy"),
    ),
    "glow": Family(
        "glow:Glow",
        "invertible couplings of channels at several scales of a map or a cube; exact density and codes",
        "https://arxiv.org/abs/1807.03039",
        spaces=("field",),
        sources=("ensemble", "energy"),
    ),
    "trenf": Family(
        "trenf:TRENF",
        "a likelihood of periodic isotropic fields that commutes with shifts and rotations; few parameters",
        "https://arxiv.org/abs/2202.05282",
        spaces=("field",),
        sources=("ensemble", "energy"),
    ),
    "tarflow": Family(
        "tarflow:TarFlow",
        "causal transformers over patches that scale and shift: exact density, samples token by token",
        "https://arxiv.org/abs/2412.06329",
    ),
    "autoregressive": Family(
        "autoregressive:Autoregressive",
        "each number given those before it, by a causal transformer; exact densities, exact bits of discrete values",
        "https://arxiv.org/abs/1701.05517",
    ),
    "cnf": Family(
        "cnf:CNF",
        "flow in time by a learnt velocity; exact density and codes of vectors and particles",
        "https://arxiv.org/abs/1810.01367",
        ("vector", "particles"),
    ),
    "vae": Family(
        "vae:VAE",
        "variational autoencoder: a low-dimensional latent code per sample",
        "https://arxiv.org/abs/1312.6114",
    ),
    "hybrid-nbody": Family(
        "hybrid_nbody:HybridNBody",
        "coarse particle-mesh gravity with a learnt correction towards a finer simulation; evolves initial conditions",
        "https://arxiv.org/abs/2207.05509",
        spaces=("trajectory",),
        sources=("trajectories",),
    ),
    "latent-ode": Family(
        "latent_ode:LatentODE",
        "latent state with a learnt differential equation; forecasts with bands",
        "https://arxiv.org/abs/1907.03907",
        spaces=("series",),
    ),
}


def register_model(name: str, model: type[Model] | Family, summary: str = "") -> Family:
    """Register a family under a name, like the built-in ones.

    >>> register_model("my-flow", MyFlow, "a flow of mine")  # doctest: +SKIP

    Arguments:
        name: in lower case, with hyphens.
        model: its class, which may have ``spaces`` and ``sources`` like a `Family`; or a `Family`.
        summary: one line; by default the first line of the class's docstring.

    Raises:
        UsageError: if the name is taken by another family, or the model is not a class.
    """
    if not isinstance(model, Family | type):
        raise UsageError(f"a model is a class derived from pushforward.Model or the name of one, not {model!r}")
    entry = model if isinstance(model, Family) else _entry_of(model, summary)
    if name in REGISTRY and REGISTRY[name].target != entry.target:
        raise UsageError(f"there is a family called {name!r} already; choose another name")
    REGISTRY[name] = entry
    return entry


def _entry_of(model: type[Model], summary: str) -> Family:
    first = (model.__doc__ or "").strip().partition("\n")[0]
    return Family(
        model,
        summary or first or model.__name__,
        spaces=getattr(model, "spaces", KINDS),
        sources=getattr(model, "sources", ("ensemble",)),
    )


def registered() -> dict[str, Family]:
    """All families by name: built-in, registered, and from installed packages."""
    for name in plugins("models"):
        if name not in REGISTRY:
            try:
                register_model(name, load_plugin("models", name))
            except UsageError as problem:
                REGISTRY[name] = Family("", f"cannot be used: {problem}", spaces=(), problem=str(problem))
    return REGISTRY


def find(name: str) -> Family:
    """The entry of a family.

    Raises:
        UsageError: if the name is unknown.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    known = registered()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        listed = ", ".join(known)
        raise UsageError(
            f"there is no model called {name!r}; {hint}known models are {listed}; an installed package or "
            "register_model adds others"
        )
    return known[name]


def model_class(name: str) -> type[Model]:
    """The class of a family, imported on demand.

    Raises:
        UsageError: if the name is unknown.
    """
    return find(name).load()


def families() -> dict[str, type[Model]]:
    """The class of every family that can be used, by name; imports all of them."""
    return {name: entry.load() for name, entry in registered().items() if not entry.problem}
