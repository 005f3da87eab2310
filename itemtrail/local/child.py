"""A child process that ends, with all it started, when its parent does.

    python -m itemtrail.local.child FOLDER MODULE [ARGUMENT...]

runs a module as a program; FOLDER may be empty. Its standard input is a pipe that only the parent
holds open, so even a parent that was killed outright leaves no process behind, nor the folder they
worked in.
"""

import os
import runpy
import subprocess
import sys
import threading

# In this order: what is still running would write into the folder again.
_END = 'kill -9 "-$1"; [ -z "$2" ] || rm -rf -- "$2"'


def _end_with_parent(folder: str) -> None:
    """Wait for the end of standard input, then have the group ended and the folder removed."""
    # The descriptor itself: a buffered read would hold a lock that the interpreter's exit wants.
    while os.read(0, 1):
        pass
    # By a process outside the group, which outlives it.
    arguments = ["sh", "-c", _END, "sh", str(os.getpgrp()), folder]
    # What it inherits may be gone: the folder it starts in, and whoever reads what it writes.
    subprocess.Popen(  # noqa: S603 - our own arguments
        arguments,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    """Run the module with the arguments that are its own."""
    _, folder, module, *arguments = sys.argv
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()
