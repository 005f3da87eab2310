"""Reading a function's environment once, naming everything that is wrong with it at once."""

import re
from collections.abc import Mapping

from stream_core.errors import SettingsError

TABLE_NAME = re.compile(r"[\w.-]{3,255}", re.ASCII)
"""Developer Guide, naming rules."""
_TABLE_ARN = re.compile(
    rf"arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:\d{{12}}:table/{TABLE_NAME.pattern}", re.ASCII
)


class Environment:
    """Typed reads of environment variables that collect their problems.

    Call `check` after the last read: only then are the values good.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Read from `variables`, normally `os.environ`."""
        self._variables = variables
        self._problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required when there is no default."""
        value = self._variables.get(name, "").strip() or default
        if value is None:
            self._problems.append(f"{name} is not set")
            return ""
        return value

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.text(name, str(default))
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        self._problems.append(f"{name} is '{text}', not a whole number from {least} to {most}")
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """`true` or `false`."""
        text = self.text(name, str(default)).lower()
        if text not in ("true", "false"):
            self._problems.append(f"{name} is '{text}', not true or false")
        return text == "true"

    def table_arn(self, name: str) -> str:
        """The ARN of a DynamoDB table."""
        text = self.text(name)
        if text and not _TABLE_ARN.fullmatch(text):
            self._problems.append(
                f"{name} is '{text}', not the ARN of a table: "
                "arn:aws:dynamodb:REGION:ACCOUNT:table/NAME"
            )
        return text

    def refuse(self, problem: str) -> None:
        """Add a problem that only the values together show."""
        self._problems.append(problem)

    def check(self) -> None:
        """End the reading.

        Raises:
            SettingsError: something was missing or wrong.
        """
        if self._problems:
            raise SettingsError("wrong settings: " + "; ".join(self._problems))
