"""How a command line ends; scripts rely on these numbers."""

FINDINGS = 1
# Also for a state that does not exist, so that a script can tell.
NOTHING_FOUND = 1
