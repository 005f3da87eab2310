"""What an attempt at a belief works with: the stack, its clients, the canary, the time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from operations.acceptance.belief import UntriedError
from operations.acceptance.canary import Canary
from operations.acceptance.clean_up import CleanUp
from reports.access.clients import CLIENT_CONFIG
from reports.access.machine import Machine
from reports.deployment.stack import Stack
from stream_core.history_row import HistoryRow

Value = TypeVar("Value")

NAME = "itemtrail-accept"
"""What everything that is made begins with."""


@dataclass
class Trial:
    """One acceptance run.

    Attributes:
        stack: the stack that is tried.
        canary: the item that it is tried with.
        clean_up: what is taken away at the end.
        probe: the temporary function's name, or why there is none; None: it is not made yet.
        notes: what several attempts go by, each noted by the first of them.
    """

    stack: Stack
    canary: Canary
    clean_up: CleanUp = field(default_factory=CleanUp)
    probe: str | UntriedError | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    _clients: dict[tuple[str, str | None], Any] = field(default_factory=dict)

    def client(self, service: str, region: str | None = None) -> Any:
        """A client for a service, with the credentials of whoever runs this."""
        tables = self.canary.tables
        if (service, region) not in self._clients:
            make: Any = tables.session.client
            self._clients[service, region] = make(
                service, region_name=region, endpoint_url=tables.endpoint_url, config=CLIENT_CONFIG
            )
        return self._clients[service, region]

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def wait_for(self, look: Callable[[], Value | None], seconds: float) -> Value | None:
        """What a look gives, once it does; None: not within so many seconds.

        Raises:
            UntriedError: the run's time was over before.
        """
        return self.canary.time_limit.wait_for(look, seconds)

    @property
    def machine(self) -> Machine:
        """The machine to run on."""
        return self.canary.time_limit.machine

    @property
    def name(self) -> str:
        """The name of what is made for this run alone."""
        return f"{NAME}-{self.canary.run}"

    @property
    def is_emulator(self) -> bool:
        """Whether the stack says that it is an emulator's."""
        return self.stack.outputs.get("Emulator") == "true"

    @property
    def row(self) -> HistoryRow:
        """The history's row of the canary's beginning.

        Raises:
            UntriedError: there is none.
        """
        if self.canary.row is None:
            raise UntriedError("the canary has no row: see put-becomes-row")
        return self.canary.row

    @cached_property
    def roles(self) -> dict[str, str]:
        """The ARNs of the stack's roles, by their names in the template."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: f"arn:{self.partition}:iam::{self.account}:role/"
            f"{resource['PhysicalResourceId']}"
            for page in pages.paginate(StackName=self.stack.name)
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == "AWS::IAM::Role"
        }

    def output(self, name: str) -> str:
        """An output of the stack.

        Raises:
            UntriedError: a stack that was deployed long ago does not have it.
        """
        if name not in self.stack.outputs:
            raise UntriedError(f"the stack has no output {name}: deploy template.yaml anew")
        return self.stack.outputs[name]

    def parameter(self, name: str) -> str:
        """What the stack was deployed with.

        Raises:
            UntriedError: it was deployed long ago, and does not say.
        """
        if name not in self.stack.parameters:
            raise UntriedError(f"the stack has no parameter {name}: deploy template.yaml anew")
        return self.stack.parameters[name]

    @cached_property
    def caller(self) -> str:
        """The ARN of whoever runs this."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    @property
    def partition(self) -> str:
        """The partition, as ARNs begin."""
        return self._stream[1]

    @property
    def region(self) -> str:
        """The stack's region."""
        return self._stream[3]

    @property
    def account(self) -> str:
        """The stack's account."""
        return self._stream[4]

    def table_arn(self, name: str, region: str | None = None) -> str:
        """The ARN of a table of the account."""
        place = f"{region or self.region}:{self.account}"
        return f"arn:{self.partition}:dynamodb:{place}:table/{name}"

    @cached_property
    def _stream(self) -> list[str]:
        return self.stack.source_stream_arn.split(":")
