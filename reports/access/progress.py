"""How long work tells how far it is."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called now and then with what is being done, how much of it is, and of how much if known."""


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Show no progress."""
