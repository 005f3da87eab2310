"""What may import what, and what no committed file may hold."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MAX_LINES = 400

# For each package of ours, what it may import of ours besides itself.
ARROWS = {
    "stream_core": set(),
    "history_writer": {"stream_core"},
    "replica_writer": {"stream_core"},
    "reports": {"stream_core"},
    "operations": {
        "stream_core",
        "reports",
        "history_writer.writer",
        "history_writer.overflow_bucket",
        "replica_writer.assumed_role",
        "replica_writer.look_queue",
        "replica_writer.settle",
        "replica_writer.tables",
    },
    "warehouse": {"stream_core", "reports"},
    "itemtrail": {"stream_core", "reports", "operations", "warehouse"},
}
# What a Lambda runs on: its runtime's boto3, the layer's Powertools, the standard library.
IN_LAMBDA = {"boto3", "botocore", "aws_lambda_powertools"}
IN_LAMBDA |= {"mypy_boto3_dynamodb", "mypy_boto3_s3", "mypy_boto3_sqs"}
LAMBDA_PACKAGES = ("stream_core", "history_writer", "replica_writer")
PURE_MODULES = ("attribute_values", "change", "history_row", "item_id", "overflow_object", "retry")

# A name or a folder of the machine that something was made on; a registry that pip would not ask.
FOREIGN = re.compile(
    rb"(?<![\w.:])/(?:work|root|home|Users|mnt|tmp)/[\w.]"
    rb"|\b(?:files\.)?(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|pypi\.python\.org)\b"
    rb"|--(?:extra-)?index-url"
)

MODULES = sorted(
    path.relative_to(REPOSITORY)
    for package in ARROWS
    for path in (REPOSITORY / package).rglob("*.py")
)
BY_NAME = pytest.mark.parametrize("module", MODULES, ids=str)


@cache
def _tree(module):
    return ast.parse((REPOSITORY / module).read_text("utf-8"))


@cache
def _imports(module):
    """Every module that is imported anywhere in a module, each import of a name with the name."""
    found = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def _is_under(name, package):
    return name == package or name.startswith(f"{package}.")


def test_every_package_is_looked_at():
    """The list above has every folder with Python in it that is not a test or a benchmark."""
    folders = {path.parent.name for path in REPOSITORY.glob("*/*.py") if path.parent.name[0] != "."}

    assert folders - {"tests", "benchmarks"} == ARROWS.keys()


@BY_NAME
def test_arrows_point_one_way(module):
    """A module imports, of ours, only its own package and what its package may."""
    package = module.parts[0]

    ours = {name for name in _imports(module) if name.partition(".")[0] in ARROWS}

    allowed = {package, *ARROWS[package]}
    assert {name for name in ours if not any(_is_under(name, one) for one in allowed)} == set()


@pytest.mark.parametrize(
    "module", [one for one in MODULES if one.parts[0] in LAMBDA_PACKAGES], ids=str
)
def test_lambda_packages_import_what_lambda_has(module):
    """What runs in Lambda imports the standard library, boto3, Powertools and nothing else."""
    foreign = {name.partition(".")[0] for name in _imports(module)} - ARROWS.keys()

    assert foreign - sys.stdlib_module_names <= IN_LAMBDA


@pytest.mark.parametrize("name", PURE_MODULES)
def test_the_core_of_the_core_knows_no_client(name):
    """Values, changes, rows and retries take clients and clocks as arguments or not at all."""
    imported = {
        module.partition(".")[0]
        for module in _imports(Path("stream_core", f"{name}.py"))
        if not module.startswith("botocore.exceptions.")
    }

    assert imported & {"boto3", "botocore", "aws_lambda_powertools", "os", "socket"} == set()


SLOW_TO_IMPORT = ("pandas", "duckdb", "pyarrow", "pyspark", "sqlglot", "warehouse")


def test_commands_start_without_what_is_slow():
    """No command imports what takes longer than most of them take to answer, or may be missing."""
    code = f"import sys, itemtrail.cli; print(sys.modules.keys() & {set(SLOW_TO_IMPORT)})"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "set()\n"


@pytest.mark.parametrize(
    ("package", "handlers"),
    [("history_writer", {"app.py"}), ("replica_writer", {"app.py", "second_look.py"})],
)
def test_only_the_handlers_read_the_environment(package, handlers):
    """Of a writer only its handlers look at the environment, and hand it on as an argument."""
    readers = {
        module.name
        for module in MODULES
        if module.parts[0] == package and _reads_environment(module)
    }

    assert readers == handlers


def _reads_environment(module):
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        for node in ast.walk(_tree(module))
    )


# The one module that makes files and folders, and what is written where the caller says.
WRITES_FILES = {
    "reports/access/private_files.py": "it is that module",
    "reports/exact_frame.py": "a method of pandas, of a program that uses the library",
}
_FOR_WRITING = re.compile(r"[rwaxbt+]*[wax+][rwaxbt+]*")
_MAKERS = {
    *("write_text", "write_bytes", "touch", "mkdir", "makedirs", "rename", "symlink_to"),
    *("hardlink_to", "mkstemp", "mkdtemp", "NamedTemporaryFile", "copyfile", "copytree", "move"),
    *("to_parquet", "to_csv", "to_json", "ParquetWriter"),
}


@BY_NAME
def test_files_are_made_by_one_module(module):
    """`private_files` makes them for their owner alone, and follows no link."""
    found = [ast.unparse(node) for node in ast.walk(_tree(module)) if _makes_a_file(node)]

    assert found == [] or module.as_posix() in WRITES_FILES


@pytest.mark.parametrize(
    "code",
    [
        'open(path, "w")',
        'path.open("r+b")',
        'gzip.open(path, mode="wb")',
        "os.open(path, os.O_RDONLY)",
        "path.write_text(text)",
        "path.mkdir(parents=True)",
        "pq.ParquetWriter(path, schema)",
        "frame.to_parquet(path)",
    ],
)
def test_the_search_finds_what_makes_a_file(code):
    """A test that cannot fail is none."""
    assert any(map(_makes_a_file, ast.walk(ast.parse(code))))


def _makes_a_file(node):
    """Whether code makes a file or opens one to write it, unless `new_path` has made that."""
    if not isinstance(node, ast.Call) or "new_path(" in ast.unparse(node):
        return False
    called, given = ast.unparse(node.func), [*node.args, *(one.value for one in node.keywords)]
    name = called.rpartition(".")[2]
    if name == "open":
        modes = [str(one.value) for one in given if isinstance(one, ast.Constant)]
        is_of_a_path = called == "os.open" and ast.unparse(given[0]) != "os.devnull"
        return is_of_a_path or any(map(_FOR_WRITING.fullmatch, modes))
    # What is written to a stream is no file of its own.
    return name in _MAKERS and [*map(ast.unparse, given)][:1] != ["sink"]


@BY_NAME
def test_module_says_what_it_is_for(module):
    """Every module begins with a docstring."""
    assert ast.get_docstring(_tree(module))


@BY_NAME
def test_module_is_small(module):
    """No module is too long to be read at one sitting."""
    assert len((REPOSITORY / module).read_text("utf-8").splitlines()) <= MAX_LINES


def test_no_file_names_a_machine_or_a_registry():
    """No committed file, nor a new one, holds a path of a machine or a registry's address."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("what is committed is known in a checkout only")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    files = [REPOSITORY / name.decode() for name in listed if name]
    assert REPOSITORY / "template.yaml" in files

    found = [
        f"{path.relative_to(REPOSITORY)}: {match[0].decode()}"
        for path in files
        if path.is_file() and path != Path(__file__)
        for match in FOREIGN.finditer(path.read_bytes())
    ]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [b'open("/work/main/x")', b"cd /root/.cache", b"at /home/me/x", b"https://pypi.org/simple"],
)
def test_the_search_finds_what_it_is_for(text):
    """The pattern above recognises paths of a machine and addresses of a registry."""
    assert FOREIGN.search(text)
