"""Nothing is written that was not approved: by a person at a terminal, or on the command line."""

import io

import pytest

from itemtrail.output import approval
from itemtrail.output.approval import Approval, Stakes, require_approval
from operations.errors import RefusedError
from tests.unit.itemtrail.stdout import Stdout

FEW = Stakes.of_items("Employee", 2, 1)
MANY = Stakes.of_items("Employee", 100, 1, size=lambda: 10_000)
OF_A_REPLICA = Stakes.of_items("employee-replica", 1, 2, named_deletes=True)
FILLED = Stakes("Employee-march", "all of Employee would be written into Employee-march")


class Keyboard(io.StringIO):
    """Standard input at which somebody types."""

    def isatty(self):
        return True


class CtrlC(Keyboard):
    def readline(self, *_):
        raise KeyboardInterrupt


@pytest.fixture
def ask(monkeypatch):
    """Ask for approval at a terminal where something is typed; gives what was shown there."""

    def ask(stakes, keyboard, given=None, form="table"):
        out, err = Stdout(is_terminal=True), Stdout(is_terminal=True)
        monkeypatch.setenv("COLUMNS", "72")
        # Nobody types at first, and Ctrl-C is seen then.
        glances = iter([([], [], []), ([keyboard], [], [])])
        monkeypatch.setattr(approval, "select", lambda *_: next(glances))
        for name, stream in {"stdin": keyboard, "stdout": out, "stderr": err}.items():
            monkeypatch.setattr(approval.sys, name, stream)
        try:
            require_approval(["the plan"], form, stakes, given or Approval())
        finally:
            monkeypatch.undo()
            ask.shown = out.text, err.text
        return ask.shown

    return ask


def test_a_person_sees_the_plan_and_types_yes(ask):
    """What is asked names what would be done, deletes by their name."""
    shown = ask(FEW, Keyboard("yes\n"))

    assert shown == (
        "the plan\n",
        "2 items would be written and 1 item would be deleted in Employee.\nType yes to go on: ",
    )


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "YES\n", "no\n", "Employee\n", "yes please\n"])
def test_any_other_answer_is_no(ask, typed):
    """The end of the input too: whoever goes away has not said yes."""
    with pytest.raises(RefusedError, match=r"^nothing was written: the answer was not yes$"):
        ask(FEW, Keyboard(typed))


def test_ctrl_c_at_the_question_says_that_nothing_was_written(ask):
    """And ends as it does everywhere."""
    with pytest.raises(KeyboardInterrupt):
        ask(FEW, CtrlC())

    assert ask.shown[1].endswith("\nnothing was written\n")


def test_a_plan_that_nobody_reads_is_not_carried_out(monkeypatch):
    """Whoever pipes it into a program that ends has not seen what would be done."""

    def leave(*_):
        raise BrokenPipeError

    monkeypatch.setattr(approval, "draw", leave)

    with pytest.raises(OSError, match="its reader left before the end of the plan; nothing was"):
        require_approval(["the plan"], "table", FEW, Approval(yes=True))


def test_beside_an_answer_for_programs_the_plan_is_on_stderr(capsys):
    """What a program reads is the answer alone."""
    require_approval(["the plan"], "json", FEW, Approval(yes=True))

    assert capsys.readouterr() == ("", "the plan\n")


def test_a_plan_in_a_pipe_is_shown_too(capsys):
    """The log of a script has what was approved in advance."""
    require_approval(["the plan"], "table", FEW, Approval(yes=True))

    assert capsys.readouterr() == ("the plan\n", "")


def test_yes_on_the_command_line_is_no_question(ask):
    """Also at a terminal."""
    assert ask(FEW, Keyboard(""), Approval(yes=True)) == ("the plan\n", "")


def test_nothing_to_do_is_asked_of_nobody(ask, capsys):
    """And no plan is shown: what it came to says all."""
    assert ask(Stakes.of_items("Employee", 0, 0), CtrlC()) == ("", "")

    require_approval(["the plan"], "table", Stakes.of_items("Employee", 0, 0), Approval())
    assert capsys.readouterr() == ("", "")


