"""The audit report: a page that holds everything, hides nothing, and runs nothing."""

from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from reports.access.by_time import IndexEntry
from reports.deployment.advice import Advice
from reports.page.activity_chart import Activity
from reports.page.report import About, item_report, table_report
from reports.page.text import shown, value_html
from reports.page.words import CERTAINTIES, CLASSES, EXCEPTION, VERDICTS
from reports.states.blame import blame
from reports.states.evidence import Evidence
from reports.states.spans import timeline
from reports.states.timeline import Certainty, judge
from reports.states.watermark import Basis, NoWatermark, Watermark
from reports.unseen import is_seen
from reports.verification.continuity import Finding, FindingKind
from reports.verification.gaps import Gap
from reports.verification.verdicts import Verdict, Verification
from stream_core.change import EventName
from stream_core.history_row import HistoryRow, sort_key_of
from tests.factories import COMPLETE, FIRST_SEQUENCE, change, item, text

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
MADE = datetime(2026, 3, 31, 12, tzinfo=UTC)
# Markup, an entity, a way out of an attribute, control characters, a reversal of writing.
HOSTILE = "<script>alert('x')</script>&amp;\"><b>\x00\x1b[31m\u202egnp.exe\r\n\ud800\u3164"
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "footer"),
    *("h1", "h2", "h3", "p", "b", "strong", "span", "code", "div", "a", "br"),
    *("dl", "dt", "dd", "ul", "li", "figure", "figcaption"),
    *("table", "colgroup", "col", "thead", "tbody", "tr", "th", "td"),
    *("svg", "g", "defs", "pattern", "rect", "line", "text", "path"),
}
VOID = {"meta", "br", "col"}


def about(**changes):
    given = {
        "question": "itemtrail report 1",
        "made_at": MADE,
        "history_table": "Employee-history",
        "source_table": "Employee",
        "horizon": BEGAN,
        "region": "eu-west-1",
        "version": "1.2.3",
    }
    return About(**given | changes)


def verification(*findings, **changes):
    given = {
        "findings": list(findings),
        "items": 1,
        "rows": 2,
        "overflow_objects": 0,
        "integrity": Verdict.HOLDS,
        "completeness": Verdict.HOLDS,
        "notes": [],
    }
    return Verification(**given | changes)


def rows_of(*images, at=None, user_identity=None):
    """The rows of an item's states, a day apart, or at the times given."""
    times = at or [BEGAN + timedelta(days=1 + n) for n in range(len(images))]
    return [
        HistoryRow.from_change(
            change(
                old,
                new,
                at=moment.timestamp(),
                sequence=FIRST_SEQUENCE + n,
                user_identity=user_identity if new is None else None,
            )
        )
        for n, (old, new, moment) in enumerate(zip([None, *images], images, times, strict=False))
    ]


def named(*names):
    return [name and item("1", Name=text(name)) for name in names]


def report(rows, *findings, at=MADE, live=None, actor_attribute=None, verified=None, **options):
    """The page on an item with these rows, its live item the last of them by default."""
    newest = rows[-1].change if rows else None
    keys = newest.keys if newest else {"Id": text("1")}
    live = live or (newest.new_image if newest else None)
    last = rows[-1] if rows else None
    now = Evidence(keys, MADE, MADE, BEGAN, last, None, True, live, **COMPLETE)
    until = [row for row in rows if row.change.created_at <= at]
    later = [row for row in rows if row.change.created_at > at]
    evidence = Evidence(
        keys,
        at,
        MADE,
        BEGAN,
        until[-1] if until else None,
        later[0] if later else None,
        live_was_read=not later,
        live=None if later else live,
        **COMPLETE,
    )
    return item_report(
        options.pop("about", about()),
        judge(evidence),
        states=list(timeline(rows, now)),
        rows=rows,
        blames=blame(evidence, reversed(until), actor_attribute),
        verification=verified or verification(*findings),
        actor_attribute=actor_attribute,
        **options,
    )


def finding(row, kind=FindingKind.MISSING_CHANGE, **changes):
    created_at = row.change.created_at
    given = {
        "kind": kind,
        "keys": row.change.keys,
        "since": created_at - timedelta(days=1),
        "until": created_at,
        "sort_key": row.sort_key,
        "detail": "it begins with another state",
    }
    return Finding(**given | changes)


