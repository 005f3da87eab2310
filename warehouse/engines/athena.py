"""SQL for Athena, to be run by hand: the table over a dataset in S3, and a question to it.

Untested: there is no Athena where the tests run. The questions are those of the other engines,
translated by the same program; what is known to differ stands in the comments that come along.
"""

import pyarrow as pa
from sqlglot import exp

from warehouse.dataset.schema import MONTH, ROWS
from warehouse.errors import DatasetError
from warehouse.questions.dialects import ATHENA, spelled
from warehouse.questions.question import Question

_NOTES = """\
-- Made by itemtrail, and not tested on Athena. Copy the dataset's folder to the location right
-- after an ingest: Athena reads every file under rows/, also one that the manifest does not list.
-- Athena reads times to the millisecond; DynamoDB stamps changes with the second.
"""
_TABLE = "rows"
# The first month that a stream of DynamoDB could have had.
_FIRST_MONTH = "2014-11"
_TYPES = {
    pa.string(): "string",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.list_(pa.string()): "array<string>",
    pa.timestamp("us", tz="UTC"): "timestamp",
}


def statements(location: str, question: Question | None = None) -> str:
    """The statements that define the table, and the one that asks a question.

    Args:
        location: the dataset's folder in S3, `s3://bucket/folder`.
        question: what to ask, if anything.

    Raises:
        DatasetError: the location is not one in S3.
    """
    parts = [_NOTES + _table(location)]
    if question is not None:
        parts.append(_select(question))
    return ";\n\n".join(parts) + ";\n"


def _table(location: str) -> str:
    if not location.startswith("s3://") or location == "s3://":
        raise DatasetError(f"'{location}' is no folder in S3: write s3://bucket/folder")
    folder = f"{location.rstrip('/')}/rows/"
    properties = {
        "projection.enabled": "true",
        f"projection.{MONTH}.type": "date",
        f"projection.{MONTH}.format": "yyyy-MM",
        f"projection.{MONTH}.range": f"{_FIRST_MONTH},NOW",
        f"projection.{MONTH}.interval": "1",
        f"projection.{MONTH}.interval.unit": "MONTHS",
        "storage.location.template": f"{folder}{MONTH}=${{{MONTH}}}/",
    }
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {_hive_name(_TABLE)} (\n  "
        + ",\n  ".join(f"{_hive_name(field.name)} {_type_of(field.type)}" for field in ROWS)
        + f"\n)\nPARTITIONED BY ({_hive_name(MONTH)} string)\nSTORED AS PARQUET\n"
        + f"LOCATION {_hive_text(folder)}\nTBLPROPERTIES (\n  "
        + ",\n  ".join(f"{_hive_text(n)} = {_hive_text(v)}" for n, v in properties.items())
        + "\n)"
    )


def _select(question: Question) -> str:
    tree = question.tree.copy()
    for reference in tree.find_all(exp.Table):
        if reference.name == _TABLE:
            table = exp.Table(this=exp.to_identifier(_TABLE, quoted=True))
            alias = reference.alias or _TABLE
            reference.replace(exp.alias_(table, alias, table=True, quoted=True))
    return spelled(tree, ATHENA)


def _type_of(kind: pa.DataType) -> str:
    return "binary" if pa.types.is_fixed_size_binary(kind) else _TYPES[kind]


def _hive_name(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _hive_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
