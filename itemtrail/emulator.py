"""The process that MiniStack runs in: it ends, with all it started, when its parent does.

Its standard input is a pipe that only the parent holds open, so even a parent that was killed
outright leaves nothing behind.
"""

import os
import runpy
import shutil
import signal
import sys
import threading


def _end_with_parent(folder: str) -> None:
    """Wait for the end of standard input, then remove the data and end the process group."""
    # The descriptor itself: a buffered read would hold a lock that the interpreter's exit wants.
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run MiniStack with its settings from the environment and its data in the given folder."""
    folder = sys.argv.pop()
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main()