class Page(HTMLParser):
    """A page taken apart: its elements, its visible text, its attributes; unbalanced fails."""

    def __init__(self, html):
        super().__init__()
        self.html = html
        self.open, self.elements, self.attributes, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def classes(self, element):
        """The `class` of every such element."""
        return [value for tag, name, value in self.attributes if (tag, name) == (element, "class")]


def table_page(*findings, activity=None, about_=None, **options):
    return table_report(
        about_ or about(question="itemtrail report"),
        options.pop("verified", verification(*findings)),
        activity or Activity(BEGAN, MADE, {}),
        **options,
    )


# ---- The page itself -----------------------------------------------------------------------


def hostile_pages():
    """Both reports with something hostile wherever data can be."""
    image = {"Id": text(HOSTILE), HOSTILE: text(HOSTILE), "Map": {"M": {HOSTILE: text(HOSTILE)}}}
    rows = rows_of(image, image | {"By": text(HOSTILE)}, image)
    found = finding(rows[1], detail=HOSTILE, declared=HOSTILE)
    verified = verification(found, notes=[HOSTILE])
    fields = ("question", "history_table", "source_table", "region", "stack", "endpoint_url")
    described = about(**dict.fromkeys((*fields, "version"), HOSTILE))
    gaps = [Gap(HOSTILE, FindingKind.ORDER, {"Id": text(HOSTILE)})]
    advice = [Advice(HOSTILE, HOSTILE, False, HOSTILE, HOSTILE)]
    return [
        report(rows, actor_attribute=("By",), verified=verified, about=described),
        table_page(verified=verified, about_=described, gaps=gaps, advice=advice),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["item", "table"])
def test_data_is_never_markup_and_never_invisible(which):
    """Whatever is in keys, names, values and texts is shown, escaped, every character visible."""
    html = hostile_pages()[which]

    page = Page(html)

    assert set(page.elements) <= ELEMENTS
    assert "<script>alert('x')</script>&amp;\"><b>" in page.text
    assert "\\x00\\x1b [31m \\u202e gnp.exe" in page.text
    assert {c for c in html if not is_seen(c)} == {"\n"}
    html.encode("utf-8")


@pytest.mark.parametrize("which", [0, 1], ids=["item", "table"])
def test_page_needs_nothing_and_runs_nothing(which):
    """No script, no handler, no address: only places of the page itself are referred to."""
    html = hostile_pages()[which]

    page = Page(html)

    names = {name for _, name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"src", "srcset", "action", "style", "data", "xlink:href"}
    assert all(value.startswith("#") for _, name, value in page.attributes if name == "href")
    style = html[html.index("<style>") : html.index("</style>")]
    assert style.count("url(") == style.count("url(#gap)") == 1
    assert "@import" not in style
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_page_is_made_for_screen_dark_phone_and_paper():
    """The style has its colours for a dark screen, its layout for a narrow one and for paper."""
    html = table_page()

    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert 'name="viewport"' in html


def test_every_word_has_its_meaning():
    """Each verdict, each certainty and each class of finding is put into a sentence."""
    assert CLASSES.keys() == {one.value for one in FindingKind}
    assert CERTAINTIES.keys() == {one.value for one in Certainty}
    assert {name: words.keys() for name, words in VERDICTS.items()} == {
        name: {one.value for one in Verdict} for name in ("integrity", "completeness")
    }


def test_page_says_what_was_asked_and_of_what():
    """The question, when it was answered, the tables, and where the history begins are told."""
    page = Page(report(rows_of(*named("a", "b"))))

    assert page.text.startswith("Audit report Id=1 Table Employee, as recorded in")
    for told in (
        "itemtrail report 1",
        "2026-03-31 12:00:00 UTC, by itemtrail 1.2.3",
        "Employee-history",
        "eu-west-1",
        "History since 2026-03-01 00:00:00 UTC",
        "1 item, 2 rows, 0 overflow objects",
    ):
        assert told in page.text


def test_history_without_a_source_table_says_what_is_missing():
    """Without a source table the report says that nothing could be held against live items."""
    assert "nothing could be held against the live items" in report(
        rows_of(*named("a")), about=about(source_table=None)
    )


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("make", [lambda v: report(rows_of(*named("a")), verified=v), None])
def test_both_verdicts_stand_side_by_side(verdict, make):
    """Integrity and completeness each have their own verdict and its meaning; none is merged."""
    verified = verification(integrity=verdict)
    html = make(verified) if make else table_page(verified=verified)

    page = Page(html)

    assert f"Integrity {verdict.value}." in page.text
    assert "Completeness holds." in page.text
    assert page.text.count(VERDICTS["integrity"][verdict.value]) == 2


