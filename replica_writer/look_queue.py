"""The intents of invocations: items about to be written, to be looked at once more much later.

An invocation may be killed between a write and the read after it, and a write that was given up may
take effect long afterwards. Neither can report itself. So the keys go to a queue before the first
write, and come back when no request of then can be alive any more:

    {"Format": 1, "Due": 1796012712.5, "Keys": [{"Id": {"N": "1"}}, ...]}
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream_core.attribute_values import Item, read_item, wire_json
from stream_core.calls import cut
from stream_core.errors import MalformedRecordError
from stream_core.retry import CallError, Patience

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_FORMAT = 1
# What AWS refuses: requests whose signature is 15 minutes old. One more, for clocks that differ.
_REQUESTS_DIE_AFTER_S = 16 * 60
# API reference, SendMessage.
_LONGEST_DELAY_S = 900
_MOST_BYTES = 200 * 1024


@dataclass(frozen=True)
class Look:
    """Items to look at, no earlier than when they are due.

    Attributes:
        due: seconds since the epoch.
    """

    due: float
    keys: list[Item]

    @classmethod
    def read(cls, body: str) -> "Look":
        """Read a message.

        Raises:
            MalformedRecordError: it is none of ours.
        """
        try:
            content = json.loads(body)
            if content["Format"] != _FORMAT:
                raise MalformedRecordError("a message of another format")
            return cls(float(content["Due"]), [read_item(key) for key in content["Keys"]])
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedRecordError("a message that is no intent") from error


@dataclass(frozen=True)
class LookQueue:
    """The queue of intents.

    Attributes:
        clock: seconds since the epoch.
    """

    sqs: "SQSClient"
    url: str
    clock: Callable[[], float] = time.time

    def announce(self, keys: Iterable[Item], patience: Patience) -> Counter[str]:
        """Have items looked at when no request of this invocation can be alive any more.

        Returns:
            The codes of errors that were not overcome: then nothing may be written.
        """
        due = self.clock() + patience.remaining_ms() / 1000 + _REQUESTS_DIE_AFTER_S
        errors: Counter[str] = Counter()
        unsent = patience.work_off(
            [Look(due, part) for part in cut(keys, _MOST_BYTES, _size, _MOST_BYTES)],
            lambda looks: [look for look in looks if not self._is_sent(look, patience, errors)],
        )
        return (errors or Counter(OutOfTime=1)) if unsent else Counter()

    def pass_on(self, look: Look) -> None:
        """Have a message that came too early delivered again when it is due, or nearer to it.

        Raises:
            ClientError, BotoCoreError: it is not known to be sent.
        """
        delay = min(_LONGEST_DELAY_S, max(0, int(look.due - self.clock()) + 1))
        body = {"Format": _FORMAT, "Due": look.due, "Keys": look.keys}
        self.sqs.send_message(
            QueueUrl=self.url, MessageBody=wire_json(body).decode(), DelaySeconds=delay
        )

    def _is_sent(self, look: Look, patience: Patience, errors: Counter[str]) -> bool:
        try:
            patience.call(lambda: self.pass_on(look))
        except CallError as error:
            errors[error.code] += 1
            return False
        return True


def _size(key: Item) -> int:
    return len(wire_json(key)) + 1
