"""What `sam build` makes of the sources, and that it runs on what Lambda has and nothing else."""

import io
import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path

import botocore
import pytest

from itemtrail.local import sam
from tests.lambda_runtime import BOTO3, LAYER, lay_out_runtime
from tests.locks import LAYER_LOCK, layer_versions, pins

PACKAGES = {
    "HistoryWriterFunction": "history_writer",
    "ReplicaWriterFunction": "replica_writer",
    "SecondLookFunction": "replica_writer",
}
BY_FUNCTION = pytest.mark.parametrize(("function", "package"), PACKAGES.items())
REQUIRED = {
    "history_writer": ("SOURCE_TABLE_ARN", "HISTORY_TABLE", "OVERFLOW_BUCKET", "QUARANTINE_BUCKET"),
    "replica_writer": ("SOURCE_TABLE_ARN", "SOURCE_TABLE", "REPLICA_TABLE", "QUARANTINE_BUCKET"),
}
MOST_BYTES = 1_500_000

# Run by an interpreter without site-packages; tells what happened as JSON.
PROBE = """
import json, sys
calls = []
network = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
sys.addaudithook(lambda event, _: calls.append(event) if event in network else None)
package, *sys.path[:0] = sys.argv[1:]
app = __import__(package + ".app", fromlist=["handler"])
class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 0)
told = {"imported": sorted({name.partition(".")[0] for name in sys.modules})}
try:
    told["answer"] = app.handler({"Records": []}, Context)
except Exception as error:
    told["error"] = [type(error).__name__, str(error)]
print(json.dumps(told | {"calls": calls}))
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """Two builds of the same sources, each in a folder of its own, made as the local stack does."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "another-longer-name")]
    with ThreadPoolExecutor() as pool:
        return [template.parent for template in pool.map(sam.build, folders)]


@pytest.fixture(scope="module")
def packages(builds):
    """The folder of one build."""
    return builds[0]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """A folder with boto3 and what it needs, as in Lambda's runtime, out of this environment."""
    return lay_out_runtime(tmp_path_factory.mktemp("runtime"), BOTO3)


def _files(folder):
    """Every file under a folder: its mode and its bytes by its path."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def _zipped(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (_, content) in _files(folder).items():
            archive.writestr(name, content)
    return len(buffer.getvalue())


def _run(package, paths, environment):
    """Import a handler in a fresh interpreter that sees these paths alone, and call it once."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", PROBE, package, *map(str, paths)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    *printed, told = ran.stdout.splitlines()
    return json.loads(told) | {"printed": printed}


@pytest.fixture(scope="module")
def paths(packages, runtime):
    """What Lambda puts on a function's path."""

    def of(function):
        return packages / function, packages / LAYER / "python", runtime

    return of


def test_layer_holds_the_core_and_powertools_alone(packages):
    """The layer is `stream_core`, Powertools and what Powertools needs; nothing else is in it."""
    layer = packages / LAYER
    python = layer / "python"

    installed = list(distributions(path=[str(python)]))
    theirs = {file.parts[0] for one in installed for file in one.files}

    assert [path.name for path in layer.iterdir()] == ["python"]
    versions = {one.metadata["Name"].replace("_", "-"): one.version for one in installed}
    assert versions == {name: version for name, (version, _) in pins(LAYER_LOCK).items()}
    assert versions.keys() == {"aws-lambda-powertools", "jmespath", "typing-extensions"}
    assert {path.name for path in python.iterdir()} - theirs == {"stream_core"}


def test_layer_holds_the_whole_core(packages):
    """The layer's `stream_core` is the repository's, file by file, without its build files."""
    source = sam.REPOSITORY / "stream_core"

    built = _files(packages / LAYER / "python" / "stream_core")

    expected = [*source.glob("*.py"), source / "py.typed"]
    assert {name: content for name, (_, content) in built.items()} == {
        path.name: path.read_bytes() for path in expected
    }


@BY_FUNCTION
def test_function_holds_its_own_package_alone(packages, function, package):
    """A function is the repository's package of that name, file by file, and nothing else."""
    source = sam.REPOSITORY / package

    built = _files(packages / function)

    assert {name: content for name, (_, content) in built.items()} == {
        f"{package}/{path.name}": path.read_bytes() for path in source.glob("*.py")
    }


def test_nothing_else_is_built(packages):
    """There is one package for the layer and one for each function, and no other."""
    assert {path.name for path in packages.iterdir() if path.is_dir()} == {LAYER, *PACKAGES}


def test_nothing_heavy_is_packed(packages):
    """No package holds boto3, pandas, compiled caches, tests or a program."""
    names = {part for name in _files(packages) for part in Path(name).parts}

    unwanted = {"boto3", "botocore", "pandas", "numpy", "rich", "click", "tests", "bin"}
    assert names & unwanted == set()
    assert {name for name in names if name.endswith((".pyc", ".so"))} == set()


@BY_FUNCTION
def test_layer_and_function_are_small(packages, function, package):
    """A layer and its function, zipped, are under 1.5 MB: cold starts stay short."""
    size = _zipped(packages / LAYER) + _zipped(packages / function)

    assert size < MOST_BYTES, f"{package}: {size} bytes"


def test_two_builds_are_the_same_bytes(builds):
    """Building twice gives the same files, so that nothing is deployed that did not change."""
    one, another = map(_files, builds)
    for files in (one, another):
        # SAM's own: where it built.
        files.pop("template.yaml")

    assert one.keys() == another.keys()
    assert [name for name in one if one[name] != another[name]] == []


@BY_FUNCTION
def test_handler_refuses_missing_settings_by_name(paths, function, package):
    """On Lambda's path alone a handler imports, and names every setting it misses."""
    told = _run(package, paths(function), {})

    kind, message = told["error"]
    assert kind == "SettingsError"
    assert [name for name in REQUIRED[package] if f"{name} is not set" not in message] == []
    assert told["calls"] == []


@BY_FUNCTION
def test_handler_needs_no_network_to_start(paths, function, package):
    """With its settings a handler starts without one connection, and logs what it runs on."""
    environment = {name: name.lower() for name in REQUIRED[package]} | {
        "SOURCE_TABLE_ARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/source_table",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }

    told = _run(package, paths(function), environment)

    assert told.get("answer") == {"batchItemFailures": []}, told
    assert told["calls"] == []
    assert {"pandas", "click", "rich", "reports", "itemtrail"} & set(told["imported"]) == set()
    (line,) = map(json.loads, told["printed"])
    assert (line["layer"], line["botocore"]) == (layer_versions(), botocore.__version__)


@BY_FUNCTION
def test_a_package_cannot_borrow_from_this_environment(paths, function, package):
    """Without the layer the import fails, though this environment has all that the layer has."""
    own, _, runtime = paths(function)

    with pytest.raises(AssertionError, match="No module named 'stream_core'"):
        _run(package, (own, runtime), {})
