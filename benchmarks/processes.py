"""Processes of their own for the benchmarks: endpoints, and the programs that ask them."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/Employee"


@dataclass(frozen=True)
class Served:
    """A running endpoint."""

    url: str

    def counts(self) -> dict[str, list[int]]:
        """By operation: requests, items and bytes read since the last time."""
        request = urllib.request.Request(  # noqa: S310 - our own endpoint
            self.url, b"{}", {"X-Amz-Target": "DynamoDB_20120810.Counts"}
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            counts: dict[str, list[int]] = json.load(answer)
        return counts


def serving_history(folder: Path, *settings: str) -> contextlib.AbstractContextManager[Served]:
    """An endpoint over a generated history; see `history_endpoint` for its settings."""
    return serving("benchmarks.history_endpoint", str(folder), *settings)


@contextlib.contextmanager
def serving(module: str, *arguments: str) -> Iterator[Served]:
    """An endpoint in a process of its own, which prints its port first."""
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout  # noqa: S101
        yield Served(f"http://127.0.0.1:{process.stdout.readline().strip()}")
    finally:
        process.kill()
        process.wait()
        assert process.stdout  # noqa: S101
        process.stdout.close()


@cache
def check_endpoint() -> None:
    """See that the endpoint answers as moto does, once; CalledProcessError where it does not."""
    subprocess.run([sys.executable, "-m", "benchmarks.history_check"], check=True)


def environment(url: str) -> dict[str, str]:
    """What the handlers and boto3 need to know, for this endpoint."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SOURCE_TABLE_ARN": TABLE_ARN,
        "HISTORY_TABLE": "h",
        "OVERFLOW_BUCKET": "o",
        "QUARANTINE_BUCKET": "q",
        "SOURCE_TABLE": TABLE_ARN,
        "REPLICA_TABLE": "r",
        "POWERTOOLS_METRICS_DISABLED": "true",
        "LOG_LEVEL": "ERROR",
    }


def ask(module: str, *arguments: str, url: str) -> Any:
    """What a module prints as JSON when it runs in a process of its own."""
    ran = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-m", module, *arguments],
        env=os.environ | environment(url),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(ran.stdout.splitlines()[-1])
