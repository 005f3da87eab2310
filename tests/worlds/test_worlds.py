"""No answer is better than the truth, in worlds that are late, lossy, foreign or altered."""

import pytest

from tests.worlds.answers import Examination
from tests.worlds.world import DAMAGES

pytestmark = pytest.mark.bank

PER_DAMAGE = 15


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_answer_is_better_than_the_truth(damage):
    """As of any instant, in lines, differences, blame, tables, frames and verdicts."""
    exact = 0
    for seed in range(DAMAGES.index(damage), PER_DAMAGE * len(DAMAGES), len(DAMAGES)):
        examination = Examination(seed)
        assert examination.world.damage == damage

        faults = examination.run()

        assert faults == [], f"{examination.world}"
        exact += examination.exact
    assert exact > 0, "not one answer of all these worlds is exact"


def test_a_seed_is_one_world():
    """The same seed gives the same writes, the same rows and the same questions."""
    for seed in range(len(DAMAGES)):
        runs = [Examination(seed) for _ in range(2)]
        for run in runs:
            run.run()

        assert len({str(run.world) for run in runs}) == 1
        assert len({(run.answers, run.exact, tuple(run.faults)) for run in runs}) == 1
