"""Who is at work, for the history and for whoever finds the changes later."""

import getpass


def operator_name() -> str:
    """The name of the person at this machine, as the machine knows it; else `unknown`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container may have no name for its user.
        return "unknown"
