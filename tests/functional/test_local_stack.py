"""The local stack leaves nothing behind, however it ends, and says what went wrong."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from itemtrail.extras import how_to_install
from itemtrail.local import local_stack as module
from itemtrail.local import sam
from itemtrail.local.local_stack import LocalStack, LocalStackError
from tests.eventually import GIVEN_UP_AFTER_S, eventually

pytestmark = [
    pytest.mark.functional,
    pytest.mark.bank,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes by /proc"),
]

PROC = Path("/proc")

# A program that uses the local stack until it is told to end; tells its folder.
PROGRAM = """
import signal, sys
from itemtrail.local.local_stack import LocalStack
from tests.functional.test_local_stack import run_a_function
with LocalStack() as stack:
    run_a_function(stack)
    print(stack.folder, flush=True)
    signal.pause()
"""
BUILDING_PROGRAM = """
import sys
from pathlib import Path
from itemtrail.local import sam
from itemtrail.local.local_stack import LocalStack
with LocalStack() as stack:
    print(stack.folder, flush=True)
    sam.build(stack.folder / "build", Path(sys.argv[1]))
"""


FUNCTION = """
import pathlib, time
def handler(event, context):
    if "busy" in event:
        pathlib.Path(event["busy"]).touch()
        time.sleep(900)
    return "ran"
"""


def run_a_function(stack):
    """Have the emulator start a function whose process stays, and one that is in the middle."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", FUNCTION)
    busy = stack.folder / "busy"
    with contextlib.closing(stack.client("lambda")) as functions:
        functions.create_function(
            FunctionName="probe",
            Runtime="python3.13",
            Handler="app.handler",
            Role="arn:aws:iam::000000000000:role/probe",
            Code={"ZipFile": packed.getvalue()},
            Timeout=900,
        )
        answer = functions.invoke(FunctionName="probe", Payload="{}")["Payload"].read()
        functions.invoke(
            FunctionName="probe",
            InvocationType="Event",
            Payload=json.dumps({"busy": str(busy)}),
        )
    assert answer == b'"ran"'
    eventually(busy.exists)


def _processes():
    """The process group and command line of every process that runs, by its id."""
    found = {}
    for folder in PROC.iterdir():
        with contextlib.suppress(OSError, ValueError):
            # The name of the program, in brackets, may hold anything.
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                pid = int(folder.name)
                found[pid] = os.getpgid(pid), (folder / "cmdline").read_bytes()
    return found


def _groups_of(folder):
    """The groups of the processes that a stack's folder is named to."""
    return {group for group, line in _processes().values() if os.fsencode(folder) in line}


def _left_of(folder, groups):
    """What still runs of a stack: whoever names its folder, or is in one of its groups."""
    return [
        line
        for group, line in _processes().values()
        if group in groups or os.fsencode(folder) in line
    ]


def _assert_gone(folder, groups):
    assert groups
    eventually(lambda: not _left_of(folder, groups))
    eventually(lambda: not Path(folder).exists())


