"""The packages, built with the oldest tools that the README names."""

import os
import re
import subprocess
import sys

import pytest

from tests.templates import REPOSITORY

README = (REPOSITORY / "README.md").read_text("utf-8")


def _oldest(tool):
    """The version of a tool that the README asks for at least."""
    (version,) = re.findall(rf"{tool}\S*\s+(\d+(?:\.\d+)+)\s+or\s+newer", README)
    return version


@pytest.mark.bank
def test_the_oldest_tools_of_the_readme_build_the_packages(tmp_path):
    """`sam build` succeeds with the oldest SAM CLI and pip that the README names."""
    environment, built = tmp_path / "venv", tmp_path / "built"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    tools = f"aws-sam-cli=={_oldest('SAM CLI')}.*", f"pip=={_oldest('pip')}"
    python = environment / "bin/python"
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--python", python, *tools, "setuptools"], check=True
    )

    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        [python.parent / "sam", "build", "--build-dir", built],
        cwd=REPOSITORY,
        env=os.environ | {"PATH": path, "SAM_CLI_TELEMETRY": "0", "VIRTUAL_ENV": str(environment)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    layer = built / "StreamCoreLayer/python"
    assert (layer / "stream_core/batch.py").is_file()
    assert (layer / "aws_lambda_powertools").is_dir()
    for function, package in (
        ("HistoryWriterFunction", "history_writer"),
        ("ReplicaWriterFunction", "replica_writer"),
        ("SecondLookFunction", "replica_writer"),
    ):
        assert {path.name for path in (built / function).iterdir()} == {package}


def test_one_oldest_version_is_named():
    """What the README asks for is what the extra for the local stack asks for."""
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")

    assert f"aws-sam-cli>={_oldest('SAM CLI')}," in project
