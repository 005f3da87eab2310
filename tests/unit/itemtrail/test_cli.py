"""The command line: every command explains itself, and fails in one line."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

import itemtrail.local.demo
from itemtrail.cli import commands, main
from itemtrail.local.local_stack import LocalStackError
from stream_core.errors import IntegrityError
from tests.unit.itemtrail.outputs import only_line
from tests.unit.itemtrail.trail import EVERY_QUESTION, SINCE, Trail


@pytest.mark.parametrize("command", sorted(commands.commands))
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself_with_an_example(run, command, flag):
    """Help names every option's purpose and shows a command line that can be typed."""
    status, out, _ = run(command, flag)

    assert status == 0
    assert f"itemtrail {command}" in out.partition("Example:")[2]
    assert all(
        option.help for option in commands.commands[command].params if option.opts[0][0] == "-"
    )


def test_help_lists_every_command_under_what_it_asks_about(run):
    """The list of commands is whole, and each line of it is."""
    status, out, _ = run("-h")

    assert status == 0
    for name in commands.commands:
        assert f"\n  {name} " in out
    assert "About an item:" in out


def test_help_shows_the_environment(run):
    """Whoever asks the same tables every day finds out how not to name them."""
    _, out, _ = run("changes", "-h")

    for name in ("ITEMTRAIL_STACK", "ITEMTRAIL_HISTORY_TABLE", "ITEMTRAIL_SOURCE_TABLE"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["as-of", "1", "--at", "soon"], "Invalid value for '--at': 'soon' is not a time: use ISO"),
        (["as-of", "1"], "Missing option '--at'. Try: itemtrail as-of --help"),
        (["as-of", "1", "2", "--at", "now"], "not a key of the table: '1 2' does not make one"),
        (["history"], "Missing argument 'KEY...'. Try: itemtrail history --help"),
        (
            ["diff", "1", "--from", "now", "--to", "2018-01-01"],
            "--from is later than --to: swap them. Try: itemtrail diff --help",
        ),
        (
            ["history", "1", "--output", "xml"],
            "'xml' is not one of 'table', 'json', 'jsonl', 'csv'",
        ),
        (["hystory", "1"], "No such command 'hystory'. Try: itemtrail --help"),
        (["as-of", "1", "--at", "now", "--certain"], "only bounded"),
        (["changes"], "Missing option '--since'. Try: itemtrail changes --help"),
        (
            ["changes", "--since", "now", "--until", "2018-01-01"],
            "--since is later than --until: swap them. Try: itemtrail changes --help",
        ),
        (
            ["changes", "--since", "2018-01-01", "--from", "2018-01-01"],
            "--from and --to are values of --attribute, which is not given; times are --since",
        ),
        (
            ["changes", "--since", "2018-01-01", "--attribute", "a..b"],
            "Invalid value for '--attribute': 'a..b' is not an attribute path: write e.g. status",
        ),
        (
            ["changes", "--since", "2018-01-01", "--attribute", "a", "--to", '{"N": "x"}'],
            "not an attribute value: N is not a number: write e.g.",
        ),
        (
            ["changes", "--since", "2018-01-01", "--event", "DELETE"],
            "'DELETE' is not one of 'INSERT', 'MODIFY', 'REMOVE', 'SNAPSHOT'",
        ),
        (
            ["changes", "--since", "2018-01-01", "--time-shards", "0"],
            "0 is not in the range 1<=x<=100",
        ),
        (
            ["between", "--since", "now", "--until", "2018-01-01"],
            "--since is later than --until: swap them. Try: itemtrail between --help",
        ),
        (["table-as-of"], "Missing option '--at'. Try: itemtrail table-as-of --help"),
        (
            ["verify", "1", "--keys-file", "-"],
            "use just one of KEY and --keys-file. Try: itemtrail verify --help",
        ),
        (["verify", "--keys-file", "nowhere.txt"], "'nowhere.txt': No such file or directory"),
        (["verify", "--gaps", "nowhere.json"], "File 'nowhere.json' does not exist"),
        (
            ["report", "1", "--since", "2018-01-01"],
            "--since is for a report on the whole table; a report on an item has all its life",
        ),
        (["report", "--at", "now"], "--at and --actor-attribute are for a report on one item"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, arguments, expected):
    """Every mistake is told in one line that says what to do, and nothing else is printed."""
    status, out, err = run(*arguments)

    assert (status, out) == (2, "")
    assert only_line(err).startswith("Error: ")
    assert expected in err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "there is no key in keys.txt: write a key a line"),
        (b"\xff\xfe1", "keys.txt is not text in UTF-8: write a key a line"),
        (b'1\n{"Id": 7}\n', "keys.txt line 2: not a key of the table: Id is not a text"),
    ],
)
def test_a_keys_file_that_cannot_be_used_is_one_line(run, tmp_path, monkeypatch, content, expected):
    """Nothing is verified by mistake: no key is no reason to find nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_bytes(content)

    status, out, err = run("verify", "--keys-file", "keys.txt")

    assert (status, out) == (2, "")
    assert expected in only_line(err)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf1\r\n", b'\xef\xbb\xbf{"Id": "1"}'])
def test_a_keys_file_may_begin_with_a_byte_order_mark(run, tmp_path, monkeypatch, content):
    """Spreadsheets write one; taken for a part of the key, it was a key that there is not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_bytes(content)
    trail = Trail()

    run("verify", "--keys-file", "keys.txt", trail=trail)

    assert trail.asked[0][0] == [{"Id": {"S": "1"}}]


