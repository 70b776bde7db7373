"""Fields as conditions: read in any form, and moved together with their members, whatever is done to these."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.conditions import Condition, ConditionSpace, refined
from pushforward.ensembles.symmetries import augment_given
from pushforward.errors import DataError
from pushforward.spaces import Field

RNG = np.random.default_rng(0)
FIELDS = RNG.normal(size=(40, 12, 12)).astype(np.float32)
# So that a member tells which field belongs to it, cell by cell.
MEMBERS = 2 * FIELDS + 1
BLOCKS = FIELDS.reshape(40, 6, 2, 3, 4).mean((2, 4))


def pairs(ensemble: pf.Ensemble, index, rng=None) -> tuple[np.ndarray, np.ndarray]:
    x, condition = ensemble.take_given(index, rng)
    return x, condition.field.numpy()


def files(folder, kind):
    np.save(folder / "x.npy", MEMBERS)
    if kind == "npy":
        np.save(folder / "c.npy", FIELDS)
        return folder / "x.npy", folder / "c.npy"
    if kind == "preceded by a channel":
        np.save(folder / "c.npy", FIELDS[:, None])
        return folder / "x.npy", folder / "c.npy"
    if kind == "channel behind":
        np.save(folder / "c.npy", FIELDS[..., None])
        return folder / "x.npy", folder / "c.npy"
    if kind == "glob":
        for number, field in enumerate(FIELDS):
            np.save(folder / f"c_{number:02d}.npy", field)
        return folder / "x.npy", str(folder / "c_*.npy")
    if kind == "array":
        return MEMBERS, FIELDS
    if kind == "ensemble":
        return folder / "x.npy", pf.Ensemble.from_array(FIELDS)
    if kind == "own":
        np.savez(folder / "x.npz", x=MEMBERS, condition_fields=FIELDS)
        return folder / "x.npz", None
    with h5py.File(folder / "x.h5", "w") as file:
        file["x"], file["matter"] = MEMBERS, FIELDS
    return folder / "x.h5", "matter"


KINDS = ("npy", "preceded by a channel", "channel behind", "glob", "array", "ensemble", "own", "dataset")


@pytest.mark.parametrize("kind", KINDS)
def test_every_form_of_condition_fields(kind, tmp_path):
    data, condition = files(tmp_path, kind)
    ensemble = pf.read(data, condition=condition)
    assert ensemble.space.shape == ensemble.condition_field.shape == (1, 12, 12)
    assert ensemble.take([3]).shape == (1, 1, 12, 12)
    for part in (ensemble.train, ensemble.test, ensemble.subset([5, 2])):
        x, field = pairs(part, np.arange(len(part)))
        np.testing.assert_array_equal(x, 2 * field + 1)
    assert not pf.read(data, condition=False).condition_space


def test_the_spec_reads_the_same_pairs_again(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", MEMBERS)
    np.save(tmp_path / "c.npy", FIELDS)
    np.savetxt(tmp_path / "p.csv", np.arange(40), header="a", comments="")
    monkeypatch.chdir(tmp_path)
    ensemble = pf.read("x.npy", condition=["c.npy", "p.csv"])
    monkeypatch.chdir(tmp_path.parent)
    again = pf.read(**ensemble.spec)
    assert again.fingerprint == ensemble.fingerprint
    assert [p.name for p in again.parameters] == ["a"]
    assert again.space == ensemble.space
    assert again.condition_space == ensemble.condition_space == ConditionSpace(1, Field(1, (12, 12)))
    assert again.take_given([7])[1].numbers.item() == 7


def test_the_fingerprint_sees_the_fields():
    one, other = (pf.read(MEMBERS, condition=fields) for fields in (FIELDS, FIELDS[::-1]))
    assert one.fingerprint != other.fingerprint


def test_a_coarse_field_keeps_its_own_grid():
    ensemble = pf.read(MEMBERS, condition=BLOCKS)
    assert ensemble.condition_field.grid == (6, 3)
    np.testing.assert_array_equal(pairs(ensemble, [4])[1][0, 0], BLOCKS[4])


def fine(fields: np.ndarray, *grid: int) -> np.ndarray:
    """Fields (n, 1, *coarse) on a finer grid."""
    return refined(torch.as_tensor(fields), grid).numpy()


@pytest.mark.parametrize("fields", [FIELDS, FIELDS[:, None], BLOCKS, FIELDS[..., None]])
def test_crops_cut_both_at_the_same_place(fields):
    ensemble = pf.read(2 * fine(fields.reshape(40, 1, *fields.squeeze().shape[1:]), 12, 12)[:, 0] + 1, fields, crop=4)
    assert ensemble.space.grid == (4, 4)
    seen = set()
    for part in (ensemble.train, ensemble.validation, ensemble.test, ensemble.train.subset([3, 1])):
        for rng in (None, np.random.default_rng(1), [np.random.default_rng(i) for i in range(len(part))]):
            x, field = pairs(part, np.arange(len(part)), rng)
            assert field.shape[1:] == ensemble.condition_field.shape
            np.testing.assert_array_equal(x, 2 * fine(field, 4, 4) + 1)
            seen |= set(x[:, 0, 0, 0].tolist())
    assert len(seen) > len(ensemble) or fields is BLOCKS, "crops must move, where a region has room for it"


def test_a_crop_that_cuts_the_cells_of_the_condition_is_refused():
    with pytest.raises(DataError, match="coarser"):
        pf.read(MEMBERS, condition=BLOCKS, crop=3)


@pytest.mark.parametrize("fields", [FIELDS, BLOCKS, FIELDS[:, ::3, ::3].copy()])
def test_augmentation_moves_both_alike(fields):
    field = torch.from_numpy(fields[:, None])
    x = 2 * refined(field, (12, 12)) + 1
    condition = Condition(torch.arange(40.0)[:, None], field)
    space = Field(1, (12, 12), periodic=True, isotropic=True)
    moved, given = augment_given(x, condition, space, np.random.default_rng(0))
    assert not torch.equal(moved, x)
    assert torch.equal(moved, 2 * refined(given.field, (12, 12)) + 1)
    assert torch.equal(given.numbers, condition.numbers)


def test_preprocessing_brings_the_field_to_network_units_and_is_saved():
    ensemble = pf.read(np.exp(MEMBERS), condition=np.exp(3 * FIELDS) + 5)
    fitted = pf.Preprocessing.fit(ensemble)
    condition = ensemble.take_given(np.arange(40))[1]
    code = fitted.encode_condition(condition).field
    assert fitted.condition_space == ConditionSpace(0, Field(1, (12, 12)))
    assert code.shape == (40, 1, 12, 12)
    assert abs(code.mean()) < 1e-3
    assert abs(code.std() - 1) < 1e-2
    again = pf.Preprocessing.from_dict(fitted.to_dict())
    again.load_state_dict(fitted.state_dict())
    torch.testing.assert_close(again.encode_condition(condition).field, code)
    assert any("condition" in line for line in fitted.describe())


WRONG = {
    "one too few": (FIELDS[:39], "39 condition fields, but .* 40 members"),
    "no divisor": (np.ones((40, 5, 6)), "do not divide"),
    "finer": (np.ones((40, 24, 24)), "do not divide"),
    "cubes": (np.ones((40, 2, 12, 12, 12)), "same 2 axes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_fields_that_do_not_fit(case):
    fields, words = WRONG[case]
    with pytest.raises(DataError, match=words):
        pf.read(MEMBERS, condition=fields)


def test_a_hole_in_a_field_is_named():
    spoiled = FIELDS.copy()
    spoiled[7, 3, 3] = np.nan
    with pytest.raises(DataError, match="condition field of member 7"):
        pf.read(MEMBERS, condition=spoiled).check()
