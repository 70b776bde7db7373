import pytest
import torch

from pushforward.errors import UsageError
from pushforward.runs import devices as hardware
from pushforward.runs.devices import choose_device, choose_precision, make_fabric
from pushforward.spaces import Field, Vector

CPU = torch.device("cpu")
MAPS, POINTS = Field(1, (8, 8)), Vector(2)


def test_devices_are_found_by_name():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(UsageError, match="no device"):
        choose_device(name)


@pytest.mark.parametrize("native", [True, False])
def test_automatic_precision_is_bfloat16_for_fields_where_it_is_native(monkeypatch, native):
    monkeypatch.setattr(hardware, "native_bfloat16", lambda device: native)
    assert choose_precision("auto", CPU, MAPS) == ("bf16-mixed" if native else "32-true")
    assert choose_precision("auto", CPU, POINTS) == "32-true"
    assert choose_precision("auto", CPU, MAPS, preferred="32") == "32-true"
    assert choose_precision("bf16", CPU, POINTS) == "bf16-mixed"


def test_precisions_are_known_by_short_and_long_names():
    assert choose_precision("32-true", CPU, MAPS) == choose_precision("32", CPU, MAPS) == "32-true"
    with pytest.raises(UsageError, match="known ones are auto, 32, bf16"):
        choose_precision("16", CPU, MAPS)


def test_processes_that_are_there_must_be_as_many_as_asked_for(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="devices is 3, but 2 processes were started"):
        make_fabric(CPU, 3, "32-true")


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="this machine has 1"):
        make_fabric(torch.device("cuda"), 2, "32-true")
