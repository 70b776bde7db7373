"""Pictures of samples and data: fields, and panels of vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.spaces import Field, Vector
from pushforward.validation.evaluation_data import Material
from pushforward.validation.scales import Values
from pushforward.validation.style import (
    FIELD_MAP,
    GENERATED,
    REAL,
    Picture,
    encode,
    encode_cells,
    styled,
)
from pushforward.validation.wording import number

if TYPE_CHECKING:
    from pushforward.ensembles import Parameter
    from pushforward.validation.common_statistics import Neighbours

__all__ = [
    "ColourScale",
    "Gallery",
    "Tile",
    "condition_text",
    "density_picture",
    "field_gallery",
    "neighbour_gallery",
    "particle_pictures",
    "shown_fields",
    "spread",
    "vector_pictures",
]

SHOWN = 8
DRAWN_POINTS = 3000
CORNER = 6


@dataclass(frozen=True)
class Tile:
    """Two pictures that belong together, and their label; sources are data URIs.

    ``given`` is the picture of their condition field, if there is one.
    """

    left: str
    right: str
    text: str
    given: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pairs of pictures on one scale of colour.

    Attributes:
        names: what is on the left and on the right of each tile, after what is given, where something is.
        scale: picture of the scale of colour, as a data URI.
    """

    title: str
    names: tuple[str, ...]
    tiles: tuple[Tile, ...]
    scale: str
    caption: str


def condition_text(parameters: Sequence[Parameter], row: np.ndarray | None) -> str:
    """The condition of one sample in words: ``Omega_m = 0.31, sigma_8 = 0.82``."""
    if row is None:
        return ""
    parts = []
    for parameter, value in zip(parameters, row, strict=True):
        text = str(parameter.classes[round(float(value))]) if parameter.classes else number(float(value))
        parts.append(f"{parameter.name} = {text}")
    return ", ".join(parts)


def field_gallery(material: Material) -> Gallery:
    """Generated samples beside test members at the same conditions, spread over the range of the first of them."""
    rows = spread(material)
    tiles = []
    scale = ColourScale(material.test)
    fields = material.refined
    of_fields = None if fields is None else ColourScale(fields[: material.count])
    for row in rows:
        text = condition_text(material.parameters, None if material.conditions is None else material.conditions[row])
        given = "" if of_fields is None or fields is None else of_fields.picture(fields[row])
        tiles.append(Tile(scale.picture(material.test[row]), scale.picture(material.generated[row]), text, given))
    if material.given is not None:
        caption = (
            "The field that each was given with (on its own scale), the unseen truth, and a sample: alike where the "
            "field decides, unlike in what it leaves open."
        )
    elif material.conditions is None:
        caption = "Real members, picked at random, and generated samples; nothing else connects the two of a pair."
    else:
        caption = "Unseen real members, and generated samples at the same conditions: alike in kind, not in detail."
    return Gallery(
        "Samples beside data",
        ("real", "generated") if of_fields is None else ("given", "truth", "generated"),
        tuple(tiles),
        scale.bar(),
        caption + " One colour scale.",
    )


def neighbour_gallery(material: Material[Field], neighbours: Neighbours) -> Gallery:
    """The generated samples that are nearest to a training member, and that member moved and turned to fit them."""
    scale, tiles = ColourScale(material.test), []
    for row, twin in zip(neighbours.rows, neighbours.twins, strict=True):
        space = material.space
        if space.periodic:
            twin = _aligned(twin, material.generated[row], turn=space.isotropic)
        text = f"distance {number(float(neighbours.generated[row]), 2)}"
        tiles.append(Tile(scale.picture(material.generated[row]), scale.picture(twin), text))
    return Gallery(
        "Nearest training members",
        ("generated", "nearest in training"),
        tuple(tiles),
        scale.bar(),
        "The generated samples that come nearest to a training member, beside that member (moved, turned and "
        "mirrored to "
        "fit where the symmetry of the data allows). A pair that agrees in detail is a copy.",
    )


