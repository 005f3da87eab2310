"""Whether attributes that were asked for are any that the items of a question have. Pure."""

from dataclasses import dataclass, field
from difflib import get_close_matches

from reports.inputs.paths import Path, path_text, value_at
from reports.states.row_states import state_before
from reports.states.selection import Selection
from stream_core.attribute_values import Item
from stream_core.history_row import HistoryRow


@dataclass
class NamedPaths:
    """Looks for attributes that were named in all that a question comes across.

    Attributes:
        missing: paths that were named, and that no item had so far, each with its option.
        statement: what has none of them, in words.
        names: the attributes that items had.
    """

    missing: dict[Path, str]
    statement: str = "no change of the range knows"
    names: set[str] = field(default_factory=set)

    @classmethod
    def of_selection(cls, where: Selection) -> "NamedPaths":
        """Those of a selection of changes."""
        named = {where.path: "--attribute", where.actor_path: "--actor-attribute"}
        return cls({path: option for path, option in named.items() if path is not None})

    def note(self, row: HistoryRow) -> None:
        """Take note of a row, whether or not it is selected."""
        self.note_states(state_before(row), row.change.new_image)

    def note_states(self, *states: Item | None) -> None:
        """Take note of what items are or were."""
        there = [state for state in states if state is not None]
        self.names.update(*there)
        for path in list(self.missing):
            if any(value_at(state, path) is not None for state in there):
                del self.missing[path]

    def unknown(self) -> tuple[str, ...]:
        """What is missing, in words; where there was nothing nothing is known."""
        return tuple(self._unknown(*entry) for entry in self.missing.items() if self.names)

    def _unknown(self, path: Path, option: str) -> str:
        text = path_text(path)
        unknown = f"{self.statement} the attribute {text} of {option}"
        close = get_close_matches(text, sorted(self.names), 1)
        return f"{unknown}: is {path_text((close[0],))} meant?" if close else unknown
