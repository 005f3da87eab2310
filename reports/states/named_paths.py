"""Whether attributes that were asked for are any that the items of a question have. Pure."""

from dataclasses import dataclass, field
from difflib import get_close_matches

from reports.inputs.paths import Path, path_text, value_at
from reports.states.row_states import state_before
from reports.states.selection import Selection
from stream_core.history_row import HistoryRow


@dataclass
class NamedPaths:
    """Looks for the attributes of a selection in all rows that it is asked of.

    Attributes:
        names: the attributes that items had.
        missing: paths that were named, and that no item had so far, each with its option.
    """

    where: Selection
    names: set[str] = field(default_factory=set)
    missing: dict[Path, str] = field(init=False)

    def __post_init__(self) -> None:
        """Everything is missing as yet."""
        named = {self.where.path: "--attribute", self.where.actor_path: "--actor-attribute"}
        self.missing = {path: option for path, option in named.items() if path is not None}

    def note(self, row: HistoryRow) -> None:
        """Take note of a row, whether or not it is selected."""
        states = [state for state in (state_before(row), row.change.new_image) if state is not None]
        self.names.update(*states)
        for path in list(self.missing):
            if any(value_at(state, path) is not None for state in states):
                del self.missing[path]

    def unknown(self) -> tuple[str, ...]:
        """What is missing, in words; of a range without changes nothing is known."""
        return tuple(self._unknown(*entry) for entry in self.missing.items() if self.names)

    def _unknown(self, path: Path, option: str) -> str:
        text = path_text(path)
        unknown = f"no change of the range knows the attribute {text} of {option}"
        close = get_close_matches(text, sorted(self.names), 1)
        return f"{unknown}: is {path_text((close[0],))} meant?" if close else unknown
