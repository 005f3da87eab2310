"""Parts of the program that need more than it is installed with."""

import importlib
from typing import Any

from reports.errors import ReportError

# What brings each of the packages that may be missing.
_EXTRAS = {"duckdb": "warehouse", "pyarrow": "warehouse", "sqlglot": "warehouse"}
_EXTRAS |= {"pyspark": "spark", "py4j": "spark"}


def load(module: str) -> Any:
    """A module of ours that takes long to import, or needs what may not be installed.

    Raises:
        ReportError: something that it needs is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        raise ReportError(
            f"this needs {missing}: pip install 'itemtrail[{_EXTRAS[missing]}]'"
        ) from error
