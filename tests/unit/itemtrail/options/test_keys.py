"""The keys that a command is told."""

from itemtrail.options.keys import _keys_in
from reports.inputs.keys import KeySchema


def test_a_line_is_a_key_with_its_spaces(tmp_path):
    """Only what ends a line is none of the key's."""
    path = tmp_path / "keys"
    path.write_bytes(b" a \n\tb\r\nc")

    with path.open(newline="") as file:
        keys = _keys_in(file, KeySchema({"Id": "S"}))

    assert [key["Id"]["S"] for key in keys] == [" a ", "\tb", "c"]
