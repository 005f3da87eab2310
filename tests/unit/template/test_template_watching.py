"""What the template watches and shows: alarms, dashboard and saved queries, of what is emitted."""

import ast
import json
import logging
import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from itemtrail.cli import commands
from stream_core.batch import Outcome, Summary
from stream_core.observability import report
from tests.templates import CASES, EVERY_OPTION, FUNCTIONS, REPOSITORY, TOPIC, deployed

SERVICES = {"history_writer": "trail-history-writer", "replica_writer": "trail-replica-writer"}
_L = "trail-second-look"
# Lambda Developer Guide, "Types of metrics for Lambda functions", by dimension; those of a mapping
# are emitted because its MetricsConfig says EventCount.
LAMBDA_METRICS = {
    "FunctionName": {
        "DestinationDeliveryFailures",
        "Duration",
        "Errors",
        "Invocations",
        "IteratorAge",
        "Throttles",
    },
    "EventSourceMappingUUID": {
        "DroppedEventCount",
        "FailedInvokeEventCount",
        "FilteredOutEventCount",
        "InvokedEventCount",
        "OnFailureDestinationDeliveredEventCount",
        "PolledEventCount",
    },
}

SQS_METRICS = {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}

# ---- What is emitted -----------------------------------------------------------------------


def _emitted(consumer):
    """The names of a consumer's metrics, as its code gives them."""
    names = set()
    modules = [*(REPOSITORY / consumer).glob("*.py"), *(REPOSITORY / "stream_core").glob("*.py")]
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            match node:
                case ast.Subscript(
                    value=ast.Attribute(attr="counts"), slice=ast.Constant(value=name)
                ):
                    names.add(name)
                case ast.Call(func=ast.Name(id="report"), args=[ast.Constant(value=name), _]):
                    names.add(name)
    return names


def _in_docs(consumer):
    """The names of a consumer's metrics in the table of `docs/consumers.md`."""
    text = (REPOSITORY / "docs/consumers.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[A-Z].*?) \| (both|history|replica|one each) \|", text, re.MULTILINE)
    own = consumer.partition("_")[0]
    return {
        name
        for cell, whose in rows
        for name in re.findall(r"`(\w+)`", cell)
        if whose in ("both", own) or (whose == "one each" and name.lower().startswith(own))
    }


@pytest.mark.parametrize("consumer", SERVICES)
def test_documented_metrics_are_those_emitted(consumer):
    """The page about the consumers lists every metric that the code emits, and no other."""
    assert _in_docs(consumer) == _emitted(consumer)


@pytest.fixture(params=SERVICES)
def written(request, monkeypatch, capsys):
    """The log line and the metrics of a batch in trouble, written as the function writes them."""
    service = SERVICES[request.param]
    function = FUNCTIONS[list(SERVICES).index(request.param)]
    variables = deployed("plain").properties(function)["Environment"]["Variables"]
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    # The logger keeps the standard output of the test that used it first.
    logging.Logger.manager.loggerDict.pop(service, None)
    lag = f"{request.param.partition('_')[0].title()}LagMs"
    counts = Counter(dict.fromkeys(_emitted(request.param) - {lag}, 1))
    outcome = Outcome(unstored=[{}], counts=counts, errors=Counter({"ThrottlingError": 1}))
    failed = {"batchItemFailures": [{"itemIdentifier": "100"}]}
    report(lag, Summary(failed, outcome, datetime.now(UTC)))
    log, metrics = map(json.loads, capsys.readouterr().out.splitlines())
    return request.param, log, metrics


