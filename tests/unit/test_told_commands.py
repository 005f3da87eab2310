"""No command that the documents, the alarms or the program tell breaks the contract of mappings."""

import ast
import re
import shlex
from itertools import chain
from pathlib import Path

import pytest

from tests.aws_commands import operation_names, options_of, read
from tests.deployer_policy import schema_of
from tests.mapping_contract import MAPPING, Account, ConflictError, commands_in
from tests.templates import load

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PROGRAM = [
    path
    for package in ("reports", "operations", "itemtrail", "stream_core")
    for path in sorted((ROOT / package).rglob("*.py"))
]


def running():
    """An account with the stack that the documents speak of."""
    account = Account()
    account.deploy()
    return account


def _follow(text, account):
    for command in commands_in(text):
        account.run(command)


def _sections(path):
    """The parts of a document, by the headings and the paragraphs that begin with a bold name."""
    return re.split(r"^(?:#+ |\*\*)", path.read_text("utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documented_commands_keep_the_contract(path):
    """Whoever follows a section, from a running stack, is refused nothing."""
    for section in _sections(path):
        _follow(section, running())


def test_what_is_deployed_anew_keeps_its_values():
    """A running stack's values are changed where a plain `sam deploy` finds them again."""
    texts = [path.read_text("utf-8") for path in (*DOCUMENTS, *PROGRAM)]
    overriding = [
        line
        for text in texts
        for line in re.sub(r'\\\n\s*|"\s*\n\s*f?"', " ", text).splitlines()
        if re.search(
            r"--parameter-overrides (\{|(FollowStream|SourceStreamArn)=(NEW|true|false))", line
        )
    ]

    assert len(overriding) >= 4
    assert [line for line in overriding if "--save-params" not in line] == []


def test_commands_are_found_where_there_are_some():
    """Both deployments of a mapping made anew, with what they set, among others."""
    page = (ROOT / "docs/deployment.md").read_text("utf-8")

    told = list(commands_in(page))

    assert sum("FollowStream=" in command for command in told) == 2
    assert sum(command.startswith("sam deploy") for command in told) >= 5
    assert any(command.startswith("aws lambda update-event-source-mapping") for command in told)


def _texts(node):
    """The texts of a template that people read."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name.endswith("Description") and isinstance(value, str):
                yield value
            elif name.endswith("Description"):
                yield from _strings(value)
            else:
                yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


def _strings(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _strings(value)


@pytest.mark.parametrize("name", ["template.yaml", "replica.yaml"])
def test_what_the_templates_tell_keeps_the_contract(name):
    """Descriptions of parameters, outputs and alarms."""
    texts = list(_texts(load(name)))

    assert len(texts) > 10
    for text in texts:
        _follow(text, running())


# Not commands of a service, but of the CLI itself.
_OF_THE_CLI = {"s3", "cloudformation deploy", "logs tail"}


def _aws_commands(text):
    """The words of every command of the AWS CLI in a text, also of one within another."""
    text = text.replace("\\\n", " ")
    for match in re.finditer(r"\baws (?=[a-z0-9]+ [a-z])", text):
        line = text[match.end() :].partition("\n")[0].partition("`")[0]
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, words = True, []
        # What a parenthesis closes may end in the middle of somebody else's quotes.
        for word in iter(lexer.get_token, lexer.eof):
            if set(word) <= set("();<>|&"):
                break
            words.append(word)
        yield words


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documented_commands_are_ones_that_the_services_know(path):
    """Each names an operation, with options that it has and none less than it needs."""
    for words in _aws_commands(path.read_text("utf-8")):
        if {words[0], " ".join(words[:2])} & _OF_THE_CLI:
            continue
        if len(words) == 2:
            assert words[1] in operation_names(words[0])
        else:
            read(words)


def _told_by(path):
    """The texts of a module, each put together, with `PART` where a value is put in."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                getattr(value, "value", None) if isinstance(value, ast.Constant) else "PART"
                for value in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_told_commands_are_ones_that_the_services_know(path):
    """Each names an operation, and options that it has; what is put in is not known here."""
    for words in chain.from_iterable(map(_aws_commands, _told_by(path))):
        if words[1] == "PART" or {words[0], " ".join(words[:2])} & _OF_THE_CLI:
            continue
        service, name, *rest = (word.rstrip(",:.") for word in words)
        known = options_of(service, name)
        given = {word.removeprefix("--") for word in rest if word.startswith("--")}
        assert given <= known, words


def test_commands_of_the_services_are_found():
    """Those of the page that has the most, and one within another."""
    found = list(_aws_commands((ROOT / "docs/deployment.md").read_text("utf-8")))

    assert len(found) > 20
    assert ["dynamodb", "describe-table", "--table-name", "trail-try-history"] in [
        words[:4] for words in found
    ]


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_of_the_program_makes_a_mapping(path):
    """Advice is put together of these; what comes of it is held in the tests of the doctor."""
    tree = ast.parse(path.read_text("utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]

    assert [text for text in texts if "create-event-source-mapping" in str(text)] == []


def test_no_parameter_but_the_stream_replaces_a_mapping():
    """What makes it another mapping is fixed, or names the stream: that one's is another one."""
    fixed = {path.rpartition("/")[2] for path in schema_of(MAPPING)["createOnlyProperties"]}
    assert {"EventSourceArn", "StartingPosition"} <= fixed

    for writer in ("HistoryWriterMapping", "ReplicaWriterMapping"):
        properties = load("template.yaml")["Resources"][writer]["Properties"]
        assert properties.keys() & fixed == {"EventSourceArn", "StartingPosition"}
        assert properties["StartingPosition"] == "TRIM_HORIZON"


def test_a_mapping_made_anew_by_two_deployments_begins_with_the_oldest_record():
    """Also where somebody deleted it, and where it began at the latest."""
    for start in (None, "LATEST"):
        account = running()
        function, stream, _ = account.live.pop(0)
        if start is not None:
            account.live.insert(0, (function, stream, start))
            account.stacks["employee-trail"]["HistoryWriterMapping"] = account.live[0]

        account.deploy(FollowStream="false")
        none = list(account.live)
        account.deploy(FollowStream="true")

        assert none == []
        assert sorted(account.live) == sorted(running().live)


def test_what_used_to_be_advised_is_refused():
    """A second mapping by hand, and one with another beginning in place of the first."""
    by_hand = (
        "aws lambda create-event-source-mapping --function-name employee-trail-history-writer "
        "--starting-position TRIM_HORIZON"
    )
    account = running()
    function, stream, _ = account.live[0]
    account.live[0] = function, stream, "LATEST"
    account.stacks["employee-trail"]["HistoryWriterMapping"] = account.live[0]

    with pytest.raises(ConflictError):
        running().run(by_hand)
    with pytest.raises(ConflictError):
        account.deploy()


def test_a_mapping_that_is_gone_is_not_noticed_by_a_deployment():
    """So it is no advice to deploy the template as it is."""
    account = running()
    account.live.pop(0)

    account.deploy()

    assert len(account.live) == 1


def test_another_stream_is_another_mapping():
    """Both are there until the old ones are deleted."""
    account = running()

    account.run("sam deploy --stack-name employee-trail --parameter-overrides SourceStreamArn=NEW")

    assert len(account.live) == 2
    assert {stream[-23:-13] for _, stream, _ in account.live} == {"2026-02-02"}