def test_the_box_of_completeness_says_up_to_when_and_on_what_that_rests():
    """A verdict that holds up to a moment is no verdict on what came later; without one, none."""
    known = Watermark(datetime(2018, 3, 5, tzinfo=UTC), Basis.DECLARED, "declared by somebody")
    unknown = NoWatermark("no stack was given")

    boxes = [
        Page(table_page(verified=verification(watermark=watermark))).text.partition("Findings")[0]
        for watermark in (known, unknown)
    ]

    assert boxes[0].count("until 2018-03-05 00:00:00 UTC (declared)") == 1
    assert "UTC (" not in boxes[1]


# ---- An item -------------------------------------------------------------------------------


def test_every_change_is_told_with_sequence_number_and_digest():
    """Each row has its time, event, sequence number and digest in hex, and what it changed."""
    rows = rows_of(*named("Murali", "Murali Allada", None))

    page = Page(report(rows))

    for row in rows:
        assert row.change.sequence_number in page.text
        assert f"SHA-256 {row.digest.hex()}" in page.text
    assert "~ Name Murali text → Murali Allada text" in page.text
    assert "- Name Murali Allada text" in page.text
    assert [one for one in page.classes("tr") if one] == []
    assert [value for _, name, value in page.attributes if name == "id"] == [
        "gap",
        "change-1",
        "change-2",
        "change-3",
    ]


def test_changes_of_one_second_are_told_as_such():
    """Several changes of one second are counted within it, and have one mark with their number."""
    second = BEGAN + timedelta(days=3)
    rows = rows_of(*named("a", "b", "c", "d"), at=[BEGAN + timedelta(days=1), *[second] * 3])

    page = Page(report(rows))

    assert [f"{n} of 3 in this second" in page.text for n in (1, 2, 3)] == [True] * 3
    assert "4 of" not in page.text
    assert page.html.count("changes, some of one second, 2026-03-04 00:00:00") == 1


def test_missing_change_is_marked_on_the_timeline_and_at_its_row():
    """Where two rows do not fit there is a gap on the timeline, and the finding is at the row."""
    whole = rows_of(*named("a", "b", "c"))
    rows = [whole[0], whole[2]]

    page, intact = Page(report(rows, finding(rows[1]))), Page(report(whole))

    # One is in the legend.
    assert page.classes("rect").count("gap") == 2
    assert intact.classes("rect").count("gap") == 1
    assert page.text.count("MISSING_CHANGE it begins with another state") == 1
    assert "2026-03-03 00:00:00" in page.text
    assert CLASSES["MISSING_CHANGE"] in page.text
    assert CLASSES["ORDER"] not in page.text
    assert "MISSING_CHANGE" not in intact.text


def test_declared_finding_is_told_with_its_cause():
    """A finding that somebody declared carries the cause, in the list and at the row."""
    rows = rows_of(*named("a", "b"))

    page = Page(report(rows, finding(rows[1], declared="outage of 3 March"), finding(rows[0])))

    assert "2 findings, 1 of them declared beforehand." in page.text
    assert page.text.count("outage of 3 March") == 2


def test_attributes_have_their_change_and_its_certainty():
    """Every attribute path of the state is told with since when, by which change and by whom."""
    first = item("1", Name=text("a"), By=text("k.lang"))
    rows = rows_of(first, first | {"Name": text("b"), "By": text("a.meier")})

    page = Page(report(rows, actor_attribute=("By",)))

    assert "Name b text 2026-03-03 00:00:00 MODIFY no. 2" in page.text
    assert "Id 1 text 2026-03-02 00:00:00 INSERT no. 1" in page.text
    assert f"{rows[0].change.sequence_number} k.lang exact" in page.text
    assert ("a", "href", "#change-2") in page.attributes


def test_state_as_of_an_earlier_instant_is_marked():
    """The instant that was asked for stands on the timeline, and the state is the one of then."""
    rows = rows_of(*named("a", "b", None))

    page = Page(report(rows, at=BEGAN + timedelta(days=2, hours=1)))

    assert "The item as of 2026-03-03 01:00:00 UTC" in page.text
    assert "Name b text" in page.text
    assert "asked for" in page.text
    assert "the rows before and after fit each other" in page.text
    # A moment after the report was begun is still now.
    now = MADE + timedelta(milliseconds=20)
    assert "asked for" not in Page(report(rows, at=now)).text