def vector_pictures(material: Material[Vector]) -> list[Picture]:
    """Scatter of real and generated points: two panels in two dimensions, a corner of pairs in more."""
    from matplotlib.figure import Figure

    from pushforward.validation.vectors import coordinate_names

    space = material.space
    names = coordinate_names(space)[:CORNER]
    if space.dim == 1:
        return []
    real, generated = material.test[:DRAWN_POINTS], material.generated[:DRAWN_POINTS]
    low, high = np.quantile(material.test, [0.001, 0.999], axis=0)
    margin = 0.12 * (high - low)
    low, high = low - margin, high + margin
    size = float(np.clip(90 / np.sqrt(len(real)), 0.8, 8))
    dots: dict[str, Any] = {"s": size, "lw": 0, "alpha": 0.6}
    with styled():
        if space.dim == 2:
            figure = Figure(figsize=(8.6, 4.3))
            for axes, points, colour, title in zip(
                figure.subplots(1, 2, sharex=True, sharey=True),
                (real, generated),
                (REAL, GENERATED),
                ("Real", "Generated"),
                strict=True,
            ):
                axes.scatter(points[:, 0], points[:, 1], color=colour, **dots)
                axes.set_title(title)
                axes.set_xlim(low[0], high[0])
                axes.set_ylim(low[1], high[1])
                axes.set_xlabel(names[0])
            figure.axes[0].set_ylabel(names[1])
            caption = "As many generated points as real ones. Look for bridges between modes, missing arms, and blur."
        else:
            count = len(names)
            figure = Figure(figsize=(8.6, 8.6))
            panels = figure.subplots(count, count, squeeze=False)
            for row in range(count):
                for column in range(count):
                    axes = panels[row, column]
                    axes.set_xlim(low[column], high[column])
                    if row == column:
                        for points, colour in ((real, REAL), (generated, GENERATED)):
                            bins = np.linspace(low[row], high[row], 40).tolist()
                            axes.hist(points[:, row], bins, density=True, histtype="step", color=colour, lw=1.4)
                        axes.set_yticks([])
                    else:
                        points, colour = (real, REAL) if row > column else (generated, GENERATED)
                        axes.scatter(points[:, column], points[:, row], color=colour, **dots)
                        axes.set_ylim(low[row], high[row])
                    axes.tick_params(labelsize=6, labelbottom=row == count - 1, labelleft=column == 0 and row > 0)
                    if row == count - 1:
                        axes.set_xlabel(names[column])
                    if column == 0:
                        axes.set_ylabel(names[row])
            caption = (
                "Below the diagonal: real (black); above it: generated (blue); on it: both. Panels that mirror each "
                "other "
                "should look the same."
            )
        return [
            Picture("Samples beside data", encode(figure), caption, "Scatter of real and generated points", wide=True)
        ]


def density_picture(
    material: Material[Vector], log_prob: Callable[[np.ndarray], np.ndarray], cells: int = 160
) -> Picture:
    """Map of the model's log-density over the plane, with real points on it."""
    from matplotlib.figure import Figure

    from pushforward.validation.vectors import coordinate_names

    names = coordinate_names(material.space)
    low, high = np.quantile(material.test, [0.001, 0.999], axis=0)
    margin = 0.25 * (high - low)
    low, high = low - margin, high + margin
    axes_values = [np.linspace(low[i], high[i], cells) for i in range(2)]
    grid = np.stack(np.meshgrid(*axes_values, indexing="xy"), axis=-1).reshape(-1, 2).astype(np.float32)
    values = log_prob(grid).reshape(cells, cells)
    top = float(np.nanmax(values))
    with styled():
        figure = Figure(figsize=(5.2, 4.2))
        axes = figure.add_subplot()
        extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
        image = axes.imshow(
            values, origin="lower", extent=extent, aspect="auto", cmap="viridis", vmin=top - 10, vmax=top
        )
        axes.scatter(material.test[:400, 0], material.test[:400, 1], s=2, color="white", lw=0, alpha=0.7)
        axes.set_xlabel(names[0])
        axes.set_ylabel(names[1])
        figure.colorbar(image, ax=axes, label="log-density [nats]")
        return Picture(
            "Log-density of the model",
            encode(figure),
            "The model's own log-density, down to ten nats below its maximum, with unseen real points. Bright ground "
            "without points is probability wasted; points on dark ground are surprises.",
            "Map of the model's log-density",
        )


