"""Galleries of fields: samples beside data, and beside the training members that are nearest to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pushforward.spaces import Field
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.labels import column_units, length_unit, value_label
from pushforward.validation.scales import Values
from pushforward.validation.style import FIELD_MAP, encode, encode_cells, styled
from pushforward.validation.wording import number

if TYPE_CHECKING:
    from pushforward.ensembles import Parameter
    from pushforward.validation.common_statistics import Neighbours

__all__ = [
    "ColourScale",
    "Gallery",
    "Tile",
    "condition_text",
    "field_galleries",
    "neighbour_gallery",
    "shown_fields",
    "side_text",
    "spread",
]

SAMPLES = "Samples beside data"
SHOWN = 8
MOST_CHANNELS = 4


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
        side: length of a side of each picture, with its unit.
    """

    title: str
    names: tuple[str, ...]
    tiles: tuple[Tile, ...]
    scale: str
    caption: str
    side: str = ""


def condition_text(parameters: Sequence[Parameter], row: np.ndarray | None) -> str:
    """The condition of one sample in words: ``Omega_m = 0.31, sigma_8 = 0.82``."""
    if row is None:
        return ""
    parts = []
    for parameter, value in zip(parameters, row, strict=True):
        text = str(parameter.classes[round(float(value))]) if parameter.classes else number(float(value))
        parts.append(f"{parameter.name} = {text}")
    return ", ".join(parts)


def field_galleries(data: EvaluationData[Field]) -> list[Gallery]:
    """Generated samples beside test members at the same conditions, spread over the range of the first of them.

    One gallery for each channel, up to `MOST_CHANNELS`.
    """
    channels = data.space.channels
    return [_gallery(data, channel) for channel in range(min(channels, MOST_CHANNELS))]


def _gallery(data: EvaluationData[Field], channel: int) -> Gallery:
    space, tiles = data.space, []
    scale = ColourScale(data.test, channel, column_units(data)[channel])
    fields = data.refined
    of_fields = None if fields is None else ColourScale(fields[: data.count])
    for row in spread(data):
        text = condition_text(data.parameters, None if data.conditions is None else data.conditions[row])
        given = "" if of_fields is None or fields is None else of_fields.picture(fields[row])
        tiles.append(Tile(scale.picture(data.test[row]), scale.picture(data.generated[row]), text, given))
    if data.given is not None:
        caption = (
            "The field that each was given with (on its own scale), the unseen truth, and a sample: alike where the "
            "field decides, unlike in what it leaves open."
        )
    elif data.conditions is None:
        caption = "Real members, picked at random, and generated samples; nothing else connects the two of a pair."
    else:
        caption = "Unseen real members, and generated samples at the same conditions: alike in kind, not in detail."
    if len(space.grid) == 3:
        caption += " Each picture is the mean along the first axis of a cube."
    if space.channels > MOST_CHANNELS and channel == MOST_CHANNELS - 1:
        caption += f" {MOST_CHANNELS} of {space.channels} channels are shown."
    return Gallery(
        SAMPLES if space.channels == 1 else f"Channel {channel + 1}",
        ("real", "generated") if of_fields is None else ("given", "truth", "generated"),
        tuple(tiles),
        scale.bar(),
        caption + " One colour scale.",
        side_text(data),
    )


def side_text(data: EvaluationData[Field]) -> str:
    """Length of the horizontal side of a map, such as ``25 Mpc/h`` or ``64 cells``."""
    space = data.space
    if not space.box:
        return f"{space.grid[-1]} cells"
    side = space.box * space.grid[-1] / space.grid[0]
    return f"{side:.4g} {length_unit(data)}".rstrip()


def neighbour_gallery(data: EvaluationData[Field], neighbours: Neighbours) -> Gallery:
    """The generated samples that are nearest to a training member, and that member moved and turned to fit them."""
    # Near members are often faint: the colour scale is that of the members shown.
    scale, tiles = ColourScale(np.asarray(neighbours.twins), 0, column_units(data)[0]), []
    for row, twin in zip(neighbours.rows, neighbours.twins, strict=True):
        space = data.space
        if space.periodic:
            twin = _aligned(twin, data.generated[row], turn=space.isotropic)
        text = f"distance {number(float(neighbours.generated[row]), 2)}"
        tiles.append(Tile(scale.picture(data.generated[row]), scale.picture(twin), text))
    return Gallery(
        "Nearest training members",
        ("generated", "nearest in training"),
        tuple(tiles),
        scale.bar(),
        "The generated samples that come nearest to a training member, beside that member (moved, turned and "
        "mirrored to fit where the symmetry of the data allows). A pair that agrees in detail is a copy."
        + (" The first channel is shown." if data.space.channels > 1 else ""),
        side_text(data),
    )


class ColourScale:
    """Colour scale of one channel, shared by all pictures and fitted to real members.

    Arguments:
        fields: shape (samples, channels, *grid).
        channel: the one that is shown.
        unit: of its values; empty if unknown.
    """

    def __init__(self, fields: np.ndarray, channel: int = 0, unit: str = "") -> None:
        self.channel, self.unit = channel, unit
        self.values = Values.fit(fields[:, channel : channel + 1])
        shown = self.values(fields[:64, channel : channel + 1])
        self.low, self.high = (float(bound) for bound in np.quantile(shown, [0.002, 0.998]))

    def picture(self, sample: np.ndarray) -> str:
        """The channel of one sample; a cube is seen as the mean along its first axis."""
        cells = self.values(sample[None, self.channel : self.channel + 1])[0, 0]
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
            mappable = ScalarMappable(Normalize(self.low, self.high), FIELD_MAP)
            figure.colorbar(
                mappable, cax=axes, orientation="horizontal", label=value_label(self.unit, self.values.logarithmic)
            )
            return encode(figure)


def spread(data: EvaluationData) -> np.ndarray:
    """Rows of test members to show: evenly over the order of the first parameter, or over the members."""
    order = np.arange(data.count)
    if data.conditions is not None:
        order = np.argsort(data.conditions[: data.count, 0], kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))]


def shown_fields(data: EvaluationData) -> tuple[np.ndarray, tuple[str, ...]]:
    """Rows of the fields that a comparison shows, and their conditions in words."""
    rows, conditions = spread(data), data.conditions
    return rows, tuple(condition_text(data.parameters, None if conditions is None else conditions[row]) for row in rows)


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
