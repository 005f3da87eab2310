"""Characters that nobody sees, which texts are shown with spelled out: no two texts look the same.

`str.isprintable` finds controls, marks of direction, spaces but the plain one, halves of surrogate
pairs and what is not assigned. Letters and marks that have no ink are printable to it.
"""

import re

# Default_Ignorable_Code_Point, https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt
_IGNORED = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# No property says that a glyph is empty; by the code charts: the Braille pattern without dots, two
# Egyptian blanks, the Khitan filler, and the note without a head.
_BLANK = "\u2800\U00013441\U00013442\U00016fe4\U0001d159"
_UNSEEN = re.compile(f"[{_IGNORED}{_BLANK}]")


def is_seen(text: str) -> bool:
    """Whether each character of a text can be seen, or is a plain space."""
    return text.isprintable() and (text.isascii() or not _UNSEEN.search(text))


def escaped(text: str) -> str:
    r"""A text in ASCII, as Python would write it: `\u3164`."""
    return text.encode("unicode_escape").decode("ascii")


def visible(text: str) -> str:
    """A text in which what cannot be seen, would control a terminal, or has no code is escaped."""
    if is_seen(text):
        return text
    return "".join(c if is_seen(c) else escaped(c) for c in text)
