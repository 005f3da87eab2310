"""`sam build` and `sam deploy` as child processes, apart from the user's own AWS settings."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from itemtrail.extras import how_to_install
from reports.access.private_files import make_folder, replace_file
from stream_core.errors import ItemtrailError

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATE = REPOSITORY / "template.yaml"
REPLICA_TEMPLATE = REPOSITORY / "replica.yaml"

_TAIL_LINES = 25
_POLL_S = 0.05
# Set by an outer `make`; they would reach the makefiles that build the packages.
_MAKE_VARIABLES = frozenset({"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKEFILES"})


class LocalStackError(ItemtrailError):
    """The local stack cannot start, build or deploy; `detail` is the end of the log, if any."""

    def __init__(self, message: str, detail: str = "") -> None:
        """Keep the message to one line and the log apart from it."""
        super().__init__(message)
        self.detail = detail

    @classmethod
    def from_log(cls, message: str, log: str) -> "LocalStackError":
        """Tell the error with the last lines of a log."""
        return cls(message, "\n".join(log.strip().splitlines()[-_TAIL_LINES:]))


def build(build_dir: Path, template: Path = TEMPLATE, *, temporary: Path | None = None) -> Path:
    """Build the packages of a template and return the built template.

    Should this process be killed meanwhile, the build ends too and `temporary` is removed.
    """
    if not template.is_file():
        raise LocalStackError(f"no template at {template}: run itemtrail from its checkout")
    make_folder(build_dir)
    # A folder of its own, because SAM writes build.toml beside the folder it is given.
    target = build_dir.resolve() / "packages"
    command = ["build", "--template", str(template.resolve()), "--build-dir", str(target)]
    _run([*command, "--no-cached", "--parallel"], environment(), build_dir, temporary)
    return target / "template.yaml"


def deploy(
    stack_name: str,
    template: Path,
    parameters: Mapping[str, str],
    aws: Mapping[str, str],
    folder: Path,
) -> None:
    """Create or update a stack; `aws` says where and as whom, in the AWS CLI's variables.

    Should this process be killed meanwhile, the deployment ends too and `folder`, in which it
    works, is removed.
    """
    command = ["deploy", "--stack-name", stack_name, "--template-file", str(template.resolve())]
    command += ["--resolve-s3", "--capabilities", "CAPABILITY_IAM"]
    command += ["--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    if parameters:
        pairs = [f"{name}={json.dumps(value)}" for name, value in parameters.items()]
        command += ["--parameter-overrides", *pairs]
    # 5 seconds between two looks, unless told otherwise: most of the time of a local deployment.
    _run(command, environment() | dict(aws) | {"SAM_CLI_POLL_DELAY": "0.1"}, folder, folder)


def environment() -> dict[str, str]:
    """Return this process's environment without its AWS settings, and with its own Python first."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _MAKE_VARIABLES and not name.startswith(("AWS_", "SAM_"))
    }
    own_programs = str(Path(sys.executable).parent)
    return kept | {
        "PATH": os.pathsep.join([own_programs, kept.get("PATH", os.defpath)]),
        "PYTHON": sys.executable,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _run(
    arguments: Sequence[str], variables: Mapping[str, str], folder: Path, temporary: Path | None
) -> None:
    """Run SAM in a process group of its own and raise its last lines if it fails."""
    if importlib.util.find_spec("samcli") is None:
        raise LocalStackError(f"no SAM CLI: {how_to_install('local')}")
    settings = folder.resolve() / "sam"
    variables = dict(variables) | _quiet(settings)
    with tempfile.TemporaryFile("w+", errors="replace", dir=settings) as log:
        process = subprocess.Popen(  # noqa: S603 - no shell; our own arguments
            [
                sys.executable,
                "-m",
                "itemtrail.local.child",
                str(temporary or ""),
                "samcli",
                *arguments,
            ],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with process:
            try:
                # Not without an end: a signal that comes just before such a wait is not seen.
                while process.poll() is None:
                    time.sleep(_POLL_S)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        log.seek(0)
        output = log.read()
    if process.returncode:
        raise LocalStackError.from_log(f"sam {arguments[0]} failed{_reason(output)}", output)


def _reason(output: str) -> str:
    """Find the line in which SAM, or pip beneath it, says what is wrong."""
    errors = [line for line in output.splitlines() if line.lower().startswith("error: ")]
    return f": {errors[-1][len('error: ') :]}" if errors else ""


def _quiet(settings: Path) -> dict[str, str]:
    """Keep SAM from calling home, and its files together.

    No telemetry, and no look for a newer version this week. Its builders leave empty folders where
    temporary files go.
    """
    scratch = settings / "scratch"
    make_folder(scratch)
    metadata = json.dumps({"lastVersionCheck": time.time()})
    replace_file(settings / "metadata.json", metadata.encode("ascii"))
    return {
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(settings),
        "TMPDIR": str(scratch),
    }
