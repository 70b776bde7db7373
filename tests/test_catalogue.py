"""The page of every family says what each of its settings means."""

import pytest

from pushforward.catalogue import describe_family
from pushforward.models import REGISTRY, model_class
from pushforward.models.settings import divide_settings, meanings
from pushforward.training.settings import TrainingSettings


@pytest.mark.parametrize("name", list(REGISTRY))
def test_every_setting_has_a_meaning(name):
    kind = model_class(name)
    for settings in (kind.Settings, kind.Sampling, TrainingSettings):
        silent = [setting for setting, meaning in meanings(settings).items() if not meaning]
        assert not silent, f"the docstring of {settings.__name__} does not say what {silent} mean"
    page = describe_family(name)
    assert all(f"  {setting} = " in page for setting in kind.Settings.model_fields)


def test_settings_of_model_and_loop_do_not_collide():
    for name in REGISTRY:
        shared = set(model_class(name).Settings.model_fields) & set(TrainingSettings.model_fields)
        assert not shared, f"{name} and the loop share the settings {shared}"


def test_a_name_that_two_parts_have_must_say_whose_it_is():
    known = {"data": ["noise", "labels"], "model": ["noise", "width"]}
    assert divide_settings({"data.noise": 1, "model.noise": 2, "width": 3}, known) == {
        "data": {"noise": 1},
        "model": {"noise": 2, "width": 3},
    }
    with pytest.raises(ValueError, match=r"write data.noise or model.noise"):
        divide_settings({"noise": 1}, known)
    with pytest.raises(ValueError, match=r"set twice"):
        divide_settings({"width": 1, "model.width": 2}, known)
    with pytest.raises(ValueError, match=r"no setting of the data called 'nose'; did you mean 'noise'"):
        divide_settings({"data.nose": 1}, known)
