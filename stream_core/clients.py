"""How the consumers' boto3 clients are set: no hidden retries, short time-outs."""

from botocore.config import Config

# Requests of one invocation that may be under way at the same time.
CONCURRENCY = 8

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 2, 8

# Retries are ours (`retry.Patience`): botocore's know nothing of the invocation's deadline.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=CONNECT_TIMEOUT_S,
    read_timeout=READ_TIMEOUT_S,
    max_pool_connections=CONCURRENCY,
)
