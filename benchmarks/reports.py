"""Questions about a whole table, beside loading its history and asking pandas.

All ways ask the same endpoint and must give the same answer: counts and digests are compared. The
library is asked every question in a fresh process; pandas loads once and answers them all.
"""

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.history import history, skewed
from benchmarks.processes import Served, ask, check_endpoint, serving_history
from benchmarks.questions import QUESTIONS


def measure(rows: int, items: int) -> dict[str, Any]:
    """Ask every way about a history of so many rows of so many items.

    Raises:
        AssertionError: two ways give different answers.
    """
    check_endpoint()
    sample = history(f"reports-{rows}-{items}", skewed(rows, items))
    with serving_history(sample.folder) as endpoint:
        ours = [
            answer
            for question in QUESTIONS
            for way in ("frame", "streamed")
            for answer in _answers(endpoint, way, question, str(sample.folder))
        ]
        load, *plain = _answers(endpoint, "pandas", "all", str(sample.folder))
    for answer in plain:
        # With one question the loading is for that one.
        answer["after_loading_s"] = answer["seconds"]
        for name in ("seconds", "cpu_s"):
            answer[name] += load[name]
    answers = [
        answer
        for question in QUESTIONS
        for answer in (*ours, *plain)
        if answer["question"] == question
    ]
    for question in QUESTIONS:
        different = {
            (answer["count"], answer["digest"])
            for answer in answers
            if answer["question"] == question
        }
        if len(different) > 1:
            raise AssertionError(f"answers differ: {QUESTIONS[question]}: {different}")
    return {"rows": sample.rows, "items": sample.items, "answers": answers}


def _answers(endpoint: Served, way: str, question: str, folder: str) -> list[dict[str, Any]]:
    words = f"{way}: {QUESTIONS.get(question, 'loading all takes minutes a million rows')}"
    with Console(stderr=True).status(words):
        endpoint.counts()
        answers: list[dict[str, Any]] = ask(
            "benchmarks.questions", way, question, folder, url=endpoint.url
        )
        requests, _, read = (
            sum(column) for column in zip(*endpoint.counts().values(), strict=True)
        )
    return [{**answer, "requests": requests, "mb_read": read / 1e6} for answer in answers]


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the figures as a table."""
    plain = {
        answer["question"]: answer for answer in figures["answers"] if answer["way"] == "pandas"
    }
    title = f"{figures['rows']:,} rows of {figures['items']:,} items, equal answers"
    table = Table(title=f"{title}; speed and memory as multiples of plain pandas'")
    for name in ("question", "way", "s", "CPU s", "speed", "peak MB", "memory", "MB read", "calls"):
        table.add_column(name, justify="left" if name in ("question", "way") else "right")
    for answer in figures["answers"]:
        theirs = plain[answer["question"]]
        last = answer is theirs
        table.add_row(
            f"{QUESTIONS[answer['question']]}: {answer['count']:,}"
            if answer["way"].endswith("frame")
            else "",
            f"pandas, {answer['after_loading_s']:.1f} s once loaded" if last else answer["way"],
            f"{answer['seconds']:,.1f}",
            f"{answer['cpu_s']:,.1f}",
            f"{theirs['seconds'] / answer['seconds']:.1f}",
            f"{answer['peak_mb']:,}",
            f"{answer['peak_mb'] / theirs['peak_mb']:.2f}",
            f"{answer['mb_read']:,.1f}",
            f"{answer['requests']:,}",
            end_section=last,
        )
    console.print(table)
