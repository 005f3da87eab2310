"""A whole AWS on this machine for as long as a `with` block lasts: MiniStack and what is deployed.

    with LocalStack() as stack:
        stack.build()
        outputs = stack.deploy("demo", {"SampleSourceTableName": "Employee", ...})
        stack.session().client("dynamodb").put_item(...)

Nothing outlives the block: no process, no file, also when the program is interrupted or killed.
"""

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Self

import boto3
import botocore.session
from botocore.config import Config

from itemtrail.extras import how_to_install
from itemtrail.local import sam
from itemtrail.local.sam import REPLICA_TEMPLATE, TEMPLATE, LocalStackError
from reports.access.private_files import kept_file, make_folder

__all__ = ["EMULATED", "REPLICA_TEMPLATE", "TEMPLATE", "LocalStack", "LocalStackError"]

REGION = "us-east-1"
EMULATED = {"Emulator": "true"}
"""Has template.yaml leave out what the emulator would refuse."""
_HOST = "127.0.0.1"
_ATTEMPTS = 3
_READY_WITHIN_S = 30.0
_POLL_S = 0.05
_EMULATOR = "itemtrail.local.guarded_emulator"
# MiniStack takes any credentials: random ones would keep nobody out.
_KEY = "test"


class LocalStack:
    """An AWS emulator of its own on a free port, and what was built and deployed for it."""

    endpoint_url: str
    folder: Path

    def __init__(self, region: str = REGION) -> None:
        """Prepare a stack whose sessions and deployments default to a region."""
        self.region = region
        self._resources = contextlib.ExitStack()
        self._built: Path | None = None

    def __enter__(self) -> Self:
        """Start the emulator and wait until it answers."""
        if importlib.util.find_spec("ministack") is None:
            raise LocalStackError(f"no MiniStack: {how_to_install('local')}")
        with contextlib.ExitStack() as opened:
            opened.enter_context(_termination_unwinds())
            folder = tempfile.TemporaryDirectory(prefix="itemtrail-", ignore_cleanup_errors=True)
            self.folder = Path(opened.enter_context(folder))
            self.endpoint_url = opened.enter_context(_emulator(self.folder))
            self._resources = opened.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        """End every process of the stack and remove its files."""
        self._resources.close()

    @property
    def log(self) -> Path:
        """Where the emulator writes its log."""
        return self.folder / "emulator.log"

    def session(self, region: str | None = None) -> boto3.Session:
        """Return a session whose clients all talk to the emulator, whatever the user's settings."""
        nowhere = (None, None, os.devnull, None)
        core = botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": nowhere,
                "credentials_file": nowhere,
            }
        )
        core.get_component("config_store").set_config_variable("endpoint_url", self.endpoint_url)
        # A proxy for the outside world does not know this machine's ports.
        core.set_default_client_config(Config(proxies={}))
        return boto3.Session(
            aws_access_key_id=_KEY,
            aws_secret_access_key=_KEY,
            region_name=region or self.region,
            botocore_session=core,
        )

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client of any service; `session().client(...)` gives a typed one."""
        return self.session(region).client(service)  # type: ignore[call-overload]

    def environment(self, region: str | None = None) -> dict[str, str]:
        """Return the variables that point a child process's AWS tools at the emulator."""
        region = region or self.region
        return sam.environment() | {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "NO_PROXY": _HOST,
            "no_proxy": _HOST,
        }

    def build(self, build_dir: Path | None = None) -> Path:
        """Build the packages from the sources as they are now and return the built template."""
        self._built = sam.build(build_dir or self.folder / "build", temporary=self.folder)
        return self._built

    def deploy(
        self,
        stack_name: str,
        parameters: Mapping[str, str] | None = None,
        *,
        template: Path | None = None,
        region: str | None = None,
    ) -> dict[str, str]:
        """Deploy a template, by default the one built last, and return the stack's outputs."""
        chosen = template or self._built or self.build()
        sam.deploy(stack_name, chosen, parameters or {}, self.environment(region), self.folder)
        formation = self.session(region).client("cloudformation")
        described = formation.describe_stacks(StackName=stack_name)["Stacks"][0]
        return {
            output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])
        }


@contextlib.contextmanager
def _emulator(folder: Path) -> Iterator[str]:
    """Run MiniStack on a free port; another one if somebody took it in between."""
    for attempt in range(1, _ATTEMPTS + 1):
        port, token = _free_port(), secrets.token_hex(8)
        process = _start(folder, port, token)
        try:
            if _becomes_ready(process, port, token):
                yield f"http://{_HOST}:{port}"
                return
        finally:
            _end(process)
        if attempt == _ATTEMPTS:
            log = (folder / "emulator.log").read_text(errors="replace")
            raise LocalStackError.from_log("MiniStack does not start", log)


def _start(folder: Path, port: int, token: str) -> subprocess.Popen[bytes]:
    """Start the emulator as the leader of a process group that its functions join."""
    data = folder / "emulator"
    make_folder(data)
    with kept_file(folder / "emulator.log") as log:
        return subprocess.Popen(  # noqa: S603 - no shell; our own arguments
            [sys.executable, "-m", "itemtrail.local.child", str(folder), _EMULATOR],
            cwd=data,
            env=_settings(data, port, token),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _settings(data: Path, port: int, token: str) -> dict[str, str]:
    """Write the whole environment anew: the functions inherit it from the emulator."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        "PATH": path,
        "HOME": str(data),
        "TMPDIR": str(data),
        "STATE_DIR": str(data / "state"),
        "S3_DATA_DIR": str(data / "s3"),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": _HOST,
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        # Comes back in the health report: whoever answers on the port is the one started here.
        "MINISTACK_EDITION": token,
    }


def _becomes_ready(process: subprocess.Popen[bytes], port: int, token: str) -> bool:
    """Poll the health report until it is ours, the process has died or time is up."""
    deadline = time.monotonic() + _READY_WITHIN_S
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            url = f"http://{_HOST}:{port}/_ministack/health"
            with direct.open(url, timeout=1) as answer:
                return bool(json.load(answer).get("edition") == token)
        time.sleep(_POLL_S)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the emulator and its functions at once: there is nothing worth saving."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def _free_port() -> int:
    """Ask the system for a port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _termination_unwinds() -> Iterator[None]:
    """Let SIGTERM end the program as Ctrl-C does, through its `with` blocks."""

    def unwind(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