def test_metrics_carry_the_dimension_that_alarms_ask_for(written):
    """A function's metrics are in the namespace `itemtrail`, with its service as one dimension."""
    consumer, _, metrics = written

    (directive,) = metrics["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "itemtrail"
    assert directive["Dimensions"] == [["service"]]
    assert metrics["service"] == SERVICES[consumer]
    assert {one["Name"] for one in directive["Metrics"]} == _emitted(consumer)


def _is_emitted(namespace, name, dimension, value):
    """Whether a metric is one that somebody really sends, of whatever function it is."""
    if namespace == "AWS/Lambda":
        return name in LAMBDA_METRICS[dimension]
    if namespace == "AWS/DynamoDB":
        return (name, dimension, value) == ("ConsumedWriteCapacityUnits", "TableName", "Employee")
    if namespace == "AWS/SQS":
        return name in SQS_METRICS and dimension == "QueueName"
    packages = {service: consumer for consumer, service in SERVICES.items()}
    package = (packages | {_L: "replica_writer"}).get(value)
    known = namespace == "itemtrail" and dimension == "service"
    return known and package is not None and name in _emitted(package)


# ---- Alarms --------------------------------------------------------------------------------

_MINUTES_5 = 300


def _alarm(namespace, metric, dimension, statistic="Sum", **different):
    """All of an alarm but its words: by default about a single occurrence in five minutes."""
    (name, value) = dimension
    return {
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value}],
        "Statistic": statistic,
        "Period": _MINUTES_5,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    } | different


TWICE = {"EvaluationPeriods": 3, "DatapointsToAlarm": 2}
OF_HISTORY = ("FunctionName", "<HistoryWriterFunction>")
OF_REPLICA = ("FunctionName", "<ReplicaWriterFunction>")
HISTORY_MAPPING = ("EventSourceMappingUUID", "<HistoryWriterMapping>")
REPLICA_MAPPING = ("EventSourceMappingUUID", "<ReplicaWriterMapping>")
HISTORY_SERVICE = ("service", "trail-history-writer")
REPLICA_SERVICE = ("service", "trail-replica-writer")
GIVEN_UP = "OnFailureDestinationDeliveredEventCount"
UNDELIVERED = "DestinationDeliveryFailures"
HOUR_MS, MINUTES_5_MS = 3_600_000, 300_000
HISTORY_ALARMS = {
    "HistoryWriterLagAlarm": _alarm(
        "AWS/Lambda", "IteratorAge", OF_HISTORY, "Maximum", Threshold=HOUR_MS
    ),
    "HistoryWriterErrorsAlarm": _alarm("AWS/Lambda", "Errors", OF_HISTORY, **TWICE),
    "HistoryWriterThrottlesAlarm": _alarm("AWS/Lambda", "Throttles", OF_HISTORY, **TWICE),
    "HistoryUnstoredAlarm": _alarm("itemtrail", "Unstored", HISTORY_SERVICE, EvaluationPeriods=2),
    "HistoryQuarantineAlarm": _alarm("itemtrail", "Quarantined", HISTORY_SERVICE),
    "DigestConflictAlarm": _alarm("itemtrail", "DigestConflicts", HISTORY_SERVICE),
    "HistoryFailedBatchesAlarm": _alarm("AWS/Lambda", GIVEN_UP, HISTORY_MAPPING),
    "HistoryLostBatchesAlarm": _alarm("AWS/Lambda", "DroppedEventCount", HISTORY_MAPPING),
    "HistoryUndeliveredBatchesAlarm": _alarm("AWS/Lambda", UNDELIVERED, OF_HISTORY),
}
REPLICA_ALARMS = {
    "ReplicaLagAlarm": _alarm(
        "itemtrail",
        "ReplicaLagMs",
        REPLICA_SERVICE,
        "Maximum",
        Threshold=MINUTES_5_MS,
        EvaluationPeriods=3,
    ),
    "ReplicaWriterLagAlarm": _alarm(
        "AWS/Lambda", "IteratorAge", OF_REPLICA, "Maximum", Threshold=HOUR_MS
    ),
    "ReplicaWriterErrorsAlarm": _alarm("AWS/Lambda", "Errors", OF_REPLICA, **TWICE),
    "ReplicaWriterThrottlesAlarm": _alarm("AWS/Lambda", "Throttles", OF_REPLICA, **TWICE),
    "ReplicaUnstoredAlarm": _alarm("itemtrail", "Unstored", REPLICA_SERVICE, EvaluationPeriods=2),
    "ReplicaQuarantineAlarm": _alarm("itemtrail", "Quarantined", REPLICA_SERVICE),
    "ReplicaFailedBatchesAlarm": _alarm("AWS/Lambda", GIVEN_UP, REPLICA_MAPPING),
    "ReplicaLostBatchesAlarm": _alarm("AWS/Lambda", "DroppedEventCount", REPLICA_MAPPING),
    "ReplicaUndeliveredBatchesAlarm": _alarm("AWS/Lambda", UNDELIVERED, OF_REPLICA),
}
LOOK_ALARMS = {
    "SecondLookFailedAlarm": _alarm(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        ("QueueName", "<SecondLookFailedQueue.QueueName>"),
        "Maximum",
    ),
    "SecondLookLateAlarm": _alarm(
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        ("QueueName", "<SecondLookQueue.QueueName>"),
        "Maximum",
        Threshold=7200,
    ),
}
# What comes to an end by itself, and tells that it did.
ENDING = (
    "SecondLookFailedAlarm",
    "LateAlarm",
    "LagAlarm",
    "ErrorsAlarm",
    "ThrottlesAlarm",
    "StalledAlarm",
    "UnstoredAlarm",
)


