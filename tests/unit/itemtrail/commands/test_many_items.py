"""The commands about many items."""

import json
from datetime import UTC, datetime

import pytest

from reports.states.watermark import Basis, NoWatermark, Watermark
from stream_core.history_row import HistoryRow
from tests.factories import change
from tests.unit.itemtrail.trail import KEYS, NEW, OLD, ROWS, SINCE, Trail


def test_changes_are_asked_for_by_what_the_options_say(run):
    """Range, key and every choice reach the history as they were given."""
    trail = Trail()
    choice = ("--event", "modify", "--attribute", "Name", "--from", "Murali")
    actor = ("--actor", "Murali Allada", "--actor-attribute", "Name")

    run("changes", "1", *SINCE, "--until", "2018-04-01", *choice, *actor, trail=trail)

    (start, end, where, key), _ = trail.asked
    assert start == datetime(2018, 3, 1, tzinfo=UTC)
    assert end == datetime(2018, 4, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    assert key == KEYS
    assert (where.event_names, where.attribute) == ({"MODIFY"}, ("Name",))
    assert (where.old, where.new, where.actor) == ("Murali", None, "Murali Allada")


def test_changes_say_who_made_them_and_why_that_is_not_known(run):
    """An expiry is DynamoDB's, a delete names nobody, and a name may be an older one's."""
    deleted = HistoryRow.from_change(change(NEW, None, sequence=4))
    trail = Trail(rows=[*ROWS, deleted])

    _, out, _ = run("changes", *SINCE, "--actor-attribute", "Name", trail=trail)

    actors = [(one["actor"], one["actor_source"], one["actor_caveat"]) for one in json.loads(out)]
    assert actors[0] == ("Murali", "attribute", None)
    assert actors[2] == ("dynamodb.amazonaws.com", "userIdentity", None)
    assert actors[3][0] is None
    assert "a delete does not name who made it" in actors[3][2]


def test_changes_as_a_table_explain_a_missing_name_once(run):
    """Footnotes stand under the table, however often they are needed."""
    deletes = [HistoryRow.from_change(change(NEW, None, sequence=number_)) for number_ in (4, 5)]

    _, out, _ = run(
        *("changes", *SINCE, "--actor-attribute", "Name", "--output", "table"),
        trail=Trail(rows=[*ROWS, *deletes]),
    )

    assert out.count("? ¹") == 2
    assert out.count("a delete does not name who made it") == 1
    assert "TTL" in out


def test_no_change_is_an_answer(run):
    """Nothing having happened is no failure; a person is told, a program reads a list."""
    status, out, err = run("changes", *SINCE, "--until", "2018-03-02", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (0, [])
    assert err.splitlines() == [
        "from 2018-03-01T00:00:00.000000Z to 2018-03-02T23:59:59.999999Z",
        "no such change from 2018-03-01 00:00:00 to 2018-03-02 23:59:59.999 UTC",
        "the history began at 2018-03-02 14:06:00 UTC: nothing before is known",
    ]


@pytest.mark.parametrize("key", [(), ("1",)])
@pytest.mark.parametrize("rows", [[], ROWS])
@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_changes_later_than_the_watermark_are_no_proof_of_nothing_else(run, form, rows, key):
    """Whatever the form, whether there are some or none: the range is complete up to then only."""
    trail = Trail(rows=rows)
    trail.watermark = Watermark(datetime(2018, 3, 5, tzinfo=UTC), Basis.MEASURED, "by the metrics")

    def last_told(until):
        _, _, err = run("changes", *key, *SINCE, "--until", until, "--output", form, trail=trail)
        return err.rstrip("\n").rpartition("\n")[2]

    assert "on its way" not in last_told("2018-03-04")
    assert last_told("2018-03-05").endswith(
        "may still be on its way: the history is known to be complete until "
        "2018-03-05T00:00:00.000000Z (measured)"
    )
    trail.watermark = NoWatermark("no stack was given")
    assert last_told("2018-03-04") == "no stack was given"


def test_changes_by_an_actor_tell_of_those_that_name_nobody(run):
    """A delete may be anybody's: an answer without it must not look complete."""
    deleted = HistoryRow.from_change(change(NEW, None, sequence=4))
    by_murali = ("--actor", "Murali", "--actor-attribute", "Name")

    _, out, err = run("changes", *SINCE, *by_murali, trail=Trail(rows=[ROWS[0], deleted]))

    assert len(json.loads(out)) == 1
    assert err.splitlines()[1] == (
        "the history does not say who made 1 delete in the range: any of them may be by Murali; "
        "leave --actor out to see them"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--attribute", "Nane"), "the attribute Nane of --attribute: is Name meant?"),
        (("--attribute", "Name.first"), "the attribute Name.first of --attribute"),
        (("--actor", "Murali", "--actor-attribute", "by"), "the attribute by of --actor-attribute"),
    ],
)
def test_an_attribute_that_no_change_knows_is_named(run, options, told):
    """That no such change was made is no answer to a name that is misspelt."""
    status, out, err = run("changes", *SINCE, *options)
    silent, _, nothing = run("changes", *SINCE, *options, trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (1, [])
    assert err.count(f"no change of the range knows {told}") == 1
    assert (silent, "knows" in nothing) == (0, False)


def test_an_attribute_whose_value_was_only_never_chosen_is_known(run):
    """Nothing is wrong with the question."""
    status, out, err = run("changes", *SINCE, "--attribute", "Name", "--to", "Grace")

    assert (status, json.loads(out)) == (0, [])
    assert "knows" not in err


def test_an_actor_has_to_be_looked_for_somewhere(run):
    """Only DynamoDB names itself."""
    status, _, err = run("changes", *SINCE, "--actor", "ada")
    of_ttl, out, _ = run("changes", *SINCE, "--actor", "dynamodb.amazonaws.com")

    assert status == 2
    assert "--actor looks for a name in --actor-attribute, which is not given" in err
    assert (of_ttl, len(json.loads(out))) == (0, 1)


@pytest.mark.parametrize(
    "question",
    [
        ("changes", "--since"),
        ("between", "--since"),
        ("table-as-of", "--at"),
        ("as-of", "1", "--at"),
    ],
)
def test_the_future_is_not_known(run, question):
    """Neither an item nor an empty list is an answer about it; the day that it is now is none."""
    status, out, err = run(*question, "2999-01-01")
    today, _, _ = run(*question, "today")

    assert (status, out) == (2, "")
    assert "'2999-01-01' lies in the future, of which nothing is known" in err
    assert today == 0


def test_between_gives_versions_with_their_span(run):
    """A version says since when and until when it was active, and how sure that is."""
    _, out, _ = run("between", *SINCE)

    first = json.loads(out)[0]
    assert first["item"] == OLD
    assert (first["valid_from"], first["valid_to"]) == ("2018-03-03T14:06:00.000000Z",) * 2
    assert first["changed"] == ["Id", "Name", "Salary"]
    assert first["certainty"] == "exact"


def test_between_with_nothing_there_is_an_answer(run):
    """As for `changes`; that nothing is known of the item at all is said, and no success."""
    status, out, err = run("between", "1", *SINCE, trail=Trail(rows=[]))
    of_all, _, _ = run("between", *SINCE, trail=Trail(rows=[]))
    of_a_live_one, _, _ = run("between", "1", *SINCE, trail=Trail(rows=[], live=NEW))

    assert (of_all, of_a_live_one) == (0, 0)
    assert (status, json.loads(out)) == (1, [])
    assert "there is neither a row nor a live item of Id=1: is it the right key?" in (
        err.splitlines()
    )
    assert err.splitlines()[1].startswith(
        "no recorded version of Id=1 was active from 2018-03-01 00:00:00 to "
    )


def test_table_as_of_says_which_way_it_took_and_what_is_not_exact(run):
    """On a terminal below the table; else on stderr, where no program reads it."""
    _, table, silent = run("table-as-of", "--at", "now", "--output", "table")
    _, out, err = run("table-as-of", "--at", "now")

    summary = (
        "1 item, 1 of the answers not exact, the others exact (declared); by history: it is short"
    )
    assert summary in table
    assert "bounded: a change is missing" in table
    assert silent == ""
    assert err.splitlines()[1:] == [summary]
    assert [one["exists"] for one in json.loads(out)] == [True, False]


def test_a_table_without_items_is_an_answer(run):
    """Exit 0, an empty list, and the summary."""
    status, out, err = run("table-as-of", "--at", "now", trail=Trail(rows=[]))

    assert (status, json.loads(out)) == (0, [])
    assert err.splitlines()[1:] == ["0 items; by history: it is short"]
