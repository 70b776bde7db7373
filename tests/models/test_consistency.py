"""Consistency models: their boundary, the function that they must become, and what they take from a teacher."""

from __future__ import annotations

from itertools import repeat
from types import SimpleNamespace

import pytest
import torch
from minimise import minimise
from two_clusters import two_clusters

from pushforward.errors import UsageError
from pushforward.models import Batch, TeacherBatch, model_class
from pushforward.models.consistency import Consistency
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.transport import Straight

FACTOR = torch.tensor([[1.0, 0.0], [0.9, 0.5]])


def correlated(seed: int, count: int = 256) -> torch.Tensor:
    """Gaussian points whose correlation no Gaussian field of independent coordinates has."""
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed)) @ FACTOR.T


def end_of_the_flow(z: torch.Tensor, t: float) -> torch.Tensor:
    """Of `correlated`: C^(1/2) ((1 - t)^2 C + t^2)^(-1/2) z, by the eigenvectors of the covariance C."""
    values, vectors = torch.linalg.eigh(FACTOR @ FACTOR.T)
    return z @ vectors @ torch.diag((values / ((1 - t) ** 2 * values + t**2)).sqrt()) @ vectors.T


def train(model, data, steps: int, seed: int = 0, teacher=None):
    def batch(step: int) -> Batch:
        plain = Batch(data(step + seed), None, Draws(step, 256), step / steps)
        return plain if teacher is None else taught(plain, teacher)

    return minimise(model, batch, steps)


def taught(batch: Batch, teacher) -> TeacherBatch:
    return TeacherBatch(batch.x, None, batch.draws, batch.progress, teacher=teacher, pairs=lambda steps: batch)


def source(teacher, family: str) -> SimpleNamespace:
    return SimpleNamespace(kind="teacher", model=teacher, family=family)


def small(family: str = "flow-matching", **settings):
    torch.manual_seed(0)
    kind = model_class(family)
    return kind(Vector(2), settings=kind.Settings(width=32, depth=2, **settings))


def student_of(teacher, family: str, **settings) -> Consistency:
    settled = Consistency.settled(Consistency.Settings(**settings), source(teacher, family))
    student = Consistency(Vector(2), settings=settled)
    student.prepare(taught(Batch(correlated(0), None, Draws(0, 256)), teacher))
    return student


def error_of(model: Consistency) -> float:
    """Root mean square distance from the exact function, over points of the flow at four times."""
    x, noise = correlated(-1, 2000), torch.randn(2000, 2, generator=torch.Generator().manual_seed(7))
    errors = []
    for moment in Straight().moments([0.2, 0.5, 0.8, model.body.last_time()]):
        z = moment.mix(x, noise)
        errors.append((model.end(z, moment) - end_of_the_flow(z, moment.time)).square().mean())
    return torch.stack(errors).mean().sqrt().item()


@pytest.fixture(scope="module")
def teacher():
    return train(small(), correlated, 400)


@pytest.mark.parametrize("family", ["flow-matching", "ddpm", "edm", "pfgm++"])
def test_where_there_is_no_noise_nothing_changes(family):
    for space in (Vector(3), Field(1, (8, 8), periodic=True)):
        model = Consistency(space, settings=Consistency.Settings(family=family, width=16))
        model.prepare(Batch(3 * torch.randn(16, *space.shape), None, Draws(0, 16)))
        for parameter in model.body.network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        z = torch.randn(5, *space.shape)
        (data,) = Straight().moments([0.0])
        torch.testing.assert_close(model.end(z, data), z, rtol=0, atol=2e-5)


def test_white_data_have_the_published_preconditioning():
    """In z / (1 - t) = x + sigma eps, c_skip and c_out of a white Gaussian's consistency function; the network is 0."""
    model = Consistency(Vector(4))
    for moment in Straight().moments([0.1, 0.6, 1.0]):
        z = torch.randn(6, 4)
        torch.testing.assert_close(model.end(z, moment), z / moment.norm)


def test_distillation_approaches_the_exact_function(teacher):
    student = student_of(teacher, "flow-matching")
    before = error_of(student)
    after = error_of(train(student, correlated, 400, teacher=teacher))
    assert before > 0.15, "one step of Euler's method is far from the end of the flow"
    assert after < 0.06, f"root mean square error {after:.3f}"