def _stalled(mapping):
    """All of an alarm that compares two metrics, but its words."""
    (name, value) = mapping

    def hourly(identifier, namespace, metric, dimension):
        measured = {"Namespace": namespace, "MetricName": metric, "Dimensions": [dimension]}
        stat = {"Metric": measured, "Period": 3600, "Stat": "Sum"}
        return {"Id": identifier, "ReturnData": False, "MetricStat": stat}

    return {
        "Metrics": [
            {
                "Id": "stalled",
                "Label": "Hours with writes and without changes read",
                "Expression": "IF(FILL(written, 0) > 0 AND FILL(read, 0) == 0, 1, 0)",
            },
            hourly(
                "written",
                "AWS/DynamoDB",
                "ConsumedWriteCapacityUnits",
                {"Name": "TableName", "Value": "Employee"},
            ),
            hourly("read", "AWS/Lambda", "PolledEventCount", {"Name": name, "Value": value}),
        ],
        "EvaluationPeriods": 2,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


HISTORY_ALARMS["HistoryStalledAlarm"] = _stalled(HISTORY_MAPPING)
REPLICA_ALARMS["ReplicaStalledAlarm"] = _stalled(REPLICA_MAPPING)


def _alarms(case):
    return {
        name: one["Properties"]
        for name, one in deployed(case).of_type("AWS::CloudWatch::Alarm").items()
    }


@pytest.mark.parametrize("case", CASES)
def test_alarms_are_exactly_the_listed(case):
    """Each consumer that is deployed has its whole list of alarms, and there is none besides."""
    expected = {
        "history": HISTORY_ALARMS,
        "replica": REPLICA_ALARMS | LOOK_ALARMS,
        "other account": HISTORY_ALARMS | REPLICA_ALARMS,  # Its source must not be read.
    }.get(case, HISTORY_ALARMS | REPLICA_ALARMS | LOOK_ALARMS)
    words = {"AlarmDescription", "AlarmActions", "OKActions", "Tags"}

    assert {
        name: {key: value for key, value in alarm.items() if key not in words}
        for name, alarm in _alarms(case).items()
    } == expected


@pytest.mark.parametrize("case", CASES)
def test_alarms_are_about_metrics_that_are_emitted(case):
    """No alarm waits for a metric that nobody sends."""
    for name, alarm in _alarms(case).items():
        for measured in _measured(alarm):
            (dimension,) = measured["Dimensions"]
            metric = measured["Namespace"], measured["MetricName"]
            assert _is_emitted(*metric, dimension["Name"], dimension["Value"]), name


def _measured(alarm):
    """The metrics that an alarm is about."""
    if "Metrics" not in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]


@pytest.mark.parametrize("case", ["plain", "history", "replica", "every option"])
def test_alarms_tell_the_topic(case):
    """Every alarm tells the topic, created or given; what can end by itself tells that as well."""
    topic = TOPIC if case == "every option" else "<AlarmTopic>"

    for name, alarm in _alarms(case).items():
        assert alarm["AlarmActions"] == [topic]
        assert alarm.get("OKActions") == ([topic] if name.endswith(ENDING) else None)


