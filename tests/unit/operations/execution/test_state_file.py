"""The state file of an interrupted run: one state at any moment, and only for that run."""

import json
import stat

import pytest

from operations.errors import StateFileError
from operations.execution.state_file import StateFile
from stream_core.attribute_values import read_item
from tests.disk import durable_steps, full_disk, recorded_steps

ABOUT = {"source": "Employee", "segments": 4, "replica": None}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "backfill.state"


def test_what_is_saved_is_loaded_by_the_same_run(path):
    """Another process with the same tables and options goes on from it."""
    StateFile(path, ABOUT).save({"start": {"Id": {"S": "x"}}, "counts": [1, 2]})

    assert StateFile(path, dict(ABOUT)).load() == {"start": {"Id": {"S": "x"}}, "counts": [1, 2]}


def test_without_a_file_there_is_nothing_to_go_on_from(path):
    """A first run begins anew."""
    assert StateFile(path, ABOUT).load() is None


def test_binary_keys_come_back_as_they_were(path):
    """Bytes are base64 in the file, and `read_item` makes them bytes again."""
    key = {"Id": {"B": b"\x00\xff"}, "At": {"S": "é\udcff"}}

    StateFile(path, {}).save({"start": key})

    assert read_item(StateFile(path, {}).load()["start"]) == key


def test_the_file_of_another_run_is_refused(path):
    """The message names what differs, and what to do."""
    StateFile(path, ABOUT).save({})

    with pytest.raises(
        StateFileError,
        match=r'left by another run \(segments 4, not 8; table nothing, not "x"\): .*delete it',
    ):
        StateFile(path, ABOUT | {"segments": 8, "table": "x"}).load()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"format": 2}', b"\xff", b'{"format":1}'])
def test_a_file_of_something_else_is_refused(path, content):
    """It is left as it is: it may be somebody's letter."""
    path.write_bytes(content)

    with pytest.raises(StateFileError, match="is no state file of this program"):
        StateFile(path, ABOUT).load()
    assert path.read_bytes() == content


def test_a_save_that_fails_leaves_what_was_there(path, monkeypatch):
    """A full disk, a lost power supply: the state before is whole, and no scrap is left."""
    file = StateFile(path, ABOUT)
    file.save({"page": 1})

    full_disk(monkeypatch)
    with pytest.raises(StateFileError, match="cannot be written: No space left on device"):
        file.save({"page": 2})

    assert StateFile(path, ABOUT).load() == {"page": 1}
    assert list(path.parent.iterdir()) == [path]


def test_nobody_else_may_read_it(path):
    """It holds keys of items."""
    StateFile(path, {}).save({})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """Before anything is done, not after an hour of work."""
    file = StateFile(tmp_path / "nowhere" / "state", {})

    with pytest.raises(StateFileError, match=r"nowhere.* cannot be written: No such file"):
        file.save({})
    with pytest.raises(StateFileError, match="cannot be written"), file.alone():
        pass


def test_a_second_run_may_not_use_it_meanwhile(path):
    """Two at once would overwrite what the other knows; afterwards it is free again."""
    with (
        StateFile(path, {}).alone(),
        pytest.raises(StateFileError, match="in use by another run"),
        StateFile(path, {}).alone(),
    ):
        pass
    with StateFile(path, {}).alone():
        pass

    assert list(path.parent.iterdir()) == []


def test_a_finished_run_is_forgotten(path):
    """And to forget it twice is no error."""
    file = StateFile(path, {})
    file.save({"page": 1})

    file.remove()
    file.remove()

    assert file.load() is None


def test_an_option_is_compared_as_it_is_written(path):
    """A tuple and a list, or a number and its text in JSON, are what JSON makes of them."""
    StateFile(path, {"key": ("a", 1)}).save({})

    assert StateFile(path, {"key": ["a", 1]}).load() == {}
    assert json.loads(path.read_bytes())["about"] == {"key": ["a", 1]}


def test_a_saved_state_survives_a_power_failure(path, monkeypatch):
    """Its content is on the disk before it takes its name, and the name before the save ends."""
    steps = recorded_steps(monkeypatch)

    StateFile(path, {}).save({})

    assert steps == durable_steps(path)
