"""What a dry run comes to."""


def dry_run(would: str) -> str:
    """That nothing was written, and what would be."""
    return f"dry run, nothing was written: with --apply {would}"