def test_alarm_about_age_sounds_long_before_a_record_is_given_up():
    """A consumer that is behind raises its alarm while most of the retries are still to come."""
    for writer in ("HistoryWriter", "ReplicaWriter"):
        given_up_after_s = deployed("plain").properties(f"{writer}Mapping")[
            "MaximumRecordAgeInSeconds"
        ]
        threshold_ms = _alarms("plain")[f"{writer}LagAlarm"]["Threshold"]

        assert threshold_ms / 1000 * 10 < given_up_after_s


def _commands_in(text):
    """The commands that a text tells to run, each with its words up to the next sentence."""
    return re.findall(r"itemtrail ([a-z-]+)((?: --[\w-]+(?: (?!--)[\w-]+)?)*)", text)


def _assert_runs(command, options):
    known = {option for one in commands.commands[command].params for option in one.opts}
    assert set(re.findall(r"--[\w-]+", options)) <= known
    assert "--stack trail" in options


def test_alarms_name_commands_that_there_are():
    """What an alarm says to run is a command with that option, for this very stack."""
    for name, alarm in _alarms("plain").items():
        named = _commands_in(alarm["AlarmDescription"])

        # Throttling is put right by a limit of the account or a parameter.
        assert len(named) == (0 if "Throttles" in name else 1), name
        for command, options in named:
            _assert_runs(command, options)


# ---- Dashboard -----------------------------------------------------------------------------

CASES_WITH_DASHBOARD = [one for one in CASES if one != "every option"]


def _widgets(case):
    body = deployed(case).properties("WatchingDashboard")["DashboardBody"]
    return json.loads(body)["widgets"]


def _lines(widget):
    """The metrics of a widget, as (namespace, name, dimension, value), and their options."""
    for line in widget["properties"]["metrics"]:
        options = line[-1] if isinstance(line[-1], dict) else {}
        yield tuple(one for one in line if not isinstance(one, dict)), options


def _metrics(case):
    return [
        metric
        for widget in _widgets(case)
        if widget["type"] == "metric"
        for metric, _ in _lines(widget)
        if metric
    ]


def test_dashboard_and_queries_are_left_out_when_not_wanted():
    """Without a dashboard there are no saved queries and no address of it either."""
    without = deployed("every option")

    assert EVERY_OPTION["Dashboard"] == "false"
    assert without.of_type("AWS::CloudWatch::Dashboard") == {}
    assert without.of_type("AWS::Logs::QueryDefinition") == {}
    assert "DashboardUrl" not in without.outputs


@pytest.mark.parametrize("case", CASES_WITH_DASHBOARD)
def test_dashboard_is_a_grid_without_overlaps(case):
    """The dashboard is valid JSON whose widgets fit into 24 columns, each place taken once."""
    taken = Counter(
        (x, y)
        for one in _widgets(case)
        for x in range(one["x"], one["x"] + one["width"])
        for y in range(one["y"], one["y"] + one["height"])
    )

    assert set(taken.values()) == {1}
    columns, rows = ({place[i] for place in taken} for i in (0, 1))
    assert columns == set(range(24))
    assert len(taken) == 24 * len(rows)
    assert rows == set(range(len(rows)))


@pytest.mark.parametrize("case", CASES_WITH_DASHBOARD)
def test_dashboard_shows_every_alarm_and_no_other(case):
    """The widget of alarms holds all alarms of the case, each once."""
    (widget,) = [one for one in _widgets(case) if one["type"] == "alarm"]

    shown = widget["properties"]["alarms"]
    assert sorted(shown) == sorted(f"<{name}.Arn>" for name in _alarms(case))