@pytest.fixture
def start_program(tmp_path):
    """Start a program that uses the stack; ends it, and all it started, whatever happened."""
    started = []

    def start(source, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", source, *map(str, arguments)],
            cwd=sam.REPOSITORY,
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        folder = process.stdout.readline().strip()
        assert folder
        started.append((process, folder))
        return process, folder

    yield start
    for process, folder in started:
        process.kill()
        process.wait()
        process.stdout.close()
        for group in _groups_of(folder):
            os.killpg(group, signal.SIGKILL)


# ---- Nothing is left -----------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, RuntimeError("in the block")], ids=["end", "error"])
def test_nothing_outlives_the_block(error):
    """When the block ends, or fails, emulator and functions are gone, and so are the files."""
    with contextlib.suppress(RuntimeError), LocalStack() as stack:
        run_a_function(stack)
        groups = _groups_of(stack.folder)
        running = _left_of(stack.folder, groups)
        if error:
            raise error

    # The emulator and the function's process, in one group that is not ours.
    assert len(running) >= 2
    assert os.getpgid(0) not in groups
    assert not stack.folder.exists()
    # A killed process is gone a moment later.
    _assert_gone(stack.folder, groups)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_killed_program(start_program, tmp_path, number):
    """Ctrl-C, a termination or a kill of the program ends all it started and removes the files."""
    process, folder = start_program(PROGRAM)
    groups = _groups_of(folder)
    assert len(_left_of(folder, groups)) >= 2

    process.send_signal(number)
    process.wait()

    _assert_gone(folder, groups)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        signal.SIGKILL,
    ],
)
def test_nothing_outlives_a_program_killed_while_building(
    start_program, slow_template, tmp_path, number
):
    """A build under way ends with the program that wanted it, and leaves no file."""
    process, folder = start_program(BUILDING_PROGRAM, slow_template)
    eventually(slow_template.with_name("building").exists)
    groups = _groups_of(folder)

    process.send_signal(number)
    process.wait()

    _assert_gone(folder, groups)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("itemtrail-")] == []


def test_a_child_ends_where_its_folder_and_its_reader_are_gone(tmp_path):
    """What ends the group starts in no folder that may be gone, and writes to no closed pipe."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "waiting.py").write_text("import time\nprint('runs', flush=True)\ntime.sleep(900)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "itemtrail.local.child", "", "waiting"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(sam.REPOSITORY), str(folder)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout.readline() == b"runs\n"

    shutil.rmtree(folder)
    process.stdout.close()
    process.stdin.close()

    eventually(lambda: process.poll() is not None)
    assert process.returncode == -signal.SIGKILL


def _template(folder, recipe):
    """A template with one function, and a makefile that builds it in some way."""
    (folder / "package").mkdir()
    lines = recipe.strip().splitlines()
    (folder / "package" / "Makefile").write_text("build-Probe:\n\t" + "\n\t".join(lines) + "\n")
    template = folder / "template.yaml"
    template.write_text(
        textwrap.dedent("""\
            Transform: AWS::Serverless-2016-10-31
            Resources:
              Probe:
                Type: AWS::Serverless::Function
                Metadata: {BuildMethod: makefile}
                Properties: {CodeUri: package/, Handler: app.handler, Runtime: python3.13}
        """)
    )
    return template


@pytest.fixture
def slow_template(tmp_path):
    """A template whose build says that it has begun and then takes longer than anybody waits."""
    folder = tmp_path / "slow"
    folder.mkdir()
    return _template(folder, f"touch {folder / 'building'}\nsleep 900")


# ---- What goes wrong is said ---------------------------------------------------------------


def test_failed_build_tells_the_reason(tmp_path):
    """A build that fails raises one line, with the end of the build's log beside it."""
    template = _template(tmp_path, "@echo the compiler is unhappy >&2; exit 3")

    with pytest.raises(LocalStackError, match="sam build failed") as caught:
        sam.build(tmp_path / "build", template)

    assert len(str(caught.value).splitlines()) == 1
    assert "the compiler is unhappy" in caught.value.detail


def test_missing_template_tells_where_to_run(tmp_path):
    """Without its checkout the stack says what it looked for and where to run itemtrail."""
    missing = tmp_path / "template.yaml"

    with pytest.raises(LocalStackError, match=re.escape(str(missing))):
        sam.build(tmp_path / "build", missing)


