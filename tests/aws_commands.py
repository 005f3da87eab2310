"""A stand-in for the AWS CLI: commands that the documents print, held against the services' models.

Started as a program it carries a command out by boto3, on the endpoint that the environment names;
so a block of a page can be run as it stands.
"""

import json
import sys
from dataclasses import dataclass, field

import boto3
import botocore.session
import jmespath
from botocore import xform_name

# Services that the command line calls otherwise.
_MODELS = {"s3api": "s3"}
# Options that the command line calls otherwise, as theirs would be taken for its own.
_MEMBERS = {("sns", "notification-endpoint"): "endpoint"}
# What every command takes, each with a value.
_GLOBAL = {"query", "output", "region", "profile", "endpoint-url"}


class UnknownCommandError(Exception):
    """The AWS CLI has no such command, or not with these options."""


@dataclass
class Command:
    """A command of a service.

    Attributes:
        operation: its operation, as the service's model names it.
        parameters: what it is given, values as they were written.
        options: what it is given of what every command takes.
        waiter: the name of what it waits for; empty: it is a call.
    """

    service: str
    operation: str
    parameters: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    waiter: str = ""

    def run(self):
        """What the service answers, as the command line shows it."""
        client = boto3.client(self.service, region_name=self.options.get("region"))
        if self.waiter:
            client.get_waiter(self.waiter).wait(**self.parameters)
            return ""
        answer = getattr(client, xform_name(self.operation))(**self.parameters)
        answer.pop("ResponseMetadata", None)
        found = jmespath.search(self.options["query"], answer) if "query" in self.options else None
        return (
            _as_text(found)
            if self.options.get("output") == "text"
            else json.dumps(answer, default=str)
        )


def operation_names(service):
    """The operations of a service, by their names on the command line."""
    model = botocore.session.get_session().get_service_model(_MODELS.get(service, service))
    return {xform_name(each, "-"): each for each in model.operation_names}


def options_of(service, name):
    """Every option that an operation takes on the command line."""
    service = _MODELS.get(service, service)
    model = botocore.session.get_session().get_service_model(service)
    members = model.operation_model(operation_names(service)[name]).input_shape.members
    own = {xform_name(member, "-") for member in members}
    switches = {
        f"no-{xform_name(member, '-')}"
        for member, shape in members.items()
        if shape.type_name == "boolean"
    }
    renamed = {option for of_service, option in _MEMBERS if of_service == service}
    return own | switches | renamed | _GLOBAL


def read(words):
    """A command of a service, from the words behind `aws`.

    Raises:
        UnknownCommandError: the service has no such operation, or it lacks or has no such option.
    """
    service, name, *rest = words
    service = _MODELS.get(service, service)
    operations, waiter = operation_names(service), ""
    if name == "wait":
        waiter = rest.pop(0).replace("-", "_")
        name = _waited_for(service, waiter)
    if name not in operations:
        raise UnknownCommandError(f"{service} {name}: no such operation")
    command = Command(service, operations[name], waiter=waiter)
    model = botocore.session.get_session().get_service_model(service)
    shape = model.operation_model(command.operation).input_shape
    members = {xform_name(member, "-"): member for member in shape.members}
    while rest:
        option = rest.pop(0).removeprefix("--")
        if option in _GLOBAL:
            command.options[option] = rest.pop(0)
            continue
        option = _MEMBERS.get((service, option), option)
        member = members.get(option) or members.get(option.removeprefix("no-"))
        if member is None:
            raise UnknownCommandError(f"{service} {name}: no option --{option}")
        command.parameters[member] = _value(shape.members[member], option, rest)
    if missing := [each for each in shape.required_members if each not in command.parameters]:
        raise UnknownCommandError(f"{service} {name}: lacks {', '.join(missing)}")
    return command


def _value(shape, option, rest):
    if shape.type_name == "boolean":
        return not option.startswith("no-")
    values = []
    while rest and not rest[0].startswith("--"):
        values.append(rest.pop(0))
    if not values:
        raise UnknownCommandError(f"--{option} has no value")
    if shape.type_name == "list":
        return values
    (value,) = values
    return int(value) if shape.type_name == "integer" else value


def _as_text(found):
    rows = found if isinstance(found, list) else [found]
    return "\n".join("\t".join(map(str, row if isinstance(row, list) else [row])) for row in rows)


def _waited_for(service, waiter):
    """The operation that a waiter asks."""
    model = botocore.session.get_session().get_waiter_model(service)
    names = {xform_name(each): each for each in model.waiter_names}
    if waiter not in names:
        raise UnknownCommandError(f"{service} wait {waiter}: no such waiter")
    return xform_name(model.get_waiter(names[waiter]).operation, "-")


def main(words):
    """Carry out a command of a service, or the one that is none."""
    match words:
        case ["s3", "rb", place]:
            boto3.client("s3").delete_bucket(Bucket=place.removeprefix("s3://"))
        case _:
            print(read(words).run())  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
