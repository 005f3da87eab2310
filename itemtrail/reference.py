"""The reference of the command line, made from its own help: `python -m itemtrail.reference`."""

import click

from itemtrail.cli import commands

_WIDTH = 88

_EXIT_STATUS = (
    "Exit status: 0 clean, 1 findings or no such state, 2 usage or failure, 3 (`doctor`) not all "
    "could be checked, 130 interrupted."
)


def reference() -> str:
    """docs/cli.md as it should be."""
    parts = [
        "# Command line",
        "Made by `make docs` from the commands' own help. The answers: [json.md](json.md).",
        "A stack or table named on the command line puts all that the environment names aside.",
        _EXIT_STATUS,
    ]
    parent = click.Context(commands, info_name="itemtrail", help_option_names=["-h", "--help"])
    for name, command in sorted(commands.commands.items()):
        context = click.Context(
            command, info_name=name, parent=parent, max_content_width=_WIDTH, terminal_width=_WIDTH
        )
        parts.append(f"## itemtrail {name}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
