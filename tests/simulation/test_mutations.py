"""The tests are worth something: they notice when the code is broken on purpose."""

from collections import Counter

import pytest

from tests.mutations.__main__ import evidence
from tests.mutations.table import ROOT, read_mutations

MUTATIONS = read_mutations()
IN_SUITE = [mutation for mutation in MUTATIONS if mutation.in_suite]


@pytest.mark.bank
@pytest.mark.parametrize("mutation", IN_SUITE, ids=lambda mutation: mutation.identifier)
def test_a_broken_writer_is_noticed(mutation):
    """Each break that the simulation was made for shows within a few seeds."""
    assert evidence(mutation, seeds=200)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.identifier)
def test_a_mutation_still_fits_the_code(mutation):
    """What `make mutations` replaces is there, exactly once, and so are its tests."""
    assert mutation.broken(ROOT) != (ROOT / mutation.path).read_text("utf-8")
    assert mutation.is_simulated or all((ROOT / path).is_file() for path in mutation.tests)


def test_a_mutation_is_known_by_its_name():
    """`--only` names one."""
    names = Counter(mutation.identifier for mutation in MUTATIONS)

    assert names.most_common(1)[0][1] == 1
