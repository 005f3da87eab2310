"""Reports: where the page goes, and what stands beside it."""

import stat

import boto3
import pytest

from itemtrail.commands import report as report_command
from itemtrail.options import target as options
from tests.unit.itemtrail.outputs import only_line
from tests.unit.itemtrail.trail import BROKEN, TARGET, Trail


@pytest.fixture
def tables(monkeypatch):
    """Stand-in tables behind `--history-table`."""

    class Stood(options.TargetTables):
        def open(self):
            return Trail(found=BROKEN)

    session = boto3.Session("test", "test", region_name="us-east-1")
    stood = Stood(session, None, "employee-trail-history", "Employee", 4, None, None)
    monkeypatch.setattr(report_command.Target, "tables", lambda _self: stood)


@pytest.mark.parametrize("key", [(), ("1",)], ids=["table", "item"])
@pytest.mark.usefixtures("tables")
def test_a_report_is_one_page_that_says_what_was_asked(run, key):
    """The page goes to stdout, the verdicts to stderr, and findings exit with 1."""
    status, out, err = run("report", *key, *TARGET)

    assert status == 1
    assert out.lower().startswith("<!doctype html>")
    assert " ".join(["itemtrail report", *key, *TARGET]) in out
    assert "outage of 3 March" in out
    assert only_line(err).startswith("integrity holds; completeness broken")


@pytest.mark.usefixtures("tables")
def test_a_report_can_go_into_a_file(run, tmp_path):
    """Nothing goes to stdout then."""
    file = tmp_path / "audit.html"

    status, out, _ = run("report", "1", *TARGET, "--file", str(file))

    assert (status, out) == (1, "")
    assert "</html>" in file.read_text("utf-8")


@pytest.mark.usefixtures("tables", "umask")
def test_the_file_of_a_report_is_its_owners_alone(run, tmp_path):
    """Also where others could read the one before it."""
    file = tmp_path / "audit.html"
    file.touch()
    file.chmod(0o644)

    run("report", "1", *TARGET, "--file", str(file))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.usefixtures("tables")
def test_a_report_is_not_thrown_at_a_terminal(run, monkeypatch):
    """HTML is for a browser: the line says how to get it there."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    status, out, err = run("report", "1", *TARGET)

    assert (status, out) == (2, "")
    assert "send it into a file, > audit.html or --file PATH" in only_line(err)