def test_a_script_has_to_say_yes():
    """The message names what would be done, and both ways to have it done."""
    with pytest.raises(RefusedError) as refused:
        require_approval([], "json", FEW, Approval())

    assert str(refused.value) == (
        "2 items would be written and 1 item would be deleted in Employee; nothing was written: "
        "without a terminal --apply needs --yes, or a plan that was kept and looked at "
        "(--plan FILE)"
    )


def test_a_question_that_goes_into_a_file_is_asked_of_nobody(monkeypatch, capsys):
    """It would wait for ever, and nobody would know for what."""
    monkeypatch.setattr(approval.sys, "stdin", Keyboard("yes\n"))

    with pytest.raises(RefusedError, match="without a terminal"):
        require_approval([], "json", FEW, Approval())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("typed", ["yes\n", "employee\n", ""])
def test_many_changes_need_the_tables_name(ask, typed):
    """A yes is typed too quickly; --yes is none for these."""
    shown = ask(MANY, Keyboard("Employee\n"))
    with pytest.raises(RefusedError, match="the answer was not Employee"):
        ask(MANY, Keyboard(typed), Approval(yes=True))

    # Broken between words, and what is to be typed is in a line of its own.
    assert shown[1] == (
        "100 items would be written and 1 item would be deleted in Employee: that\n"
        "is more than 100.\n"
        "Type Employee to go on: "
    )


@pytest.mark.parametrize(
    ("changes", "size", "most", "passes"),
    [
        (100, 0, None, True),
        (101, 0, None, False),
        (101, None, None, False),
        (101, 10_199, None, True),
        (101, 10_099, None, False),
        (500, 50_000, None, True),
        (501, 50_000, None, False),
        (501, 50_000, 501, True),
        (501, 50_000, 500, False),
        (2, 50_000, 1, False),
        (1, 50_000, 0, False),
    ],
)
def test_how_many_changes_need_more_than_a_yes(changes, size, most, passes):
    """More than 100, and than 1 % of the table; or what --most says, be it more or less."""
    stakes = Stakes.of_items("Employee", changes, 0, size=lambda: size)
    given = Approval(yes=True, most=most)

    if passes:
        require_approval([], "json", stakes, given)
    else:
        with pytest.raises(RefusedError, match=rf"nothing was written\..* give --most {changes}$"):
            require_approval([], "json", stakes, given)


def test_the_brake_says_what_it_goes_by():
    """Whether a number is ordinary depends on the table."""
    stakes = Stakes.of_items("Employee", 501, 0, size=lambda: 50_000)

    with pytest.raises(RefusedError, match=r"more than 500 \(1 % of the table\)"):
        require_approval([], "json", stakes, Approval(yes=True))
    with pytest.raises(RefusedError, match=r"more than 7 \(--most\)"):
        require_approval([], "json", stakes, Approval(yes=True, most=7))


def test_a_delete_from_a_replica_needs_its_name(ask):
    """It may be all that is left of the source: one delete is enough, and --most is no name."""
    shown = ask(OF_A_REPLICA, Keyboard("employee-replica\n"), Approval(yes=True, most=9))
    with pytest.raises(RefusedError, match="not employee-replica"):
        ask(OF_A_REPLICA, Keyboard("yes\n"))
    with pytest.raises(RefusedError, match=r"give --deletes employee-replica$"):
        require_approval([], "json", OF_A_REPLICA, Approval(yes=True, most=9))
    with pytest.raises(RefusedError, match=r"give --deletes employee-replica$"):
        require_approval([], "json", OF_A_REPLICA, Approval(yes=True, deletes="Employee"))
    require_approval([], "json", OF_A_REPLICA, Approval(yes=True, deletes="employee-replica"))

    question = " ".join(shown[1].split())
    assert "deletes from the replica employee-replica need its name" in question


def test_a_table_that_is_filled_needs_a_yes(ask):
    """Nothing in it is changed, however much it gets."""
    shown = ask(FILLED, Keyboard("yes\n"))

    assert shown[1] == f"{FILLED.text}.\nType yes to go on: "
    with pytest.raises(RefusedError, match="without a terminal"):
        require_approval([], "json", FILLED, Approval())
