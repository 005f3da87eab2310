"""Looking at a part of the items, and what that says about all of them."""

import hashlib
import math
from dataclasses import dataclass
from secrets import randbits

from operations.errors import RefusedError

CONFIDENCE = 0.95
"""How often what a sample says is true."""
_SEED_BITS = 64
# Enough halvings for every bit of a float between 0 and 1.
_HALVINGS = 60
_NEGLIGIBLE = 1e-17


@dataclass(frozen=True)
class Sample:
    """A random part of all items, the same in whichever table an item is met.

    An item belongs to it by a hash of its id, so that both directions look at the same items. The
    hash is salted anew each time: it cannot be known beforehand which items are looked at, so what
    is amiss with them has nothing to do with the choice.

    Attributes:
        share: how much of the items, more than 0, at most 1.
        seed: the salt; the same one chooses the same items.
    """

    share: float
    seed: int

    @classmethod
    def draw(cls, share: float | None, seed: int | None = None) -> "Sample":
        """A sample of a share of the items, None for all of them.

        Raises:
            RefusedError: it is no share.
        """
        if share is not None and not 0 < share <= 1:
            raise RefusedError(
                f"{share} is not a sample: give a share of more than 0 and at most 1, "
                "e.g. 0.01 for one item in a hundred"
            )
        return cls(1.0 if share is None else share, randbits(_SEED_BITS) if seed is None else seed)

    @property
    def is_everything(self) -> bool:
        """Whether every item is looked at."""
        return self.share >= 1

    def has(self, identifier: str) -> bool:
        """Whether an item is looked at."""
        if self.is_everything:
            return True
        salted = f"{self.seed}:{identifier}".encode("utf-8", "surrogatepass")
        number = int.from_bytes(hashlib.blake2b(salted, digest_size=8).digest())
        return number < self.share * (1 << _SEED_BITS)


def share_at_most(differing: int, looked_at: int) -> float:
    """The share of all items that is not exceeded, with that confidence, by those that differ.

    The one-sided bound of Clopper and Pearson (1934): the greatest share under which so few would
    still be found with a probability of 1 - CONFIDENCE. It holds for any share and any number
    looked at, and errs to the safe side. Without a find it is about 3 / n, the rule of three.

    Args:
        differing: how many of those looked at differ.
        looked_at: how many were looked at, chosen at random.
    """
    if differing >= looked_at:
        return 1.0
    low, high = differing / looked_at, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(differing, looked_at, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _at_most(differing: int, looked_at: int, share: float) -> float:
    """Probability that of so many looked at no more differ than were found; not below their share.

    Summed from the greatest term down: so many that are not negligible are about the square root
    of all.
    """
    if share >= 1:
        return 0.0
    logarithm = (
        math.lgamma(looked_at + 1)
        - math.lgamma(differing + 1)
        - math.lgamma(looked_at - differing + 1)
        + differing * math.log(share or 1)
        + (looked_at - differing) * math.log1p(-share)
    )
    total = term = 1.0
    for number in range(differing, 0, -1):
        term *= number * (1 - share) / ((looked_at - number + 1) * share)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return math.exp(logarithm + math.log(total))
