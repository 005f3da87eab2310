"""The contract of Lambda and CloudFormation about mappings, for commands that are told to people.

A function has one event source mapping for a stream; a second one is refused (409,
ResourceConflictException). CloudFormation makes what is new, replacements included, before it
deletes what is old, and does not notice that somebody deleted a resource.
"""

import re
import shlex
from dataclasses import dataclass, field
from functools import cache

from tests.templates import STREAM, Evaluation, transformed

MAPPING = "AWS::Lambda::EventSourceMapping"
# Of these the deployments that are told change which mappings there are.
_DECISIVE = ("FollowStream", "SourceStreamArn", "Consumers")
# Up to the end of its block or sentence, the parenthesis that it is in, or the next command.
_COMMAND = re.compile(
    r"\b(?:aws lambda|sam deploy)\b(?:(?!\b(?:sam deploy|aws lambda)\b|\)(?:[\s,.]|$))[^`;])*"
)
_WRITER = re.compile(r"-(?:history|replica)-writer\b")


class ConflictError(Exception):
    """AWS refuses a second mapping of a function on a stream."""


@dataclass
class Account:
    """An account as far as mappings go.

    Attributes:
        stacks: by the name of each stack its mappings, as CloudFormation knows them.
        live: function, stream and starting position of every mapping that there is.
    """

    stacks: dict = field(default_factory=dict)
    live: list = field(default_factory=list)
    _given: dict = field(default_factory=dict)

    def deploy(self, stack="employee-trail", **parameters):
        """Deploy the template; parameters that are not given keep their values."""
        given = self._given.setdefault(stack, {"SourceStreamArn": STREAM})
        given |= parameters
        wanted = _mappings_of(stack, tuple(given.items()))
        before = self.stacks.setdefault(stack, {})
        for name, mapping in wanted.items():
            if before.get(name) != mapping:
                self._make(mapping)
        for name, mapping in before.items():
            if wanted.get(name) != mapping and mapping in self.live:
                self.live.remove(mapping)
        self.stacks[stack] = dict(wanted)

    def run(self, command):
        """Carry out a command that is told, if it changes which mappings there are."""
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        if words[:2] == ["sam", "deploy"]:
            stack = words[words.index("--stack-name") + 1] if "--stack-name" in words else "other"
            self.deploy(stack, **_overrides(words))
        elif "create-event-source-mapping" in words and _may_be_of_a_writer(command):
            raise ConflictError(command)

    def _make(self, mapping):
        if any(mapping[:2] == other[:2] for other in self.live):
            raise ConflictError(mapping)
        self.live.append(mapping)


def commands_in(text):
    """The commands in a text that may change mappings, each up to its end."""
    for match in _COMMAND.finditer(text):
        command = match[0]
        while "\n" in command:
            # A command of a block goes on in the next line only after a backslash.
            line, _, rest = command.partition("\n")
            if not line.endswith("\\"):
                command = line
                break
            command = f"{line[:-1]} {rest}"
        yield command.strip()


def _may_be_of_a_writer(command):
    return _WRITER.search(command) is not None or "--function-name" not in command


@cache
def _mappings_of(stack, given):
    """What makes each mapping of the stream another one, by name: the rest is changed in place."""
    mappings = Evaluation(transformed(), dict(given), stack=stack).of_type(MAPPING)
    return {
        name: (
            f"{stack} {resource['Properties']['FunctionName']}",
            resource["Properties"]["EventSourceArn"],
            resource["Properties"]["StartingPosition"],
        )
        for name, resource in mappings.items()
        if "StartingPosition" in resource["Properties"]
    }


def _overrides(words):
    if "--parameter-overrides" not in words:
        return {}
    pairs = (word.split("=", 1) for word in words if "=" in word)
    given = {name: value for name, value in pairs if name in _DECISIVE}
    if not re.fullmatch(r"arn:[\w:/.-]+", given.get("SourceStreamArn", STREAM)):
        # NEW_ARN and the like: another stream of the same table.
        given["SourceStreamArn"] = STREAM.replace("2026-01-01", "2026-02-02")
    return given
