"""What a million changes cost: the figures of docs/deployment.md, worked out.

With other prices, e.g. of another region: `python -m benchmarks.cost --price write_units=0.7`.
"""

import argparse
import math
from dataclasses import dataclass

AS_OF = "November 2026"
"""When the prices were known; they were not looked up again."""
# US dollars, us-east-1, on demand. Units, invocations and seconds by the million; what is stored by
# the month.
PRICES = {
    "write_units": 0.625,
    "read_units": 0.125,
    "invocations": 0.20,
    "gb_seconds": 13.33,
    "stored_gib": 0.25,
    "recovery_gib": 0.20,
    "log_gb": 0.50,
}
CHANGES = 1_000_000
# A row without its images, for a key of 14 bytes; its entry in the index; what DynamoDB adds.
_ROW, _INDEX_ENTRY, _OVERHEAD = 450, 150, 100
# Lambda gives a whole CPU to 1,769 MB.
_GB_OF_A_CPU = 1.73
_LOG_BYTES_A_BATCH = 2_000
_GIB = 2**30


@dataclass(frozen=True)
class Update:
    """A change from one image to another of the same size.

    Attributes:
        size: of an image, in bytes by DynamoDB's rule.
        records: how many are in a batch; Lambda's event holds 6 MB.
        cpu_s: of both functions for a record: measured for 400 bytes, estimated for the others.
    """

    label: str
    size: int
    records: int
    cpu_s: float


UPDATES = (
    Update("400 B", 400, 100, 265e-6),
    Update("4 KB", 4_096, 100, 700e-6),
    Update("100 KB", 102_400, 28, 4_300e-6),
)


@dataclass(frozen=True)
class Cost:
    """What a million updates cost, in dollars, and what of them is kept.

    Attributes:
        row: bytes of a row of the history.
        kept_gib: rows and index entries.
        storage, recovery: a month of what is kept, and of its recovery to any second.
    """

    row: int
    history: float
    replica: float
    settling: float
    functions: float
    kept_gib: float
    storage: float
    recovery: float

    @property
    def total(self) -> float:
        """Of the changes themselves."""
        return self.history + self.replica + self.settling + self.functions


def cost(update: Update, prices: dict[str, float]) -> Cost:
    """What a million updates cost at some prices."""
    row = _ROW + 2 * update.size
    batches = CHANGES / update.records
    rows_gib = (row + _OVERHEAD) * CHANGES / _GIB
    kept_gib = rows_gib + (_INDEX_ENTRY + _OVERHEAD) * CHANGES / _GIB
    return Cost(
        row=row,
        history=(math.ceil(row / 1_024) + 1) * prices["write_units"],
        replica=math.ceil(update.size / 1_024) * prices["write_units"],
        settling=max(1, math.ceil(update.size / 4_096)) * prices["read_units"],
        functions=2 / update.records * prices["invocations"]
        + update.cpu_s * _GB_OF_A_CPU * prices["gb_seconds"]
        + batches * _LOG_BYTES_A_BATCH / 1e9 * prices["log_gb"],
        kept_gib=kept_gib,
        storage=kept_gib * prices["stored_gib"],
        recovery=rows_gib * prices["recovery_gib"],
    )


def rows(prices: dict[str, float]) -> list[str]:
    """The lines of the table in docs/deployment.md, an update each."""
    return [_line(update, cost(update, prices)) for update in UPDATES]


def _line(update: Update, found: Cost) -> str:
    cells = [
        update.label,
        f"{found.row:,} B",
        *(f"{part:.2f}" for part in (found.history, found.replica, found.settling)),
        f"{found.functions:.2f}",
        f"**{_three_digits(found.total)}**",
        f"{_three_digits(found.kept_gib, 1)} GiB",
        f"{found.storage:.2f} + {found.recovery:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _three_digits(value: float, decimals: int = 2) -> str:
    return f"{value:.{decimals}f}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.cost", description=__doc__)
    parser.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="NAME=DOLLARS",
        help=f"of {', '.join(PRICES)}",
    )
    prices = dict(PRICES)
    for given in parser.parse_args().price:
        name, _, dollars = given.partition("=")
        if name not in PRICES:
            parser.error(f"there is no price '{name}': there are {', '.join(PRICES)}")
        prices[name] = float(dollars)
    print("\n".join([f"Prices as known in {AS_OF}:", *rows(prices)]))  # noqa: T201


if __name__ == "__main__":
    main()
