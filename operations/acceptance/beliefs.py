"""Everything that is believed and that only an account can settle, in the order it is tried."""

from operations.acceptance import (
    alarms,
    append_only,
    failure,
    role_rights,
    services,
    simulator,
    storage,
    stream,
    untried,
)

BELIEFS = (
    *append_only.BELIEFS,
    *role_rights.BELIEFS,
    *simulator.BELIEFS,
    *stream.BELIEFS,
    *storage.BELIEFS,
    # It deletes the canary.
    *failure.BELIEFS,
    *alarms.BELIEFS,
    *services.BELIEFS,
    *untried.BELIEFS,
)
