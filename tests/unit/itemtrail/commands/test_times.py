"""Times on the command line: days, time zones, and what an answer says of how it read them."""

from datetime import UTC, datetime

import pytest

from tests.unit.itemtrail.outputs import only_line
from tests.unit.itemtrail.trail import EVERY_QUESTION, Trail

RANGE = ("--since", "2018-03-01", "--until", "2018-03-31")


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("command", ["changes", "between"])
def test_a_range_of_days_is_told_beside_every_form(run_on, capfdbinary, command, form):
    """The last day is in it, to its end; the line on stderr can be given again as it stands."""
    run_on(command, *RANGE, "--output", form)

    told = capfdbinary.readouterr().err.decode().splitlines()
    assert told[0] == "from 2018-03-01T00:00:00.000000Z to 2018-03-31T23:59:59.999999Z"
    assert told[1:] == ["the history began at 2018-03-02 14:06:00 UTC: nothing before is known"]


@pytest.mark.parametrize(
    "words",
    [
        ("as-of", "1", "--at", "2999-01-01"),
        ("table-as-of", "--at", "2999-01-01"),
        ("blame", "1", "--at", "2999-01-01"),
        ("diff", "1", "--from", "2018-03-03", "--to", "2999-01-01"),
        ("diff", "1", "--from", "2999-01-01"),
        ("report", "1", "--at", "2999-01-01"),
        ("report", "--since", "2999-01-01"),
        ("changes", "--since", "2999-01-01"),
        ("restore", "1", "--at", "2999-01-01"),
        ("restore", "1", "--before", "2999-01-01"),
        ("undo", "--all", "--since", "2999-01-01", "--until", "2999-01-02"),
        ("redrive", "--from-stream", "--since", "2999-01-01"),
        ("query", "SELECT 1", "--dataset", "trail", "--at", "2999-01-01"),
    ],
)
def test_no_command_speaks_of_the_future(run, words):
    """Nothing is known of it; only a range may end there, as one does that ends today."""
    status, out, err = run(*words)

    assert (status, out) == (2, "")
    assert "'2999-01-01' lies in the future, of which nothing is known" in only_line(err)


@pytest.mark.parametrize("command", ["blame", "table-as-of"])
def test_an_instant_is_told_beside_a_list(run, command):
    """A day is its end."""
    key = ("1",) if command == "blame" else ()

    _, _, err = run(command, *key, "--at", "2018-03-03", "--output", "jsonl")

    assert err.splitlines()[0] == "as of 2018-03-03T23:59:59.999999Z"


def test_diff_holds_a_day_against_the_one_before(run):
    """What was changed in the first second of the first day is a difference too."""
    _, _, err = run("diff", "1", "--from", "2018-03-03", "--to", "2018-03-03", "--output", "csv")
    _, table, _ = run(
        "diff", "1", "--from", "2018-03-03", "--to", "2018-03-03", "--output", "table"
    )

    assert only_line(err) == "from 2018-03-02T23:59:59.999999Z to 2018-03-03T23:59:59.999999Z"
    assert "from 2018-03-02 23:59:59.999 to 2018-03-03 23:59:59.999 UTC" in table


def test_a_time_zone_is_that_of_days_and_of_tables(run, monkeypatch):
    """JSON stays in UTC; the variable does what the option does."""
    trail = Trail()
    zurich = ("--tz", "Europe/Zurich")

    _, table, _ = run("changes", *RANGE, *zurich, "--output", "table", trail=trail)
    start, end, *_ = trail.asked[0]
    _, lines, _ = run("changes", *RANGE, *zurich, "--output", "jsonl")
    monkeypatch.setenv("ITEMTRAIL_TZ", "Europe/Zurich")
    _, by_variable, _ = run("changes", *RANGE, "--output", "table")

    assert start == datetime(2018, 2, 28, 23, tzinfo=UTC)
    assert end == datetime(2018, 3, 31, 21, 59, 59, 999_999, tzinfo=UTC)
    assert "Changes from 2018-03-01 00:00:00 to 2018-03-31 23:59:59.999 Europe/Zurich" in table
    assert "2018-03-03 15:06:00" in table
    assert "(Europe/Zurich)" in table
    assert "UTC" not in table
    assert '"at":"2018-03-03T14:06:00.000000Z"' in lines
    assert by_variable == table


@pytest.mark.parametrize("zone", ["Europe/Zurch", "../etc/passwd", "Europe", "", "+01:00"])
@pytest.mark.parametrize("command", sorted(EVERY_QUESTION))
def test_an_unknown_time_zone_is_refused_in_a_line(run, command, zone):
    """Every question takes --tz, and none of them guesses."""
    status, out, err = run(*EVERY_QUESTION[command], "--tz", zone)

    assert (status, out) == (2, "")
    assert f"'{zone}' is not a time zone: use a name such as Europe/Zurich" in only_line(err)


@pytest.mark.parametrize("text", ["1796012712345", "2026-W10", "2026-03-01x10:00", "20260301"])
def test_what_is_no_written_time_is_refused_in_a_line(run, text):
    """Never the year 1796."""
    status, out, err = run("as-of", "1", "--at", text)

    assert (status, out) == (2, "")
    assert f"'{text}' is not a time: use ISO 8601" in only_line(err)
