"""The command line, and the local stack behind `itemtrail demo`."""
