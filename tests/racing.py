"""A client next to which somebody else writes, and whose requests fail as they are told to."""

from collections import Counter, defaultdict

from tests.service_limits import check_expressions


class RacingClient:
    """Passes calls on; the next entry of an operation's script is what happens to its next call.

    An entry is a function that is called first, an error to be raised instead, or a `LostAnswer`.
    """

    def __init__(self, client):
        self._client = client
        self._scripts = defaultdict(list)
        self.requests = []

    def script(self, operation, *entries):
        """Add to what happens to the next calls of an operation."""
        self._scripts[operation] += entries

    def __getattr__(self, name):
        real = getattr(self._client, name)
        if name not in {"update_item", "put_item", "delete_item", "get_item"}:
            return real

        def call(**request):
            self.requests.append((name, request))
            # Moto takes conditions of any size.
            check_expressions(request)
            entry = self._scripts[name].pop(0) if self._scripts[name] else None
            if isinstance(entry, LostAnswer):
                real(**request)
                raise entry.error
            if isinstance(entry, Exception):
                raise entry
            if entry is not None:
                entry()
            return real(**request)

        return call

    def writes(self):
        """The requests that could write something."""
        return [(name, request) for name, request in self.requests if name != "get_item"]


class LostAnswer:
    """The request is carried out, and its sender does not learn of it."""

    def __init__(self, error):
        self.error = error


def outcomes_of(result):
    """How many items of a restore or an undo were written, in conflict, and so on."""
    return Counter(item.outcome for item in result.items if item.outcome is not None)
