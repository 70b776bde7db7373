"""Spaces: sizes, degrees of freedom, and the way to a file and back."""

import pytest

from pushforward.errors import UsageError
from pushforward.spaces import Field, Particles, Series, Trajectory, Vector, space_from_dict, space_to_dict

SPACES = [
    Vector(3, ("a", "b", "c")),
    Field(2, (8, 6), periodic=True, box=25.0, isotropic=True),
    Particles(4, 2),
    Particles(3, 3, centred=True, species=("O", "H", "H")),
    Particles(64, 3, box=10.0),
    Series(2, 50, timed=True),
    Trajectory(8, 3, (0.0, 0.5, 1.0), box=4.0),
]


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_a_space_survives_the_way_through_plain_values(space):
    assert space_from_dict(space_to_dict(space)) == space


@pytest.mark.parametrize(("centred", "degrees"), [(False, 39), (True, 36)])
def test_a_fixed_centre_of_mass_takes_dim_degrees_of_freedom(centred, degrees):
    space = Particles(13, 3, centred=centred)
    assert (space.size, space.degrees) == (39, degrees)


def test_descriptions_written_before_particles_had_a_box_still_serve():
    assert space_from_dict({"kind": "particles", "count": 5, "dim": 2}) == Particles(5, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"species": ("H",)}, "1 species were given for 4 particles"),
        ({"box": 1.0, "centred": True}, "no centre of mass"),
    ],
)
def test_particles_that_contradict_themselves_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        Particles(4, 2, **options)