def test_missing_sam_tells_what_to_install(tmp_path, monkeypatch):
    """Without the SAM CLI the stack says how to get it."""
    monkeypatch.setattr(sam.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(LocalStackError, match=re.escape(how_to_install("local"))):
        sam.build(tmp_path / "build")


def test_missing_emulator_tells_what_to_install(monkeypatch):
    """Without MiniStack the stack says how to get it, before anything is started."""
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(LocalStackError, match=re.escape(how_to_install("local"))):
        LocalStack().__enter__()


def test_emulator_that_does_not_start_tells_its_log(tmp_path, monkeypatch):
    """An emulator that dies at its start is an error that shows its log, and leaves no file."""
    settings = module._settings
    monkeypatch.setattr(
        module, "_settings", lambda *given: settings(*given) | {"GATEWAY_PORT": "no port"}
    )
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))

    with pytest.raises(LocalStackError, match="MiniStack does not start") as caught:
        LocalStack().__enter__()

    assert "no port" in caught.value.detail
    assert list(tmp_path.iterdir()) == []


# ---- One stack, and nobody else ------------------------------------------------------------


@pytest.fixture(scope="module")
def stack():
    """A stack for what can be looked at without ending it."""
    with LocalStack() as stack:
        run_a_function(stack)
        yield stack


def test_failed_deployment_tells_the_reason(stack, tmp_path):
    """A deployment that fails raises one line, with the end of its log beside it."""
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Queue: {Type: AWS::SQS::Queue}}\nParameters: {Name: {Type: S")

    with pytest.raises(LocalStackError, match="sam deploy failed") as caught:
        stack.deploy("broken", template=template)

    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.detail


def test_nobody_outside_can_reach_it(stack):
    """Whatever the emulator and its functions listen on is this machine's loopback alone."""
    listening = _listening_addresses(_left_pids(stack.folder))

    # 127.0.0.1, as the kernel writes it on a little-endian machine.
    assert listening
    assert listening <= {"0100007F"}


def _left_pids(folder):
    groups = _groups_of(folder)
    return [pid for pid, (group, _) in _processes().items() if group in groups]


def _listening_addresses(pids):
    """The local addresses of the TCP sockets that some processes listen on."""
    sockets = set()
    for pid in pids:
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in sockets:
                listening.add(local.partition(":")[0])
    return listening


def test_the_users_own_settings_do_not_matter(stack, monkeypatch, tmp_path):
    """Sessions go to the emulator whatever profile, endpoint, region or proxy the user has set."""
    config = tmp_path / "config"
    config.write_text("[profile mine]\nregion = mars-north-1\nendpoint_url = http://127.0.0.1:1\n")
    for name, value in {
        "AWS_PROFILE": "mine",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1",
        "AWS_DEFAULT_REGION": "mars-north-1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)

    with contextlib.closing(stack.client("lambda")) as functions:
        found = functions.list_functions()["Functions"]

    assert [one["FunctionName"] for one in found] == ["probe"]
    assert functions.meta.region_name == stack.region
    assert not {name for name in sam.environment() if name.startswith("AWS_")} - {
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
    }
    assert sam.environment()["AWS_CONFIG_FILE"] == os.devnull


def test_two_stacks_know_nothing_of_each_other(stack):
    """A second stack at the same time has an endpoint, a folder and contents of its own."""
    with LocalStack() as other, contextlib.closing(other.client("lambda")) as functions:
        assert functions.list_functions()["Functions"] == []
        assert other.endpoint_url != stack.endpoint_url
        assert other.folder != stack.folder

    with contextlib.closing(stack.client("lambda")) as functions:
        assert functions.invoke(FunctionName="probe", Payload="{}")["Payload"].read() == b'"ran"'


# ---- The demo ------------------------------------------------------------------------------


def test_demo_holds_and_leaves_nothing(tmp_path):
    """`itemtrail demo` shows seven claims that hold, exits 0 and leaves no file and no process."""
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("itemtrail")), "demo"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVEN_UP_AFTER_S,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    judged = [line for line in ran.stdout.splitlines() if line.startswith(("holds", "fails"))]
    assert len(judged) == 7
    assert [line for line in judged if line.startswith("fails")] == []
    for word in ("history row", "overflow bucket", "as of", "replica"):
        assert any(word in line for line in judged), word
    assert "\x1b" not in ran.stdout
    assert list(tmp_path.iterdir()) == []
    assert _left_of(tmp_path, set()) == []
