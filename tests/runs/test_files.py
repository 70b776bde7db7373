import pickle

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.runs.files import load_tensors, load_yaml, replace_file, save_tensors, save_yaml


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights.safetensors"
    shared = torch.arange(6.0)
    tensors = {"a": shared.view(2, 3), "b": shared[:3], "step": torch.tensor(7), "flag": torch.tensor([True, False])}
    save_tensors(path, tensors, {"kind": "test", "step": 7})
    return path, tensors


def test_tensors_come_back_as_they_were(saved):
    path, tensors = saved
    loaded, about = load_tensors(path, "test")
    assert about == {"kind": "test", "step": 7}
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert [p.name for p in path.parent.iterdir()] == [path.name], "nothing half written may be left behind"


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(partial):
        partial.write_text("ne")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        replace_file(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_flipped_byte_of_a_tensor_is_found(saved):
    path, _ = saved
    content = bytearray(path.read_bytes())
    for place in (-1, -9, -20):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="damaged"):
            load_tensors(path, "test")


@pytest.mark.parametrize("keep", [0, 4, 40, -3])
def test_a_truncated_file_is_called_so(saved, keep):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match="damaged or truncated"):
        load_tensors(path, "test")


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize("dump", [lambda p: p.write_bytes(pickle.dumps(Bomb())), lambda p: torch.save(Bomb(), p)])
def test_a_pickle_in_disguise_is_refused_and_not_run(tmp_path, dump):
    path = tmp_path / "model.safetensors"
    dump(path)
    with pytest.raises(UsageError, match="is a pickle"):
        load_tensors(path, "test")


def test_files_of_another_kind_and_missing_ones_are_told_apart(saved, tmp_path):
    path, _ = saved
    with pytest.raises(UsageError, match="holds a test, not a checkpoint"):
        load_tensors(path, "checkpoint")
    with pytest.raises(UsageError, match="is missing"):
        load_tensors(tmp_path / "nowhere.safetensors", "test")


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(saved, monkeypatch):
    path, _ = saved
    before = path.read_bytes()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3})())
    with pytest.raises(UsageError, match="cannot be written"):
        save_tensors(path, {"a": torch.zeros(100)}, {"kind": "test"})
    assert path.read_bytes() == before


def test_yaml_is_read_safely(tmp_path):
    path = tmp_path / "config.yaml"
    save_yaml(path, {"b": [1, 2.5], "a": {"c": None, "name": "Ω"}})
    assert load_yaml(path) == {"b": [1, 2.5], "a": {"c": None, "name": "Ω"}}
    assert path.read_text(encoding="utf-8").startswith("b:"), "the order must be kept"
    for text in ("a: [1,", "!!python/object/apply:os.system ['true']", "just text"):
        path.write_text(text)
        with pytest.raises(UsageError):
            load_yaml(path)
