"""What an acceptance run has made, taken away again at its end, however it ends."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from stream_core.retry import error_code


@dataclass
class CleanUp:
    """What is to be taken away, the last made first.

    Attributes:
        stays: what remains in the account, as it has to or because it could not be taken away.
    """

    stays: list[str] = field(default_factory=list)
    _steps: list[tuple[str, Callable[[], object]]] = field(default_factory=list)

    def later(self, what: str, step: Callable[[], object]) -> None:
        """Note how something is taken away, as soon as it is known what to name."""
        self._steps.append((what, step))

    @contextlib.contextmanager
    def making(self, what: str, step: Callable[[], object]) -> Iterator[None]:
        """Note how what the block makes is taken away; where that is refused, nothing was made."""
        self.later(what, step)
        try:
            yield
        except ClientError:
            self._steps.pop()
            raise

    def run(self) -> None:
        """Take everything away; what cannot be is noted, and the rest goes on.

        Raises:
            KeyboardInterrupt: somebody does not want to wait; what is there still is noted.
        """
        while self._steps:
            what, step = self._steps[-1]
            try:
                step()
            except Exception as error:  # noqa: BLE001 - the rest is taken away all the same
                self.stays.append(f"{what}, which could not be taken away: {error_code(error)}")
            except BaseException:
                self.stays += [f"{made}, which was not taken away" for made, _ in self._steps[::-1]]
                raise
            self._steps.pop()
