"""Students: what they take from the run of a teacher, and what becomes of them when it is gone."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.conditions import Condition
from pushforward.ensembles import Ensemble
from pushforward.ensembles.batch import Batch
from pushforward.ensembles.batching import Shard
from pushforward.errors import TrainingError, UsageError
from pushforward.randomness import Draws
from pushforward.runs.teacher_pairs import PairPool
from pushforward.statistics import wasserstein2
from pushforward.training.plan import resolve_task

SMALL = {"width": 16, "depth": 1}


@pytest.fixture(scope="module")
def conditional() -> Ensemble:
    rng = np.random.default_rng(0)
    mass = rng.uniform(size=(200, 1)).astype(np.float32)
    x = rng.normal(size=(200, 2)).astype(np.float32) + mass
    return Ensemble.from_array(np.exp(x), conditions=mass, names=("mass",), name="conditional")


@pytest.fixture(scope="module")
def teacher(conditional, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "teacher"
    pf.fit(conditional, "edm", steps=4, out=run, progress=False, settings={**SMALL, "transform": "log"})
    return run


def student(ensemble, teacher, out, steps=3, **options):
    return pf.fit(
        ensemble, "consistency", steps=steps, out=out, progress=False, settings={"teacher": str(teacher)}, **options
    )


def test_a_student_works_in_the_units_and_with_the_network_of_its_teacher(conditional, teacher, tmp_path):
    known, found = pf.Emulator.load(teacher), student(conditional, teacher, tmp_path / "run")
    assert found.preprocessing.to_dict() == known.preprocessing.to_dict()
    assert torch.equal(found.preprocessing.constants, known.preprocessing.constants)
    assert found.config["settings"]["model"]["family"] == "edm"
    assert found.config["settings"]["model"]["width"] == 16
    assert found.config["data"]["teacher"]["run"] == str(teacher)
    sizes = [sum(p.numel() for p in emulator.model.parameters()) for emulator in (found, known)]
    assert sizes[0] == sizes[1]


def test_a_student_outlives_its_teacher(conditional, teacher, tmp_path):
    gone = shutil.copytree(teacher, tmp_path / "teacher")
    found = student(conditional, gone, tmp_path / "run")
    shutil.rmtree(gone)
    again = pf.Emulator.load(tmp_path / "run")
    condition = {"mass": 0.5}
    assert torch.equal(*(each.sample(5, condition, seed=0, steps=2) for each in (found, again)))
    with pytest.raises(UsageError, match="there is no run at"):
        student(conditional, gone, tmp_path / "run", resume=True)


def test_a_resumed_student_ends_as_one_that_never_stopped(conditional, teacher, tmp_path, monkeypatch):
    whole = student(conditional, teacher, tmp_path / "whole", steps=6)
    from pushforward.training import loop

    step = loop.Loop.step

    def stopping(self, progress):
        if self.course.step == 3:
            self.save(progress)
            raise KeyboardInterrupt
        step(self, progress)

    with monkeypatch.context() as patched:
        patched.setattr(loop.Loop, "step", stopping)
        with pytest.raises(KeyboardInterrupt):
            student(conditional, teacher, tmp_path / "halves", steps=6)
    found = student(conditional, teacher, tmp_path / "halves", steps=6, resume=True)
    assert all(torch.equal(*pair) for pair in zip(whole.model.parameters(), found.model.parameters(), strict=True))


def test_a_run_is_not_resumed_with_a_teacher_that_has_changed(conditional, teacher, tmp_path):
    other = shutil.copytree(teacher, tmp_path / "teacher")
    student(conditional, other, tmp_path / "run")
    shutil.rmtree(other)
    pf.fit(conditional, "edm", steps=5, out=other, progress=False, settings={**SMALL, "transform": "log"})
    with pytest.raises(TrainingError, match="the teacher has changed since"):
        student(conditional, other, tmp_path / "run", resume=True)


def test_a_teacher_that_has_been_written_again_is_still_the_same(conditional, teacher, tmp_path):
    other = shutil.copytree(teacher, tmp_path / "teacher")
    before = student(conditional, other, tmp_path / "run").config["data"]["teacher"]
    settings = {**SMALL, "transform": "log"}
    pf.fit(conditional, "edm", steps=4, out=other, resume=True, progress=False, settings=settings)
    assert student(conditional, other, tmp_path / "run", resume=True).config["data"]["teacher"] == before


def test_units_are_the_teachers_to_choose(conditional, teacher):
    with pytest.raises(UsageError, match="transform cannot be set"):
        resolve_task("consistency", conditional, {"teacher": str(teacher), "transform": "none"})


@pytest.fixture(scope="module")
def reflowed(tmp_path_factory):
    """A teacher of eight clusters on a circle, its student, and fresh data."""
    angle = np.pi / 4 * np.arange(4096)
    rng = np.random.default_rng(0)
    x = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.normal(size=(4096, 2))
    ensemble = Ensemble.from_array(x.astype(np.float32), name="circle")
    folder = tmp_path_factory.mktemp("reflow")
    options = {"steps": 250, "progress": False}
    settings = {"width": 32, "depth": 2, "batch_size": 256}
    known = pf.fit(ensemble, "flow-matching", out=folder / "teacher", settings=settings, **options)
    taught = {"batch_size": 256, "teacher": str(folder / "teacher")}
    return known, pf.fit(ensemble, "flow-matching", out=folder / "student", settings=taught, **options), x[:2000]


def test_reflow_needs_one_step_where_its_teacher_needs_many(reflowed):
    known, found, real = reflowed
    one, many, student = (
        float(wasserstein2(emulator.sample(1000, seed=0, **options), torch.from_numpy(real[:1000]).float()).distance)
        for emulator, options in (
            (known, {"method": "ddim", "steps": 1}),
            (known, {"steps": 40}),
            (found, {"steps": 1}),
        )
    )
    assert student < 0.5 * one, f"W2 {student:.3f} in one step, and {one:.3f} of the teacher"
    assert student < many + 0.1, f"W2 {student:.3f} in one step, and {many:.3f} of the teacher in 40"


def test_a_reflowed_model_goes_to_the_sample_of_its_teacher(reflowed):
    known, found, _ = reflowed
    near = (found.sample(500, seed=0, steps=1) - known.sample(500, seed=0, steps=20)).norm(dim=1).median()
    assert near < 0.15, "the same noise must become nearly the same sample"


def test_pairs_are_streamed_and_made_again_by_a_run_that_is_resumed():
    made = []

    class Flow:
        def pairs_from_noise(self, draws, condition, steps):
            made.append(condition.numbers[0, 0].item())
            noise = draws.normal(2)
            return 10 + noise, noise

    def source(number):
        return Batch(torch.zeros(4, 2), Condition(torch.full((4, 1), float(number))), Draws(number, 4))

    def pool():
        return PairPool(source, Flow(), Shard(4), 0, batches=3, uses=2, blocks=2)

    seen, whole = [], pool()
    for number in range(1, 20):
        batch = whole(number, steps=1)
        torch.testing.assert_close(batch.x, 10 + batch.noise)
        seen.append(batch.condition.numbers)
    assert made == [float(n) for n in range(1, 16)], "a block for the pool, and one more every six batches"
    assert len({value.item() for value in torch.cat(seen)}) > 10, "the conditions of the data are used"
    assert torch.equal(pool()(19, steps=1).condition.numbers, seen[-1])


def test_a_student_is_known_again_by_a_comparison(conditional, teacher, tmp_path):
    settings = {"teacher": str(teacher), "width": 16, "depth": 1}
    options = {"budget": "1s", "out": tmp_path / "c", "samples": 20, "settings": settings, "progress": False}
    first = pf.compare(conditional, ["consistency"], **options)
    assert not first.results[0].failure
    weights = tmp_path / "c" / "consistency" / "report.json"
    before = weights.stat().st_mtime_ns
    pf.compare(conditional, ["consistency"], **options)
    assert weights.stat().st_mtime_ns == before, "a finished entry must be taken as it is"