def test_deleted_and_never_existed_are_told_apart():
    """An item that was deleted is not one that never was, though neither is there."""
    deleted, never = Page(report(rows_of(*named("a", None)))), Page(report([]))

    assert "State deleted So since 2026-03-03 00:00:00" in deleted.text
    assert "State no such item So since not known" in never.text
    assert "Nothing is recorded of this item." in never.text


def test_expiry_is_told_by_whom():
    """A delete that DynamoDB made by itself names it; one by a person says that nobody is named."""
    expired = rows_of(*named("a", None), user_identity=("Service", "dynamodb.amazonaws.com"))
    deleted = rows_of(*named("a", None))

    assert "by dynamodb.amazonaws.com" in Page(report(expired)).text
    assert (
        "a delete does not name who made it" in Page(report(deleted, actor_attribute=("By",))).text
    )


def test_baseline_is_told_as_no_change():
    """A SNAPSHOT row is a baseline and has no changes."""
    created_at = BEGAN + timedelta(days=2)
    (row,) = rows_of(*named("a"), at=[created_at])
    snapshot = row.change.__class__(
        **{name: getattr(row.change, name) for name in row.change.__slots__}
        | {"event_name": EventName.SNAPSHOT, "sequence_number": "0"}
    )

    page = Page(report([HistoryRow.from_change(snapshot)]))

    assert "a baseline: the item as it was found, no change" in page.text


def test_long_history_prints_its_newest_rows_and_says_so(monkeypatch):
    """Of a long history the newest rows are printed under their own numbers, the rest counted."""
    rows = rows_of(*named("a", "b", "c"))

    monkeypatch.setattr("reports.page.report.MOST_ROWS", 2)

    page = Page(report(rows))

    assert "3 rows, the oldest first. Only the newest 2 are printed here" in page.text
    assert rows[0].digest.hex() not in page.text
    assert rows[1].digest.hex() in page.text
    assert "change-1" not in page.html
    # Its number stays, though there is nothing to go to.
    assert "INSERT no. 1" in page.text


# ---- Values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "absent"),
        ({"NULL": True}, "NULL"),
        ({"S": ""}, "empty text"),
        ({"B": b""}, "empty binary 0 bytes"),
        ({"S": "1"}, "1 text"),
        ({"N": "1"}, "1 number"),
        ({"S": "NULL"}, "NULL text"),
        ({"BOOL": False}, "false boolean"),
        ({"B": b"\x00\xff"}, "base64:AP8= binary 2 bytes"),
        ({"SS": ["b", "a"]}, "{a, b} set of texts"),
        ({"L": []}, "[] list"),
        ({"M": {"a": {"N": "1"}}}, "{a: 1} map"),
        ({"S": "x" * 240}, f"{'x' * 240} text"),
        ({"S": "x" * 241}, f"{'x' * 160} … text 241 characters"),
        ({"B": bytes(1_000)}, f"base64:{'A' * 153} … binary 1,000 bytes"),
    ],
    ids=str,
)
def test_value_is_told_with_its_type(value, told):
    """Absent, NULL, empty and the text `NULL` differ, as do text and number; long is cut short."""
    assert Page(value_html(value)).text == told


def test_spelled_out_characters_are_set_apart():
    r"""A line break is not the two characters `\n`, though both are written so."""
    assert shown("\n") != shown("\\n")
    assert Page(shown("a\u00a0b")).text == "a \\xa0 b"
    assert Page(shown("ad\u3164min")).text == "ad \\u3164 min"


# ---- A table -------------------------------------------------------------------------------


def entries(day, **counts):
    key = sort_key_of(datetime.combine(day, datetime.min.time(), UTC), "1")
    return [
        IndexEntry(key, "x", EventName(event))
        for event, count in counts.items()
        for _ in range(count)
    ]


