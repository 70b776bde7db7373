import pytest

from pushforward.errors import UsageError
from pushforward.runs.directory import fresh_directory, open_directory


def test_a_fresh_directory_is_named_after_data_and_model(tmp_path):
    first = fresh_directory("Maps_Mcdm_LH_z=0.00.npy", "vae", under=tmp_path)
    assert first == tmp_path / "Maps_Mcdm_LH_z=0.00-vae"
    first.mkdir()
    assert fresh_directory("Maps_Mcdm_LH_z=0.00.npy", "vae", under=tmp_path).name.endswith("-vae-2")
    assert fresh_directory("../a b/*.fits", "vae", under=tmp_path).parent == tmp_path


def test_an_empty_directory_starts_a_run_with_and_without_resume(tmp_path):
    assert open_directory(tmp_path / "new" / "run", resume=False) is None
    assert open_directory(tmp_path / "new" / "run", resume=True) is None


def test_what_a_killed_process_left_half_written_is_taken_away(tmp_path):
    (tmp_path / ".model.safetensors.12.partial").write_text("half")
    assert open_directory(tmp_path, resume=False) is None
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "config.yaml").write_text("model: vae")
    with pytest.raises(UsageError, match="already holds a run; resume it"):
        open_directory(tmp_path, resume=False)
    assert open_directory(tmp_path, resume=True) == {"model": "vae"}


def test_other_things_are_not_taken_for_a_run(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"holds 'thesis.tex' but no run"):
        open_directory(tmp_path, resume=False)
    with pytest.raises(UsageError, match="is a file"):
        open_directory(tmp_path / "thesis.tex", resume=False)


def test_a_folder_that_cannot_be_written_to_is_found_out_at_once():
    with pytest.raises(UsageError, match="cannot be written to"):
        open_directory(__import__("pathlib").Path("/proc/run"), resume=False)
