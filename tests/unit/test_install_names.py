"""Nothing that we write tells people to install a name that somebody else may own.

The package is on no index. Until it is, whoever registers its name decides what
`pip install NAME` runs on the machines of our users.
"""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from itemtrail.extras import how_to_install

ROOT = Path(__file__).parents[2]
# The installers that take a name, and what they are told to install.
COMMAND = re.compile(
    r"\b(?:uvx|(?:pip|pipx|uv pip|uv tool|uv|poetry) (?:install|add|run))(?P<arguments>[^\n`|;&]*)"
)
OURS = re.compile(r"(?<![\w./-])itemtrail\b(?![./-])")


def named_packages(text):
    """Every argument of an installing command that is the bare name of our package."""
    commands = (match["arguments"].partition("#")[0] for match in COMMAND.finditer(text))
    from_an_index = (command for command in commands if "--no-index" not in command)
    return [
        command for command in from_an_index if OURS.search(command.partition(" in a checkout")[0])
    ]


@pytest.mark.parametrize(
    "text",
    [
        "pip install itemtrail",
        "pip install 'itemtrail[warehouse]'",
        'python -m pip install --upgrade "itemtrail>=0.1"',
        "pipx run itemtrail demo",
        "pipx install itemtrail",
        "uvx itemtrail demo",
        "uv tool install itemtrail",
    ],
)
def test_a_bare_name_is_found(text):
    """The test below is worth what it finds."""
    assert named_packages(text) != []


@pytest.mark.parametrize(
    "text", ["pip install .", how_to_install("warehouse"), "pip install dist/itemtrail-0.1.0.whl"]
)
def test_a_checkout_is_no_bare_name(text):
    """What is installed from files on this machine cannot be somebody else's."""
    assert named_packages(text) == []


def test_nothing_tells_people_to_install_a_name_that_is_not_ours():
    """Documents, messages, templates and makefiles."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [
        ROOT / name
        for name in listed.split("\0")
        if name.endswith((".py", ".md", ".yaml", ".toml", ".html", ".j2", "Makefile"))
        and name != Path(__file__).relative_to(ROOT).as_posix()
    ]
    found = {
        file.relative_to(ROOT).as_posix(): commands
        for file in files
        if (commands := named_packages(file.read_text("utf-8")))
    }

    assert len(files) > 100
    assert found == {}


@pytest.mark.parametrize("document", ["README.md", "docs/warehouse.md", "docs/json.md"])
def test_an_extra_that_is_named_exists(document):
    """The extras of pyproject.toml, and no others."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"\.\[([a-z,]+)\]", (ROOT / document).read_text("utf-8"))

    assert named != []
    assert {extra for names in named for extra in names.split(",")} <= {
        *extras["optional-dependencies"]
    }
