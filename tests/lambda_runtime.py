"""The built functions under Lambda's own runtime: AWS's client for Python and AWS's emulator.

    package = Package.built(sam.build(folder), "HistoryWriterFunction", lay_out_runtime(other))
    with running(package, {"HISTORY_TABLE": "...", ...}, timeout_s=10) as function:
        answer = function.invoke({"Records": []})

The emulator is the one that SAM CLI puts into its containers. Nothing outlives the block: no
process, no file, also when the program is interrupted or killed.
"""

import contextlib
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import yaml

LAYER = "StreamCoreLayer"
BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
INTERFACE_CLIENT = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
REGION = "us-east-1"

_ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
RUNS_HERE = sys.platform == "linux" and _ARCHITECTURE is not None
NOT_HERE = f"SAM CLI's emulator runs on Linux, x86_64 or arm64, not on {platform.platform()}"

_HOST = "127.0.0.1"
_ATTEMPTS = 3
_READY_WITHIN_S = 30
_ANSWERS_WITHIN_S = 60
_POLL_S = 0.01
_PLATFORM = re.compile(r"(START|END|REPORT) RequestId: |INIT_START ")
_STARTED = re.compile(r"^INIT_START .*\tProcess: (\d+)$", re.MULTILINE)

# This interpreter without this environment's packages and variables; without caches, because
# /var/task is read-only.
_PYTHON = (sys.executable, "-I", "-S", "-B", "-c")
# Runs the emulator until its standard input ends, and so with whoever held that open; then ends
# what the emulator started: it is in process groups of its own, but in the same session.
_KEEPER = """
import os, signal, subprocess, sys, threading
emulator = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def end_with_parent():
    while os.read(0, 1):
        pass
    emulator.kill()
threading.Thread(target=end_with_parent, daemon=True).start()
emulator.wait()
for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        if process != os.getpid() == os.getsid(process):
            os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
# As Lambda's own: the function comes first, then its layer, then the runtime.
_BOOTSTRAP = """
import os, sys
*sys.path[:0], handler = sys.argv[1:]
version = ".".join(map(str, sys.version_info[:3]))
print(f"INIT_START Runtime Version: python:{version}\\tProcess: {os.getpid()}", flush=True)
from awslambdaric.__main__ import main
main(["bootstrap", handler])
"""


def lay_out_runtime(folder, names=BOTO3 + INTERFACE_CLIENT):
    """Fill a folder with packages of this environment, as Lambda has its runtime's; returns it."""
    for name in names:
        spec = find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"{name} is not installed")
        origin = Path(spec.origin)
        origin = origin.parent if origin.name == "__init__.py" else origin
        (folder / origin.name).symlink_to(origin)
    return folder


@dataclass(frozen=True)
class Package:
    """A function as Lambda would lay it out, and what the template says of it.

    Attributes:
        paths: the function's own folder, its layer's packages and the runtime's.
        variables: the names of the environment variables that it is given.
    """

    name: str
    paths: tuple[Path, ...]
    handler: str
    runtime: str
    variables: frozenset[str]

    @classmethod
    def built(cls, template, name, runtime):
        """A function of a built template, with a folder that `lay_out_runtime` filled."""
        content = yaml.safe_load(template.read_text("utf-8"))
        shared = content["Globals"]["Function"]
        own = content["Resources"][name]["Properties"]
        return cls(
            name=name,
            paths=(template.parent / name, template.parent / LAYER / "python", runtime),
            handler=own["Handler"],
            runtime=shared["Runtime"],
            variables=frozenset(
                shared["Environment"]["Variables"] | own["Environment"]["Variables"]
            ),
        )


@dataclass(frozen=True)
class Function:
    """A function that waits for events.

    Attributes:
        keeper: the process in whose session all the others are.
    """

    address: str
    keeper: int
    output: BinaryIO

    def invoke(self, event):
        """Post an event and return the answer: what its JSON reads to, or the text if it is none.

        From the emulator, the function's failures come as answers too.
        """
        url = f"http://{self.address}/2015-03-31/functions/function/invocations"
        request = urllib.request.Request(url, json.dumps(event).encode("ascii"))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=_ANSWERS_WITHIN_S) as answer:
            body = answer.read().decode("utf-8")
        try:
            return json.loads(body)
        except ValueError:
            return body

    @property
    def log(self):
        """All that emulator, runtime and function wrote."""
        # Not `read`: the processes that write share the file's position.
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), size, 0).decode("utf-8")

    @property
    def own_lines(self):
        """What the function and its runtime logged, without the platform's lines."""
        # Not `splitlines`: a line of the runtime has carriage returns in it.
        lines = self.log.removesuffix("\n").split("\n")
        return [line for line in lines if not _PLATFORM.match(line)]

    @property
    def processes(self):
        """The processes that the function was started in, one after another."""
        return [int(process) for process in _STARTED.findall(self.log)]


@contextlib.contextmanager
def running(package, variables, timeout_s):
    """A function that starts with its first event, and whose time counts from there."""
    environment = _environment(package, timeout_s) | variables
    with contextlib.ExitStack() as closing:
        output = closing.enter_context(tempfile.TemporaryFile())
        for _ in range(_ATTEMPTS):
            addresses = _free_addresses()
            keeper = _start(package, addresses, environment, output)
            closing.callback(_end, keeper)
            function = Function(addresses[0], keeper.pid, output)
            if _becomes_ready(keeper, addresses[0]):
                yield function
                return
        raise RuntimeError(f"the emulator does not start: {function.log}")


def _environment(package, timeout_s):
    """The whole environment anew, as Lambda writes it."""
    return {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": str(package.paths[0]),
        "LAMBDA_RUNTIME_DIR": str(package.paths[-1]),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{package.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": package.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "test",
    }


def _start(package, addresses, environment, output):
    """Start the emulator in a session of its own; it starts the function."""
    rapid = Path(find_spec("samcli").origin).parent / "local" / "rapid"
    emulator = (
        str(rapid / f"aws-lambda-rie-{_ARCHITECTURE}"),
        *("--log-level", "fatal"),
        *("--runtime-interface-emulator-address", addresses[0]),
        *("--runtime-api-address", addresses[1]),
    )
    runtime = (*_PYTHON, _BOOTSTRAP, *map(str, package.paths), package.handler)
    return subprocess.Popen(
        [*_PYTHON, _KEEPER, *emulator, *runtime],
        cwd=package.paths[0],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _becomes_ready(keeper, address):
    """Poll until the emulator listens, has died or time is up."""
    host, port = address.split(":")
    deadline = time.monotonic() + _READY_WITHIN_S
    while keeper.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        time.sleep(_POLL_S)
    return False


def _end(keeper):
    """Have the keeper end all that runs."""
    keeper.stdin.close()
    keeper.wait()


def _free_addresses():
    """Two ports that nobody uses at this moment, as the system says."""
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind((_HOST, 0))
        return [f"{_HOST}:{probe.getsockname()[1]}" for probe in (first, second)]
