"""What an option takes for a value."""

import click
import pytest

from itemtrail.options.kinds import ShareType


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("100%", 1.0)])
def test_a_share_is_a_part_of_all_items(text, share):
    """All of them are one too, as a percentage."""
    assert ShareType().convert(text, None, None) == share


@pytest.mark.parametrize("text", ["1", "1.0", "0", "0%", "101%", "-1%", "nan", "half"])
def test_what_may_mean_two_things_is_no_share(text):
    """1 may be one in a hundred, or all of them."""
    with pytest.raises(click.BadParameter, match="is no part of the items"):
        ShareType().convert(text, None, None)
