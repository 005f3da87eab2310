"""The simulation is worth something: it notices when the writers are broken on purpose."""

import pytest

from tests.mutations import ISSUE, MORE, ROOT, noticed


@pytest.mark.parametrize("mutation", ISSUE, ids=lambda mutation: mutation.name)
def test_a_broken_writer_is_noticed(mutation):
    """Each break that the simulation was made for shows within a few seeds."""
    assert noticed(mutation, seeds=200)


@pytest.mark.parametrize("mutation", ISSUE + MORE, ids=lambda mutation: mutation.name)
def test_a_mutation_still_fits_the_code(mutation):
    """What `make simulate-mutations` replaces is there, exactly once."""
    assert (ROOT / mutation.path).read_text("utf-8").count(mutation.old) == 1
