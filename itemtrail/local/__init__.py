"""The local stack behind `itemtrail demo`."""
