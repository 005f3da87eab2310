"""What a public forge runs is what `.ci/run` runs."""

import re
from pathlib import Path

import yaml

WORKFLOW = Path(__file__).parents[2] / ".github/workflows/ci.yml"


def test_the_forge_runs_what_a_submission_must_pass():
    """One command, with no right but to read, and nothing of others that may change by itself."""
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    (job,) = workflow["jobs"].values()

    assert workflow["permissions"] == {"contents": "read"}
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert actions
    assert [name for name in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name)] == []
