"""Parts of the program that need more than it is installed with."""

import importlib
from typing import Any

from reports.errors import ReportError

# What brings each of the packages that may be missing.
_EXTRAS = {"duckdb": "warehouse", "pyarrow": "warehouse", "sqlglot": "warehouse"}
_EXTRAS |= {"pyspark": "spark", "py4j": "spark"}


def how_to_install(extra: str) -> str:
    """The command that brings an extra, for the end of a message.

    It names the checkout and not the package: no index has one of this name that is ours, and
    whoever registered the name would be installed instead.
    """
    return f"pip install '.[{extra}]' in a checkout of itemtrail"


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
        raise ReportError(f"this needs {missing}: {how_to_install(_EXTRAS[missing])}") from error
