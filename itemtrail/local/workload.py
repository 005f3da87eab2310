"""What the demo does to its table: Murali gets his name, and some hundred other changes.

Everything goes through the ordinary DynamoDB API. The workload keeps its own log of what it did,
which the history is held against.
"""

import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stream_core.attribute_values import AttributeValue, Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MURALI, BUSY, LARGE = 1, 2, 3
_FIRST_OTHER, _MOST_OTHERS = 10, 60
_RANDOM_CHANGES = 300
_BURST = 20
# Two images of this size do not fit into one row of 400 KB.
_LARGE_BYTES = 300_000
_NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Niklaus", "Frances", "Alan", "Radia")
_SKILLS = ("sql", "go", "rust", "ops", "audit", "sales")


@dataclass
class Workload:
    """Changes to an `Employee` table, and the log of them.

    Attributes:
        items: the table as it should be, by `Id`.
        log: for each `Id` its changes in order, as (old, new).
        instants: three moments, and the whole table as it was then.
    """

    dynamodb: "DynamoDBClient"
    table: str
    seed: int
    items: dict[int, Item] = field(default_factory=dict)
    log: dict[int, list[tuple[Item | None, Item | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    instants: list[tuple[datetime, dict[int, Item]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be secret

    @property
    def changes(self) -> int:
        """How many changes were made so far."""
        return sum(map(len, self.log.values()))

    def run(self) -> None:
        """Make all the changes."""
        self._put(
            MURALI, {"Name": {"S": "Murali"}, "Salary": {"N": "4200.50"}, **_by("recruiting")}
        )
        self._insert_others()
        self._remember_instant()

        self._update(MURALI, {"Name": {"S": "Murali Allada"}, **_by("murali")})
        self._change_at_random()
        self._remember_instant()

        # Nobody says who did this one.
        self._update(MURALI, {"Skills": {"SS": ["audit", "sql"]}})
        self._update(MURALI, {"Salary": {"N": "4700"}, **_by("payroll")})
        address: AttributeValue = {"M": {"City": {"S": "Palo Alto"}, "Zip": {"S": "94301"}}}
        self._update(MURALI, {"Address": address, **_by("murali")})
        self._burst()
        self._outgrow_a_row()
        self._remember_instant()

    def _insert_others(self) -> None:
        for identifier in range(_FIRST_OTHER, _FIRST_OTHER + _MOST_OTHERS):
            name = self._random.choice(_NAMES)
            self._put(identifier, {"Name": {"S": name}, "Salary": self._number()})

    def _change_at_random(self) -> None:
        for _ in range(_RANDOM_CHANGES):
            identifier = self._random.randrange(_FIRST_OTHER, _FIRST_OTHER + _MOST_OTHERS)
            if identifier not in self.items:
                self._put(identifier, {"Name": {"S": "reborn"}, "Salary": self._number()})
            elif self._random.random() < 0.15:  # noqa: PLR2004 - a share of deletions
                self._delete(identifier)
            else:
                self._update(identifier, self._attribute())

    def _burst(self) -> None:
        """Several changes of one item within one second."""
        self._put(BUSY, {"Name": {"S": "Busy"}, "Count": {"N": "0"}})
        for number in range(1, _BURST):
            self._update(BUSY, {"Count": {"N": str(number)}})

    def _outgrow_a_row(self) -> None:
        for _ in range(2):
            self._put(LARGE, {"Photo": {"B": self._random.randbytes(_LARGE_BYTES)}})

    def _attribute(self) -> Item:
        """A value of each kind that is easily bent."""
        name, value = self._random.choice(
            (
                ("Salary", self._number()),
                ("Badge", {"B": self._random.randbytes(12)}),
                ("Skills", {"SS": self._random.sample(_SKILLS, 2)}),
                ("Scores", {"NS": [str(n) for n in self._random.sample(range(1000), 3)]}),
                ("Keys", {"BS": [self._random.randbytes(4), b""]}),
                ("Manager", {"NULL": True}),
                ("Remote", {"BOOL": self._random.random() < 0.5}),  # noqa: PLR2004
                ("Note", {"S": ""}),
                ("Path", {"L": [{"M": {"S": {"S": "a name"}, "N": self._number()}}]}),
            )
        )
        return {name: value}

    def _number(self) -> AttributeValue:
        """A number of 38 digits, the most that DynamoDB keeps."""
        digits = str(self._random.randrange(10**37, 10**38))
        return {"N": f"{digits[:5]}.{digits[5:-1]}7"}

    def _put(self, identifier: int, attributes: Item) -> None:
        item = {"Id": {"N": str(identifier)}, **attributes}
        self.dynamodb.put_item(TableName=self.table, Item=item)
        self._log(identifier, item)

    def _update(self, identifier: int, attributes: Item) -> None:
        item = {**self.items[identifier], **attributes}
        if item == self.items[identifier]:
            # DynamoDB writes no record of an update that changes nothing; MiniStack does.
            return
        self.dynamodb.update_item(
            TableName=self.table,
            Key={"Id": {"N": str(identifier)}},
            UpdateExpression=f"SET {', '.join(f'#n{n} = :v{n}' for n in range(len(attributes)))}",
            ExpressionAttributeNames={f"#n{n}": name for n, name in enumerate(attributes)},
            ExpressionAttributeValues={f":v{n}": v for n, v in enumerate(attributes.values())},
        )
        self._log(identifier, item)

    def _delete(self, identifier: int) -> None:
        self.dynamodb.delete_item(TableName=self.table, Key={"Id": {"N": str(identifier)}})
        self._log(identifier, None)

    def _log(self, identifier: int, item: Item | None) -> None:
        self.log[identifier].append((self.items.get(identifier), item))
        if item is None:
            del self.items[identifier]
        else:
            self.items[identifier] = item

    def _remember_instant(self) -> None:
        """Keep this moment, and let its second pass: changes are stamped with whole seconds."""
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self.instants.append((now, dict(self.items)))
        time.sleep(1 - now.microsecond / 1_000_000)


def _by(name: str) -> Item:
    """How an application says in its items who writes them."""
    return {"UpdatedBy": {"S": name}}
