"""What the demo tells a person to go on with."""

import shlex
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from rich.console import Console

from itemtrail.local import demo


@pytest.mark.parametrize(
    ("started_as", "program"),
    [
        ("/x/itemtrail/__main__.py", [sys.executable, "-m", "itemtrail"]),
        ("/a b/bin/itemtrail", ["/a b/bin/itemtrail"]),
    ],
)
def test_the_commands_to_go_on_with_can_be_run(monkeypatch, started_as, program):
    """They begin with what started the demo; the region is there for every SDK."""

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", [started_as])
    monkeypatch.setattr(demo.signal, "pause", interrupt)
    console = Console(width=200)
    workload = SimpleNamespace(instants=[(datetime(2026, 3, 3, tzinfo=UTC), {})] * 3)

    with console.capture() as captured:
        demo.Demo(console, seed=1)._keep(SimpleNamespace(endpoint_url="http://x:1"), workload, None)

    lines = [shlex.split(line) for line in captured.get().splitlines()]
    assert [*program, "history", "1"] in lines
    exported = {word for line in lines if line[:1] == ["export"] for word in line[1:]}
    assert {"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1"} <= exported
    assert "for every user of this machine and for nobody else" in captured.get()
