"""How a command line ends; scripts rely on these numbers."""

CLEAN = 0
FINDINGS = 1
# Also for a state that does not exist, so that a script can tell.
NOTHING_FOUND = 1
FAILED = 2
# Nothing is wrong as far as could be seen, and not all could be.
UNSEEN = 3
# As a shell has it for a program that Ctrl-C ends.
INTERRUPTED = 130