@pytest.mark.parametrize(("settings", "steps", "near"), [({}, 400, 0.12), ({"tuning": "data"}, 600, 0.2)])
def test_training_alone_approaches_the_exact_function(settings, steps, near):
    torch.manual_seed(0)
    alone = Consistency(Vector(2), settings=Consistency.Settings(width=32, depth=2, **settings))
    found = error_of(train(alone, correlated, steps))
    assert found < near, f"root mean square error {found:.3f}"


def test_what_the_first_part_has_learnt_is_averaged_and_kept():
    model = Consistency(Vector(2), settings=Consistency.Settings(width=16, depth=1))
    train(model, correlated, 40)
    assert int(model.steps) == 20, "half of the run trains the family's own loss"
    (known,) = model._learnt
    again = Consistency(Vector(2), settings=model.settings)
    again.load_state_dict(model.state_dict())
    (turn,) = again.turns(repeat(Batch(correlated(0), None, Draws(0, 256), 0.9)))
    assert turn.loss.isfinite()
    (same,) = again._learnt
    assert all(torch.equal(*pair) for pair in zip(known.parameters(), same.parameters(), strict=True))
    assert not any(torch.equal(*pair) for pair in zip(known.parameters(), model.body.parameters(), strict=True))


@pytest.mark.parametrize("family", ["ddpm", "edm", "pfgm++", "ot-flow-matching"])
def test_any_family_with_a_denoiser_can_be_distilled(family):
    teacher = train(small(family), correlated, 150)
    student = student_of(teacher, family)
    assert student.settings.family == family
    assert student.body.state_dict().keys() == teacher.state_dict().keys()
    assert torch.equal(*(next(iter(m.network.parameters())) for m in (student.body, teacher)))
    before, after = error_of(student), error_of(train(student, correlated, 200, teacher=teacher))
    assert after < 0.7 * before


def test_a_teacher_with_another_network_is_followed_from_scratch(teacher):
    student = student_of(teacher, "flow-matching", width=16)
    assert student.body.network.state_dict().keys() == teacher.network.state_dict().keys()
    assert error_of(train(student, correlated, 300, teacher=teacher)) < 0.15


def test_a_teacher_that_predicts_the_noise_has_a_student_that_says_the_data_everywhere():
    teacher = small("ddpm", prediction="noise")
    student = student_of(teacher, "ddpm")
    assert student.body.prediction == "v"
    (turn,) = student.turns(repeat(taught(Batch(correlated(0), None, Draws(0, 256)), teacher)))
    assert turn.loss.isfinite()


def test_more_calls_come_nearer_to_two_clusters():
    torch.manual_seed(0)
    settings = Consistency.Settings(width=48, depth=2)
    alone = train(Consistency(Vector(2), settings=settings), lambda seed: two_clusters(256, seed), 400)
    distances = [
        alone.sample(Draws(0, 20000), sampling=alone.Sampling(steps=calls))[:, 0].abs().mean() for calls in (1, 4)
    ]
    true = two_clusters(20000, seed=1)[:, 0].abs().mean()
    errors = [float((distance - true).abs()) for distance in distances]
    assert errors[1] < errors[0] < 0.12, f"error of the clusters' distance with one call and with four: {errors}"


def test_a_student_keeps_nothing_of_its_teacher(teacher):
    student = student_of(teacher, "flow-matching")
    alone = Consistency(Vector(2), settings=student.settings)
    alone.load_state_dict(student.state_dict())
    assert torch.equal(*(model.eval().sample(Draws(0, 3)) for model in (student, alone)))
    assert sum(p.numel() for p in student.parameters()) == sum(p.numel() for p in teacher.parameters())


def test_the_teacher_is_not_changed(teacher):
    before = [p.clone() for p in teacher.parameters()]
    train(student_of(teacher, "flow-matching"), correlated, 5, teacher=teacher)
    assert all(torch.equal(p, old) for p, old in zip(teacher.parameters(), before, strict=True))


def test_what_cannot_be_distilled_is_refused(teacher):
    for family in ("realnvp", "yukawa"):
        with pytest.raises(UsageError, match=f"{family} has no denoiser"):
            Consistency.settled(Consistency.Settings(), source(model_class(family)(Vector(2)), family))
    with pytest.raises(UsageError, match="leave it out"):
        Consistency.settled(Consistency.Settings(family="edm"), source(teacher, "flow-matching"))
    with pytest.raises(ValueError, match="vae has no denoiser"):
        Consistency.Settings(family="vae")
    with pytest.raises(ValueError, match="nonsense"):
        Consistency.Settings(family_settings={"nonsense": 1})
