"""What is installed may be handed on with our package."""

from tests import licences
from tests.locks import LAYER_LOCK, pins


def test_the_list_of_licences_is_as_the_packages_declare_them():
    """docs/licences.md is what `make docs` makes."""
    assert licences.PAGE.read_text("utf-8") == licences.text()


def test_every_licence_is_permissive():
    """A package that comes with a condition on what it is used in is noticed when it is locked."""
    found = licences.closure()

    assert pins(LAYER_LOCK).keys() < found.keys()
    assert {
        package: names
        for package, names in found.items()
        if not names or not set(names) <= licences.PERMISSIVE
    } == {}
