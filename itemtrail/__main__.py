"""`python -m itemtrail`, the same as `itemtrail`."""

from itemtrail.cli import main

main()
