"""A temporary function with the history writer's role: the one way to ask with just its rights.

The role trusts Lambda alone, and stays as it is; whoever runs this needs `iam:PassRole` on it.
"""

import inspect
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from operations.acceptance import probe_function
from operations.acceptance.belief import UntriedError, is_denied
from operations.acceptance.trial import Trial
from reports.deployment.stack import Consumer
from stream_core.retry import error_code

_READY_WAIT_S = 60.0
_MODULE = "probe_function"


@dataclass(frozen=True)
class ProbeAnswer:
    """What a call was answered.

    Attributes:
        code: the error's code; None: it succeeded.
    """

    operation: str
    code: str | None
    request: str

    @property
    def is_denied(self) -> bool:
        """Whether the role may not do it."""
        return is_denied(self.code or "")

    @property
    def is_carried_out(self) -> bool:
        """Whether the role may do it: it was done, or only what is there forbade it."""
        return self.code in (None, "ConditionalCheckFailedException", "DuplicateItem")

    def __str__(self) -> str:
        return f"{self.operation}: {self.code or 'success'} (request {self.request})"


def probe_name(trial: Trial) -> str:
    """The name of the function, which is made when it is asked for first.

    Raises:
        UntriedError: it cannot be made.
    """
    if trial.probe is None:
        trial.probe = _made(trial)
    if isinstance(trial.probe, UntriedError):
        raise trial.probe
    return trial.probe


def ask(
    trial: Trial, operation: str, *, service: str = "dynamodb", **parameters: Any
) -> ProbeAnswer:
    """What a service answers to a call of the history writer's role."""
    event = {"service": service, "operation": operation, "parameters": parameters}
    answer = trial.client("lambda").invoke(
        FunctionName=probe_name(trial), Payload=json.dumps(event).encode()
    )
    body = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise UntriedError(f"the temporary function failed: {body.get('errorType', 'unknown')}")
    return ProbeAnswer(operation, body["code"], body["request"])


def _made(trial: Trial) -> str | UntriedError:
    client, name = trial.client("lambda"), trial.name
    writer = client.get_function_configuration(
        FunctionName=trial.stack.function(Consumer.HISTORY_WRITER)
    )
    request = {
        "FunctionName": name,
        "Description": "Temporary, of an acceptance run of itemtrail",
        "Runtime": writer["Runtime"],
        "Architectures": writer.get("Architectures", ["x86_64"]),
        "Role": writer["Role"],
        "Handler": f"{_MODULE}.handler",
        "Code": {"ZipFile": package()},
        "Timeout": 30,
        # The one that the role may write.
        "LoggingConfig": {"LogGroup": f"/aws/lambda/{trial.stack.name}-history-writer"},
    }
    try:
        with trial.clean_up.making(f"the function {name}", lambda: _delete(client, name)):
            client.create_function(**request)
    except ClientError as error:
        return UntriedError(
            f"no temporary function can be made ({error_code(error)}): it takes "
            "lambda:CreateFunction, and iam:PassRole on the history writer's role"
        )

    def look() -> bool | None:
        state = client.get_function_configuration(FunctionName=name).get("State", "Active")
        return True if state == "Active" else None

    if trial.wait_for(look, _READY_WAIT_S) is None:
        return UntriedError("the temporary function did not become active")
    return name


def _delete(client: Any, name: str) -> None:
    try:
        client.delete_function(FunctionName=name)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise


def package() -> bytes:
    """The function's code as Lambda takes it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        # Readable for Lambda's own user.
        entry = zipfile.ZipInfo(f"{_MODULE}.py")
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, inspect.getsource(probe_function))
    return content.getvalue()
