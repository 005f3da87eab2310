"""What a command line wrote, as tests look at it."""


def only_line(text):
    """The only line of a text."""
    assert text.count("\n") == 1
    return text.rstrip("\n")


def lines_of(text):
    """The lines of a text, runs of blanks as one."""
    return [" ".join(line.split()) for line in text.splitlines()]
