"""The lock files: what they pin, and by which hashes."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYER_LOCK = ROOT / "stream_core/requirements.lock"
LOCKS = [*sorted(ROOT.glob("*.lock")), LAYER_LOCK]


def pins(lock):
    """Version and hashes of every package of a lock, by its name."""
    text = re.sub(r"^ *#.*\n", "", lock.read_text("utf-8"), flags=re.MULTILINE)
    found = {}
    for requirement in text.replace("\\\n", "").splitlines():
        pinned, *hashes = requirement.split("--hash=")
        name, version = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)( ; .*)?", pinned.strip()).groups()[:2]
        found[name] = version, [one.strip() for one in hashes]
    return found


def layer_versions():
    """What the layer is built from, as the template, an output and a log line say it."""
    return ", ".join(f"{name} {version}" for name, (version, _) in sorted(pins(LAYER_LOCK).items()))