def test_dashboard_shows_metrics_that_are_emitted_by_what_is_there():
    """Every metric is sent, and by the functions and mappings of this stack."""
    functions = {deployed("plain").properties(one)["FunctionName"] for one in FUNCTIONS}
    there = functions | {"<HistoryWriterMapping>", "<ReplicaWriterMapping>", _L}

    metrics = _metrics("plain")

    assert [one for one in metrics if not _is_emitted(*one)] == []
    assert {value for *_, value in metrics} == there


@pytest.mark.parametrize(
    ("case", "absent"),
    [("history", "<ReplicaWriterMapping>"), ("replica", "<HistoryWriterMapping>")],
)
def test_dashboard_of_one_consumer_leaves_the_others_lines_empty(case, absent):
    """With one consumer the other's lines stay, without data, and name no mapping."""
    both = [tuple("none" if part == absent else part for part in one) for one in _metrics("plain")]

    assert _metrics(case) == both


_H, _R = SERVICES.values()
_HM, _RM = "<HistoryWriterMapping>", "<ReplicaWriterMapping>"
GRAPHS = {
    "How long the oldest change is waiting (s)": [("IteratorAge", _H), ("IteratorAge", _R)],
    "Changes a minute": [
        ("RowsWritten", _H),
        ("Duplicates", _H),
        ("ReplicaWrites", _R),
        ("Healed", _L),
    ],
    "Tried in vain, kept aside, lost, in conflict": [
        ("Quarantined", _H),
        ("Quarantined", _R),
        (GIVEN_UP, _HM),
        (GIVEN_UP, _RM),
        ("DroppedEventCount", _HM),
        ("DroppedEventCount", _RM),
        ("DigestConflicts", _H),
        ("Unstored", _H),
        ("Unstored", _R),
    ],
    "Invocations that failed or were throttled": [
        ("Errors", _H),
        ("Throttles", _H),
        ("Errors", _R),
        ("Throttles", _R),
    ],
    "Longest invocation (s)": [("Duration", _H), ("Duration", _R)],
}


def test_graphs_are_exactly_the_listed():
    """Each graph shows what its title says, of both consumers, every line under its own name."""
    graphs = {
        one["properties"]["title"]: list(_lines(one))
        for one in _widgets("plain")
        if one["type"] == "metric"
    }

    assert {
        title: [(metric[1], metric[3]) for metric, _ in lines if metric]
        for title, lines in graphs.items()
    } == GRAPHS
    for lines in graphs.values():
        labels = [one["label"] for _, one in lines if one.get("visible", True)]
        assert len(set(labels)) == len(labels) > 1


def test_dashboard_watches_what_the_alarms_watch():
    """Whatever raises an alarm can be seen coming in a graph, but for what only alarms know."""
    shown = {(namespace, name) for namespace, name, *_ in _metrics("plain")}
    alarmed = {
        (one["Namespace"], one["MetricName"])
        for alarm in _alarms("plain").values()
        for one in _measured(alarm)
    }

    # IteratorAge shows the same; a destination that fails is an alarm from its first failure; what
    # is not read any more shows as no changes at all; queues of looks have alarms and no graph.
    assert alarmed - shown == {
        ("itemtrail", "ReplicaLagMs"),
        ("AWS/Lambda", UNDELIVERED),
        ("AWS/Lambda", "PolledEventCount"),
        ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"),
        *(("AWS/SQS", name) for name in SQS_METRICS),
    }


@pytest.mark.parametrize("case", CASES_WITH_DASHBOARD)
def test_dashboard_calculates_with_metrics_it_has(case):
    """An expression uses metrics of its own widget, and what is hidden is used in one."""
    for widget in _widgets(case):
        if widget["type"] != "metric":
            continue
        options = [one for _, one in _lines(widget)]
        used = {
            name for one in options for name in re.findall(r"[a-z]\w*", one.get("expression", ""))
        }
        assert used == {one["id"] for one in options if "id" in one}
        assert used == {one["id"] for one in options if one.get("visible") is False}
        assert widget["properties"]["region"] == "eu-central-1"


def test_dashboard_names_a_command_that_there_is():
    """The line at the top says which command tells what is wrong."""
    (text,) = [one for one in _widgets("plain") if one["type"] == "text"]

    ((command, options),) = _commands_in(text["properties"]["markdown"])
    _assert_runs(command, options)


