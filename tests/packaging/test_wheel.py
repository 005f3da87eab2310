"""What a wheel installs, in an environment of its own beside a project that has our names."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import itemtrail
import reports
from setup import with_full_imports
from stream_core import errors

ROOT = Path(__file__).resolve().parents[2]
SIBLINGS = ("history_writer", "operations", "replica_writer", "reports", "stream_core", "warehouse")
MODULES = [path for name in (*SIBLINGS, "itemtrail") for path in (ROOT / name).rglob("*.py")]

# Asks a history table of moto's, as a project that owns all our names would.
QUESTION = """
import boto3, moto
import operations, reports, stream_core, warehouse
from itemtrail import HistoryTable, Selection

ours = (operations, reports, stream_core, warehouse)
assert all(module.OWNER == "the project" for module in ours)
with moto.mock_aws():
    client = boto3.client("dynamodb")
    keys = {"Employee": ["Id"], "EmployeeHistory": ["Id", "ApproximateCreationDateTime"]}
    for table, names in keys.items():
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(names, ("HASH", "RANGE"))
            ],
        )
    client.put_item(TableName="Employee", Item={"Id": {"S": "1"}, "Name": {"S": "Ann"}})
    trail = HistoryTable("EmployeeHistory", source_table="Employee")
    print(trail.key_schema.types, Selection.__module__)
"""
# Every module but those that run when they are imported.
EVERYTHING = """
import importlib, pkgutil, itemtrail
for module in pkgutil.walk_packages(itemtrail.__path__, "itemtrail."):
    if not module.name.endswith(("__main__", ".app", "engines.spark")):
        importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, made from the source archive as it is when a release is made."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run(
        [*uv, "build", "--quiet", "--offline", "--no-build-isolation", "--out-dir", folder, ROOT],
        check=True,
        env=os.environ | {"VIRTUAL_ENV": sys.prefix},
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def project(wheel, tmp_path_factory):
    """A folder with packages of our names, and what it runs in: the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("project")
    for name in SIBLINGS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text('OWNER = "the project"\n')
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps",
         "--python", python, wheel],
        check=True,
    )  # fmt: skip
    (packages,) = environment.glob("lib/*/site-packages")
    # A path file is not followed to the next, so that our editable installation stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder, python


def _run(project, *arguments):
    folder, python = project
    return subprocess.run(
        [python, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.defpath,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
        },
    )


def test_a_wheel_installs_one_package(wheel):
    """Everything lies under `itemtrail`, every package says that it is typed."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (top_level,) = (name for name in names if name.endswith("/top_level.txt"))
        listed = archive.read(top_level)

    assert listed == b"itemtrail\n"
    assert {name.partition("/")[0] for name in names} == {
        "itemtrail",
        f"itemtrail-{itemtrail.__version__}.dist-info",
    }
    assert {f"itemtrail/{name}/py.typed" for name in SIBLINGS} < set(names)
    assert "itemtrail/py.typed" in names
    assert "itemtrail/reports/page/templates/page.html.j2" in names


@pytest.mark.parametrize(
    "source",
    [
        "x = 1; from reports import HistoryTable",
        "from reports import HistoryTable; from stream_core import errors",
        "from .reports import HistoryTable",
    ],
)
def test_an_import_that_the_build_cannot_change_fails_it(source):
    """Rather than to be changed into something else."""
    with pytest.raises(ValueError, match="stands alone in its line"):
        with_full_imports(source, SIBLINGS)


def test_imports_are_changed_and_nothing_else():
    """Whatever comes before them in the file, and wherever they are indented."""
    source = (
        'é = "from reports"\nif é:\n    from reports.errors import (\n        ReportError,\n    )\n'
    )

    changed = with_full_imports(source, SIBLINGS)

    assert changed == source.replace("from reports.errors", "from itemtrail.reports.errors")


def test_a_project_with_our_names_can_use_it(project):
    """A project that has `reports`, `operations` and the rest asks a table by `itemtrail`."""
    ran = _run(project, "-c", QUESTION)

    assert ran.stderr == ""
    assert ran.stdout == "{'Id': 'S'} itemtrail.reports.states.selection\n"


def test_every_module_of_a_wheel_imports(project):
    """No import was left that names a package of the checkout."""
    ran = _run(project, "-c", EVERYTHING)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_command_line_runs_as_a_module(project):
    """`python -m itemtrail` is the command line, in a folder with our names too."""
    ran = _run(project, "-m", "itemtrail", "--version")

    assert ran.stdout == f"itemtrail, version {itemtrail.__version__}\n"


def test_the_installed_command_runs(project):
    """`itemtrail COMMAND` answers, one line for an error."""
    folder, python = project
    program = python.parent / "itemtrail"

    ran = subprocess.run(
        [
            program,
            "history",
            "1",
            "--history-table",
            "None",
            "--endpoint-url",
            "http://127.0.0.1:9",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert ran.stderr.startswith("Error: ")
    assert ran.stderr.count("\n") == 1


def test_what_the_documents_import_is_there(project):
    """The imports of every example in Python work as installed, beside a project's own packages."""
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    blocks = [
        block
        for document in documents
        for block in re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    ]
    imports = [
        ast.unparse(node)
        for block in blocks
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Import | ast.ImportFrom) and "spark" not in ast.unparse(node)
    ]
    assert any("itemtrail.warehouse" in line for line in imports)

    ran = _run(project, "-c", "\n".join(imports))

    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_public_names_are_those_of_reports_and_the_errors_beneath():
    """`itemtrail` hands on what `reports` does, and each name is there."""
    own = {"IntegrityError", "ItemtrailError", "__version__"}

    assert set(itemtrail.__all__) == {*reports.__all__, *own}
    assert all(getattr(itemtrail, name) is getattr(reports, name) for name in reports.__all__)
    assert itemtrail.IntegrityError is errors.IntegrityError


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_names_our_packages_in_imports_only(module):
    """The build changes `from PACKAGE import`: no other way to name a package may be in use."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & set(SIBLINGS)
        if isinstance(node, ast.Call):
            texts = [word.value for word in node.args if isinstance(word, ast.Constant)]
            named = {str(text).partition(".")[0] for text in texts if "." in str(text)}
            assert not named & set(SIBLINGS), f"{module}:{node.lineno}"