@pytest.mark.parametrize("text", ["-5", "-5.0", "-1e3", "-.5"])
def test_a_number_below_zero_is_a_key_and_no_option(run, text):
    """Before or after options, or behind `--`; what an option takes for its value stays its own."""
    for words in ((text, *SINCE), (*SINCE, text), (*SINCE, "--", text)):
        trail = Trail()
        run("changes", "--attribute", "a", "--from", "-7", *words, trail=trail)

        _, _, where, key = trail.asked[0]
        assert (key, where.old) == ({"Id": {"S": text}}, "-7")


def test_a_key_that_looks_like_an_option_goes_behind_two_dashes(run):
    """The error says so; a mistyped option is still one."""
    trail = Trail()
    run("history", "--", "-x", trail=trail)
    _, _, short = run("history", "-x")
    _, _, long = run("history", "1", "--stak", "x")

    assert trail.asked[0][0] == {"Id": {"S": "-x"}}
    assert "a KEY that begins with - goes behind --, as in itemtrail history -- -x" in short
    assert "No such option: --stak" in long


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EndpointConnectionError(endpoint_url="http://localhost:9"), "Check --endpoint-url"),
        (NoCredentialsError(), "no AWS credentials: give --profile"),
        (IntegrityError("digest mismatch in the history row 7"), "digest mismatch"),
        (
            ResponseParserError("<html>"),
            "the endpoint does not answer as AWS does: check --endpoint-url",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not\nyours"}}, "Query"),
            "Query was refused: AccessDenied not yours",
        ),
    ],
)
@pytest.mark.parametrize(
    "command", [one for name, one in EVERY_QUESTION.items() if name not in ("status", "doctor")]
)
def test_failures_of_the_service_are_one_line_and_exit_2(run, error, expected, command):
    """What AWS, the network or the history itself says is passed on in one line."""
    status, out, err = run(*command, trail=Trail(error=error))

    assert (status, out) == (2, "")
    assert expected in only_line(err)


@pytest.mark.parametrize(
    ("key", "trail"),
    [
        ("\x1b[2J", Trail(rows=[])),
        ("1", Trail(error=IntegrityError("digest mismatch in the row of \x1b[2J"))),
    ],
    ids=["remark", "error"],
)
def test_what_is_told_cannot_control_the_terminal(run, key, trail):
    """Remarks and errors quote keys: escape sequences in them are spelled out."""
    _, _, err = run("history", key, trail=trail)

    assert r"\x1b[2J" in only_line(err)
    assert "\x1b" not in err


@pytest.mark.parametrize("command", ["history", "changes", "verify"])
def test_an_interrupt_exits_with_130(run, command):
    """Ctrl-C is told apart from a failure."""
    status, _, err = run(*EVERY_QUESTION[command], trail=Trail(error=KeyboardInterrupt()))

    assert (status, err.strip()) == (130, "")


def test_a_demo_that_cannot_start_is_one_line_after_the_log(monkeypatch, capsys):
    """What a program beneath it said comes first, what to do comes last, with exit 2."""

    def refuse(_region):
        raise LocalStackError("sam build failed", "line 1\nline 2")

    monkeypatch.setattr(itemtrail.local.demo, "LocalStack", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])

    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == ["line 1", "line 2", "Error: sam build failed"]