def test_dashboard_draws_the_time_limit_of_the_functions():
    """The limit beside the longest invocation is the functions' own, in the same unit."""
    limits = [
        line["value"]
        for widget in _widgets("plain")
        for line in widget["properties"].get("annotations", {}).get("horizontal", [])
    ]

    assert limits == [deployed("plain").properties(one)["Timeout"] for one in FUNCTIONS[:1]]


# ---- Queries -------------------------------------------------------------------------------

# CloudWatch Logs gives these to every line, or to a REPORT line of Lambda.
OF_EVERY_LINE = {"@timestamp", "@message", "@log"}
OF_A_REPORT = {"@type", "@duration", "@maxMemoryUsed", "@memorySize", "@initDuration"}
WORDS = {"fields", "filter", "sort", "desc", "limit", "stats", "as", "by", "and", "or", "like"}
CALLS = {"max", "sum", "count", "bin"}


def _queries(case):
    """Every query of the case with the log groups that it reads, by name."""
    found = {
        one["Properties"]["Name"]: (
            one["Properties"]["QueryString"],
            one["Properties"]["LogGroupNames"],
        )
        for one in deployed(case).of_type("AWS::Logs::QueryDefinition").values()
    }
    for widget in _widgets(case):
        if widget["type"] == "log":
            *sources, query = re.split(r" \| (?=fields)", widget["properties"]["query"])
            found["dashboard"] = query, re.findall(r"SOURCE '([^']+)'", sources[0])
    return found


def _fields(query):
    """The fields of log lines that a query uses."""
    text = re.sub(r"'[^']*'|/(?:\\.|[^/\\\n])+/(?=$|\s*\|)", " ", query, flags=re.MULTILINE)
    made = set(re.findall(r"\bas (\w+)", text))
    called = set(re.findall(r"(\w+)\(", text))
    assert called <= CALLS
    names = set(re.findall(r"(?<![\w.@])@?[A-Za-z][\w.]*", text))
    return names - WORDS - called - made


def _flat(line):
    """A log line's fields as CloudWatch Logs discovers them, members of an object by a dot."""
    return {
        f"{name}.{inner}" if inner else name
        for name, value in line.items()
        for inner in (value if isinstance(value, dict) and value else [""])
    }


QUERY_NAMES = [
    "batches with errors",
    "invocations that failed",
    "how far behind",
    "records kept aside, conflicts",
    "time and memory",
]


def test_there_are_queries_for_what_is_asked():
    """Five queries are saved in the stack's own folder, and one is on the dashboard."""
    expected = {*(f"itemtrail/trail/{name}" for name in QUERY_NAMES), "dashboard"}

    assert _queries("plain").keys() == expected


@pytest.mark.parametrize("case", CASES_WITH_DASHBOARD)
def test_queries_read_the_logs_that_there_are(case):
    """A query reads the log groups of all functions of the case, and none that does not exist."""
    groups = [f"<{name}>" for name in deployed(case).of_type("AWS::Logs::LogGroup")]

    for name, (_, read) in _queries(case).items():
        assert read == groups, name


def test_queries_use_fields_that_are_written(written):
    """Each field in a query is in the line of a batch, or one that CloudWatch gives every line."""
    _, line, _ = written
    # A count that is only the other consumer's is absent here, and its query finds the other.
    counts = {f"counts.{name}" for one in SERVICES for name in _emitted(one)}

    for name, (query, _) in _queries("plain").items():
        there = OF_A_REPORT if "@type" in query else _flat(line) | counts
        assert _fields(query) <= there | OF_EVERY_LINE, name


def test_queries_look_for_values_that_are_written(written):
    """What a filter compares a field with is what a batch in trouble really says."""
    _, line, _ = written
    compared = 0

    for query, _ in _queries("plain").values():
        for field, value in re.findall(r"([\w@]+) = '([^']*)'", query):
            assert value == ("REPORT" if field == "@type" else line[field])
            compared += 1

    assert compared == 7