def test_changes_per_day_are_counted_and_drawn():
    """Each day with changes is a bar with a block for each event; the totals are told."""
    given = [*entries(date(2026, 3, 3), INSERT=2, MODIFY=3), *entries(date(2026, 3, 9), MODIFY=1)]
    activity = Activity.counted(BEGAN, MADE, given)

    page = Page(table_page(activity=activity))

    assert activity.per_day[date(2026, 3, 3)] == {EventName.INSERT: 2, EventName.MODIFY: 3}
    assert "6 changes from 2026-03-01 00:00:00 to 2026-03-31 12:00:00 UTC, by day." in page.text
    assert "INSERT 2 MODIFY 4" in page.text
    assert "REMOVE" not in page.text
    assert "day of 2026-03-03: 5 changes (2 INSERT, 3 MODIFY)" in page.html
    # Three blocks, and two in the legend.
    assert len([one for one in page.classes("rect") if one in ("insert", "modify")]) == 5


def test_table_without_changes_says_so():
    """A quiet range is told in words, not by an empty drawing."""
    page = Page(table_page())

    assert "Nothing from 2026-03-01 00:00:00 to 2026-03-31 12:00:00 UTC." in page.text
    assert "svg" not in page.elements


def test_findings_of_a_table_name_their_items():
    """Each finding has its item, when the missing change was made, and the row it shows at."""
    (row,) = rows_of(*named("a"))
    page = Page(
        table_page(
            finding(row, since=None),
            finding(row, until=row.change.created_at, since=row.change.created_at),
            finding(row, since=None, until=None, sort_key=None),
        )
    )

    assert "MISSING_CHANGE Id=1 until 2026-03-02 00:00:00 it begins" in page.text
    assert "MISSING_CHANGE Id=1 2026-03-02 00:00:00 it begins" in page.text
    assert "MISSING_CHANGE Id=1 not known it begins with another state no" in page.text
    assert page.text.count(f"row {row.sort_key}") == 2


def test_very_many_findings_are_counted_to_the_last():
    """Of very many findings the first are listed, and the page says how many there are."""
    (row,) = rows_of(*named("a"))

    page = Page(table_page(*[finding(row)] * 501))

    assert "501 findings. The first 500 are listed" in page.text
    assert page.text.count(f"row {row.sort_key}") == 500


def test_declared_gaps_are_told_with_what_they_cover():
    """What was declared is listed, also where nothing was found that it covers."""
    (row,) = rows_of(*named("a"))
    gaps = [
        Gap("deployed later", FindingKind.MISSING_START, None, None, BEGAN),
        Gap("incident 1234", FindingKind.ORDER, {"Id": text("42")}, BEGAN, MADE),
        Gap("ticket 77", FindingKind.ORDER, {"Id": text("42")}),
    ]
    found = finding(row, FindingKind.MISSING_START, declared="deployed later")

    page = Page(table_page(found, found, gaps=gaps))

    assert "deployed later MISSING_START every until 2026-03-01 00:00:00 2" in page.text
    assert "incident 1234 ORDER Id=42 2026-03-01 00:00:00 to 2026-03-31 12:00:00 0" in page.text
    assert "ticket 77 ORDER Id=42 at any time 0" in page.text
    assert page.text.count("holds, but for 2 declared") == 2
    # In the card and in the section, of the verdict that the findings are of.
    assert page.text.count(EXCEPTION) == 2


def test_no_exception_is_told_where_no_finding_was_declared():
    """A verdict on an unhurt history has no reservation, also where a gap covers nothing."""
    gap = Gap("incident 1234", FindingKind.ORDER, {"Id": text("42")}, BEGAN, MADE)

    for html in (table_page(gaps=[gap]), report(rows_of(*named("a")))):
        assert "but for what was declared" not in Page(html).text


def test_doctors_findings_come_first():
    """What is wrong comes first with what to do, then what could not be told, then the rest."""
    advice = [
        Advice("bisect", "history_writer", True, "on"),
        Advice("readers", "Employee", None, "AccessDenied", "Ask again."),
        Advice("versioning", "bucket", False, "off", "Turn it on."),
    ]

    page = Page(table_page(advice=advice))

    assert "3 checks: 1 passed, 1 to fix, 1 that could not be checked." in page.text
    places = [page.text.index(told) for told in ("✗ failed", "? not checked", "✓ passed")]
    assert places == sorted(places)
    assert "off Turn it on." in page.text


def test_deployment_that_was_not_asked_about_is_told_so():
    """A report without the doctor says that it was not asked, and not that all is well."""
    assert "This was not checked." in Page(table_page()).text
    assert "0 checks: 0 passed" in Page(table_page(advice=[])).text