class ColourScale:
    """Colour scale shared by all pictures, fitted to real members.

    Arguments:
        fields: shape (samples, channels, *grid).
    """

    def __init__(self, fields: np.ndarray) -> None:
        self.values = Values.fit(fields)
        shown = self.values(fields[:64])
        self.low, self.high = (float(bound) for bound in np.quantile(shown[:, 0], [0.002, 0.998]))

    def picture(self, sample: np.ndarray) -> str:
        """The first channel of one sample; a cube is seen as the mean along its first axis."""
        cells = self.values(sample[None])[0, 0]
        if cells.ndim == 3:
            cells = cells.mean(axis=0)
        return encode_cells(np.atleast_2d(cells), self.low, self.high)

    def bar(self) -> str:
        """A picture of the scale, as a data URI."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure

        with styled():
            figure = Figure(figsize=(3.6, 0.55))
            axes = figure.add_subplot()
            label = "ln(value)" if self.values.logarithmic else "value"
            mappable = ScalarMappable(Normalize(self.low, self.high), FIELD_MAP)
            figure.colorbar(mappable, cax=axes, orientation="horizontal", label=label)
            return encode(figure)


def spread(material: Material) -> np.ndarray:
    """Rows of test members to show: evenly over the order of the first parameter, or over the members."""
    order = np.arange(material.count)
    if material.conditions is not None:
        order = np.argsort(material.conditions[: material.count, 0], kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))]


def shown_fields(material: Material) -> tuple[np.ndarray, tuple[str, ...]]:
    """Rows of the fields that a comparison shows, and their conditions in words."""
    rows, conditions = spread(material), material.conditions
    return rows, tuple(
        condition_text(material.parameters, None if conditions is None else conditions[row]) for row in rows
    )


def _aligned(field: np.ndarray, target: np.ndarray, turn: bool) -> np.ndarray:
    """A periodic field moved (and, if isotropic, turned and mirrored) to where it correlates best with ``target``."""
    axes = tuple(range(1, field.ndim))
    wanted = np.fft.rfftn(target - target.mean(), axes=axes)
    square = field.ndim == 3 and field.shape[1] == field.shape[2]
    candidates = [field]
    if turn and square:
        candidates = [np.rot90(f, turns, (1, 2)) for f in (field, np.flip(field, 1)) for turns in range(4)]
    best, found = -np.inf, field
    for candidate in candidates:
        spectrum = np.conj(np.fft.rfftn(candidate - candidate.mean(), axes=axes)) * wanted
        likeness = np.fft.irfftn(spectrum, s=field.shape[1:], axes=axes).sum(axis=0)
        if likeness.max() > best:
            best = likeness.max()
            found = np.roll(candidate, np.unravel_index(int(likeness.argmax()), likeness.shape), axis=axes)
    return found


def particle_pictures(material: Material) -> list[Picture]:
    """A few configurations, particles as dots in the plane of the first two axes."""
    from matplotlib.figure import Figure

    if material.real.shape[2] < 2:
        return []
    with styled():
        figure = Figure(figsize=(8.6, 4.6))
        panels = figure.subplots(2, SHOWN // 2, sharex=True, sharey=True)
        for row, (x, colour, title) in enumerate(
            ((material.test, REAL, "Real"), (material.generated, GENERATED, "Generated"))
        ):
            for axes, each in zip(panels[row], x[: SHOWN // 2], strict=False):
                axes.scatter(each[:, 0], each[:, 1], color=colour, s=14, lw=0)
                axes.set_aspect("equal", adjustable="box")
            panels[row, 0].set_ylabel(f"{title}: second axis")
        panels[-1, 0].set_xlabel("first axis")
        return [
            Picture(
                "Samples beside data",
                encode(figure),
                "Configurations picked at random, seen along the remaining axes. Look for particles that overlap.",
                "Real and generated configurations of particles",
                wide=True,
            )
        ]
