"""What an option takes for a value."""

import click
import pytest
from click.testing import CliRunner

from itemtrail.options.kinds import ShareType, asked_at
from itemtrail.options.target import RECORDED_UNTIL
from reports.errors import ReportError
from reports.states.watermark import declared_watermark


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("100%", 1.0)])
def test_a_share_is_a_part_of_all_items(text, share):
    """All of them are one too, as a percentage."""
    assert ShareType().convert(text, None, None) == share


@pytest.mark.parametrize("text", ["1", "1.0", "0", "0%", "101%", "-1%", "nan", "half"])
def test_what_may_mean_two_things_is_no_share(text):
    """1 may be one in a hundred, or all of them."""
    with pytest.raises(click.BadParameter, match="is no part of the items"):
        ShareType().convert(text, None, None)


@click.command()
@RECORDED_UNTIL
def declare(recorded_until):
    """Say what was declared."""
    try:
        click.echo(declared_watermark(recorded_until, asked_at()).at.isoformat())
    except ReportError as error:
        raise click.ClickException(str(error)) from None


@pytest.mark.parametrize("time", ["now", "today", "yesterday", "2h ago"])
def test_a_variable_that_is_kept_does_not_count_from_now(time):
    """It would vouch for more each day, though who set it knew of that day alone."""
    result = CliRunner().invoke(declare, env={"ITEMTRAIL_RECORDED_UNTIL": time})

    assert result.exit_code == 2
    assert "is not a time: use ISO 8601" in result.output


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        ("2026-03-01T10:00Z", "2026-03-01T10:00:00+00:00"),
        ("2026-03-01", "2026-03-01T23:59:59.999999+00:00"),
    ],
)
def test_a_written_time_is_the_same_in_both_places(time, moment):
    """A day is its end, when it is over."""
    by_variable = CliRunner().invoke(declare, env={"ITEMTRAIL_RECORDED_UNTIL": time})
    by_option = CliRunner().invoke(declare, ["--recorded-until", time])

    assert by_variable.output == by_option.output == f"{moment}\n"


def test_a_day_that_is_not_over_is_no_word_to_give():
    """It lasts until tonight; a moment of it may be given."""
    today = CliRunner().invoke(declare, ["--recorded-until", "today"])
    now = CliRunner().invoke(declare, ["--recorded-until", "now"])

    assert today.exit_code == 1
    assert "lies in the future: give the time up to which" in today.output
    assert now.exit_code == 0
