"""Ensemble: samples of one Space with their conditions, and the groups that stay together in a split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.centring import at_centre, told_by_centres
from pushforward.ensembles.checks import check_batch, check_conditions, check_ensemble, too_few
from pushforward.ensembles.condition_fields import MembersWithFields, with_condition_fields
from pushforward.ensembles.members import Generators, Members, Subset, Whole
from pushforward.ensembles.precision import narrowed
from pushforward.ensembles.shapes import layout_of
from pushforward.ensembles.stores import InMemory, Rows, unmasked
from pushforward.errors import DataError
from pushforward.spaces import Field, Space, space_to_dict
from pushforward.tensors.samples import Samples

__all__ = ["Ensemble", "Parameter"]

HELD_OUT = 0.1
"""Fraction of the groups for validation, and the same for the test."""


@dataclass(frozen=True)
class Parameter:
    """One condition: a named physical parameter, or a label.

    Attributes:
        name: name given by the user.
        classes: names of the label's classes; a column of conditions then holds the index of the class. Empty for a
            continuous parameter.
    """

    name: str
    classes: tuple[str, ...] = ()


class Ensemble:
    """Samples of one Space, read on demand.

    >>> ensemble = Ensemble.from_array(np.random.default_rng(0).normal(size=(100, 2)))
    >>> len(ensemble), len(ensemble.train), len(ensemble.validation), len(ensemble.test)
    (100, 80, 10, 10)
    >>> ensemble.take([0, 1]).shape
    (2, 2)

    Attributes:
        name: name in messages and reports.
        space: space of a member.
        parameters: names of the conditions, and the classes of labels; empty for an unconditional ensemble.
        conditions: array of shape ``(members, parameters)``, float32, in the user's units; None without parameters.
        condition_field: space of the condition field of each member; None if there is none.
        groups: array of shape ``(members,)``: members of one group (one simulation, say) stay together in a split.
        notes: properties recognised while reading, one line each.
        spec: arguments of `read` that recreate this ensemble, plain values; None for arrays in memory.
        missing: treatment of missing values, for further data (`LearntGaps.to_dict`); None if there is none.
        exact: exact properties of a built-in distribution; None otherwise.
        units: units of the channels or coordinates, or one for all, as stated by the files; empty if unknown.
        box_unit: unit of lengths and of the box; empty if unknown.
    """

    def __init__(
        self,
        members: Members,
        space: Space,
        *,
        conditions: NDArray[np.float32] | None = None,
        parameters: Sequence[Parameter] = (),
        condition_field: Field | None = None,
        groups: Rows | None = None,
        name: str = "ensemble",
        notes: Sequence[str] = (),
        spec: dict[str, Any] | None = None,
        missing: dict[str, Any] | None = None,
        exact: Any = None,
        units: Sequence[str] = (),
        box_unit: str = "",
    ) -> None:
        self.members = members
        self.space = space
        self.parameters = tuple(parameters)
        self.conditions = conditions
        self.condition_field = condition_field
        self.groups = np.arange(len(members)) if groups is None else np.asarray(groups, dtype=np.int64)
        self.name = name
        self.notes = tuple(notes)
        self.spec, self.missing = spec, missing
        self.exact = exact
        self.units = tuple(units)
        self.box_unit = box_unit
        if len(self.groups) != len(members):
            raise DataError(
                f"{name} has {len(members)} members, but {len(self.groups)} groups were given; give one per member"
            )
        if conditions is not None:
            check_conditions(conditions, self.parameters, len(members), name)

    @classmethod
    def from_array(
        cls,
        x: ArrayLike,
        *,
        space: Space | str | None = None,
        conditions: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        classes: Mapping[str, Sequence[str]] | None = None,
        groups: ArrayLike | None = None,
        condition_fields: ArrayLike | None = None,
        name: str = "array",
        periodic: bool | None = None,
        isotropic: bool | None = None,
        box: float | None = None,
        centred: bool | None = None,
        exact: Any = None,
        notes: Sequence[str] = (),
    ) -> Ensemble:
        """Ensemble of an array in memory.

        Arguments:
            x: array of shape ``(members, dim)`` for a Vector, ``(members, height, width)`` or ``(members, channels,
                height, width)`` for a Field, unless ``space`` is given.
            space: a Space, or its kind (``"vector"``, ``"field"``, ``"particles"``, ``"series"``).
            conditions: array of shape ``(members, parameters)`` or ``(members,)``, in the user's units.
            names: names of the parameters.
            classes: names of the classes, for parameters that are labels.
            groups: array of shape ``(members,)``, whole numbers.
            condition_fields: one field per member, shape ``(members, *grid)`` or ``(members, channels, *grid)``, on
                the members' grid or one coarser by a whole number.
            name: name in messages.
            periodic, isotropic, box: properties of a Field.
            centred: whether to move the centres of mass of particles to the origin, if they are not there; None
                inspects some members, unless the space is given.
            exact: exact properties of the distribution.
            notes: lines for the terminal and the report.

        Raises:
            DataError: if the array does not hold numbers, or shapes do not match.
        """
        values = unmasked(x)
        if values.dtype.kind not in "fiub":
            raise DataError(f"{name} holds {values.dtype}, but members must be real numbers")
        layout = layout_of(
            values.shape, space, periodic=periodic, isotropic=isotropic, box=box, centred=centred, label=name
        )
        whole = Whole(InMemory(values, name), layout.space.shape, channels_last=layout.channels_last)
        whole = whole.widened(layout.space)
        stated = centred is not None or not (space is None or isinstance(space, str))
        told, of_centres = told_by_centres(layout.space, whole, stated=stated)
        members: Members = whole
        field = None
        if condition_fields is not None:
            given = InMemory(np.asarray(condition_fields), f"the condition of {name}")
            members, field = with_condition_fields(whole, layout.space, given, name)
        ensemble = cls(
            members,
            told,
            condition_field=field,
            groups=None if groups is None else np.asarray(groups, dtype=np.int64),
            name=name,
            notes=(*notes, *layout.notes, *of_centres),
            exact=exact,
        )
        return ensemble if conditions is None else ensemble.with_conditions(conditions, names, classes)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def condition_space(self) -> ConditionSpace:
        """Space of the condition of a member, in the user's units: a number per parameter, and a field."""
        return ConditionSpace(len(self.parameters), self.condition_field)

    def __repr__(self) -> str:
        given = f", given {', '.join(p.name for p in self.parameters)}" if self.parameters else ""
        return f"Ensemble({self.name!r}: {len(self)} members, {self.space}{given})"

    def take(self, index: ArrayLike, rng: Generators = None) -> Float[np.ndarray, "batch *shape"]:
        """Members at ``index``, shape ``(batch, *space.shape)``, float32, in the user's units. Thread-safe.

        The type is float64 if float32 would lose the differences of numbers with a large offset (see `precision`).

        Arguments:
            index: whole numbers in ``[0, len(self))``.
            rng: one generator, or one per member, that shifts the crops of a cropped ensemble at random within their
                region, for training. None gives fixed tiles, for evaluation. Without crops it has no effect.

        Raises:
            DataError: if a member holds NaN or an infinity (NaN in a series is a missing value, and allowed).
        """
        return self.take_given(index, rng)[0]

    def take_given(
        self, index: ArrayLike, rng: Generators = None
    ) -> tuple[Float[np.ndarray, "batch *shape"], Condition | None]:
        """`take`, and the conditions of the members, in the user's units; None for an unconditional ensemble."""
        rows = np.atleast_1d(np.asarray(index, dtype=np.int64))
        field = None
        if isinstance(self.members, MembersWithFields):
            batch, fields = self.members.read_given(rows, rng)
            check_batch(fields, rows, self.members, what="the condition field of ")
            field = torch.from_numpy(fields)
        else:
            batch = self.members.read(rows, rng)
        check_batch(batch, rows, self.members, self.space)
        batch = at_centre(self.space, batch)
        numbers = None if self.conditions is None else torch.from_numpy(self.conditions[rows])
        return batch, Condition(numbers, field) if self.condition_space else None

    def tensor(self) -> Float[Tensor, "members *shape"]:
        """All members in the user's units, with their space and box; for ensembles that fit into memory."""
        return Samples.of(torch.from_numpy(self.take(np.arange(len(self)))), self.space)

    def condition_rows(self, index: ArrayLike) -> Float[np.ndarray, "batch parameters"] | None:
        """Conditions of the members at ``index``, in the user's units; None for an unconditional ensemble."""
        return None if self.conditions is None else self.conditions[np.atleast_1d(np.asarray(index, dtype=np.int64))]

    def subset(self, index: ArrayLike) -> Ensemble:
        """Ensemble of some of the members. Selected crops keep their places."""
        rows = np.asarray(index)
        rows = np.flatnonzero(rows) if rows.dtype == bool else np.atleast_1d(rows.astype(np.int64))
        return self._of_subset(Subset(self.members.subset(rows), rows, self.groups[rows]))

    def with_conditions(
        self,
        conditions: ArrayLike | None,
        names: Sequence[str] | None = None,
        classes: Mapping[str, Sequence[str]] | None = None,
    ) -> Ensemble:
        """The same members with other conditions; None makes the ensemble unconditional.

        Arguments:
            conditions: shape ``(members, parameters)`` or ``(members,)``, in the user's units; a label's column holds
                the index of its class.
            names: names of the parameters; ``condition_0``, ... if None.
            classes: names of the classes, for each label.

        Raises:
            DataError: if they are not finite, or not one row per member.
        """
        if conditions is None:
            values, parameters = None, tuple[Parameter, ...]()
        else:
            values = unmasked(conditions)
            values = values[:, None] if values.ndim == 1 else values
            values = narrowed(values.astype(np.float64)) if values.ndim == 2 else values.astype(np.float32)
            named = tuple(names) if names else tuple(f"condition_{i}" for i in range(values.shape[1]))
            parameters = tuple(Parameter(each, tuple((classes or {}).get(each, ()))) for each in named)
        return self.replaced(conditions=values, parameters=parameters, spec=None)

    def replaced(self, **changes: Any) -> Ensemble:
        """Copy of the ensemble with some constructor arguments replaced, by name."""
        names = ("members", "space", "conditions", "parameters", "condition_field", "groups", "name", "notes")
        return Ensemble(
            **{name: getattr(self, name) for name in (*names, "spec", "missing", "exact", "units", "box_unit")}
            | changes
        )

    @property
    def length_unit(self) -> str:
        """Unit of lengths: as stated with the box, or in the notes of a built-in set; empty if unknown."""
        return self.box_unit or ("Mpc/h" if any("Mpc/h" in note for note in self.notes) else "")

    @cached_property
    def train(self) -> Ensemble:
        """Four fifths of the groups; for a cropped ensemble, the largest of three regions of every field."""
        return self._parts[0]

    @cached_property
    def validation(self) -> Ensemble:
        """A tenth of the groups, or a region of every field, for model selection."""
        return self._parts[1]

    @cached_property
    def test(self) -> Ensemble:
        """A tenth of the groups, or a region of every field, for the final verdict."""
        return self._parts[2]

    @cached_property
    def _parts(self) -> tuple[Ensemble, Ensemble, Ensemble]:
        regions = self.members.split()
        if regions is not None:
            train, validation, test = (self._of_subset(region) for region in regions)
        else:
            train, validation, test = (self.subset(rows) for rows in split_by_group(self.groups, self.name))
        return train, validation, test

    def _of_subset(self, subset: Subset) -> Ensemble:
        conditions = None if self.conditions is None else self.conditions[subset.rows]
        return self.replaced(members=subset.members, conditions=conditions, groups=subset.groups, spec=None)

    @cached_property
    def fingerprint(self) -> str:
        """Stable hash of shapes, stored type, conditions and 16 members, to detect changed data."""
        source = self.members.source
        digest = hashlib.sha256()
        for value in (len(self), source.dtype.name, space_to_dict(self.space), [asdict(p) for p in self.parameters]):
            digest.update(repr(value).encode())
        if len(self):
            some = np.unique(np.linspace(0, len(self) - 1, 16).astype(np.int64))
            members = self.members
            with_fields = members if isinstance(members, MembersWithFields) else None
            for part in with_fields.read_given(some) if with_fields else (members.read(some, None),):
                digest.update(part.tobytes())
        if self.conditions is not None:
            digest.update(np.ascontiguousarray(self.conditions).tobytes())
        return digest.hexdigest()[:16]

    def check(self) -> None:
        """Check the data before training.

        Small ensembles are read whole; of large ones, 512 MB, evenly spread, and the rest when read for training.

        Raises:
            DataError: if there are too few members, values are not finite, or all values are equal.
        """
        check_ensemble(self)


def split_by_group(groups: Int[np.ndarray, " members"], name: str, seed: int = 0) -> tuple[Rows, Rows, Rows]:
    """Rows for training, validation and test: 80, 10 and 10 per cent of the groups, each group in one part only.

    Raises:
        DataError: if there are fewer than three groups.
    """
    unique, inverse = np.unique(groups, return_inverse=True)
    if len(unique) == len(groups) < 3:
        raise DataError(too_few(len(groups), name))
    if len(unique) < 3:
        raise DataError(
            f"the {len(groups)} members of {name} form {len(unique)} group{'s' * (len(unique) != 1)} that must not be "
            "split, but training, validation and test sets need one each; give at least 3 groups"
        )
    held = max(1, round(HELD_OUT * len(unique)))
    order = np.random.default_rng(seed).permutation(len(unique))
    part = np.zeros(len(unique), dtype=np.int64)
    part[order[:held]] = 1
    part[order[held : 2 * held]] = 2
    train, validation, test = (np.flatnonzero(part[inverse] == number) for number in range(3))
    return train, validation, test
