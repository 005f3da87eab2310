"""What cannot be seen is found, and nothing else is."""

import re
import sys
import unicodedata

import pytest

from reports import unseen
from reports.unseen import is_seen, visible

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1)]


def test_all_that_unicode_lets_a_display_ignore_is_unseen():
    """As many as DerivedCoreProperties.txt says that there are; a number of 14.0 to 17.0."""
    ignored = re.compile(f"[{unseen._IGNORED}]")
    found = [each for each in EVERY_CHARACTER if ignored.match(each)]

    assert len(found) == 4174
    assert not any(map(is_seen, found))


def test_no_space_but_the_plain_one_is_seen():
    """Nor any line break, control, or half of a surrogate pair."""
    kinds = ("Z", "C")
    seen = {c for c in EVERY_CHARACTER if unicodedata.category(c).startswith(kinds) and is_seen(c)}

    assert seen == {" "}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ad\u3164min", r"ad\u3164min"),
        ("\u115f\u1160\uffa0", r"\u115f\u1160\uffa0"),
        ("\u2800", r"\u2800"),
        ("a\u00a0b\u3000c\u2003d", r"a\xa0b\u3000c\u2003d"),
        ("a\u00adb\u200bc\u200dd\ufeff", r"a\xadb\u200bc\u200dd\ufeff"),
        ("x\ufe0f\U000e0100\U000e0041", r"x\ufe0f\U000e0100\U000e0041"),
        ("\u034f\u17b4\u180b\U0001d159", r"\u034f\u17b4\u180b\U0001d159"),
        ("\x1b\u202e\ud800\n", r"\x1b\u202e\ud800\n"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text, shown):
    """As Python writes it."""
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text", ["", "a b", "é", "e\u0301", "Łódź", "서울", "日本", "नमस्ते", "😀", "⠁"]
)
def test_what_can_be_seen_is_left(text):
    """In any script."""
    assert visible(text) is text
