"""Whatever writes outside the two consumers: backfill, repair, redrive, restore, undo."""
