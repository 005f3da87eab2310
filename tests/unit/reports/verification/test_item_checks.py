"""What is found of one item, and whether it may pass."""

from datetime import timedelta

import pytest

from reports.verification.continuity import Finding, FindingKind
from reports.verification.item_checks import ItemReport, Subject
from tests.unit.memory_tables import moment

KEYS = {"Id": {"S": "1"}}


def may_pass(kind, until):
    """Whether an item with such a finding is looked at again."""
    finding = Finding(kind, KEYS, None, until, None, "detail")
    return ItemReport(Subject("1"), moment(0), findings=[finding]).may_pass()


@pytest.mark.parametrize("kind", [FindingKind.DIGEST_MISMATCH, FindingKind.KEY_MISMATCH])
def test_an_altered_row_does_not_pass(kind):
    """No row on its way explains it, however young it is."""
    assert not may_pass(kind, moment(0))


def test_a_missing_change_may_pass_for_as_long_as_an_invocation_lasts():
    """Rows of one batch are written side by side, the later one first perhaps."""
    assert may_pass(FindingKind.MISSING_CHANGE, None)
    assert may_pass(FindingKind.MISSING_CHANGE, moment(0) - timedelta(minutes=14, seconds=59))
    assert not may_pass(FindingKind.MISSING_CHANGE, moment(0) - timedelta(minutes=15))
