"""How the boto3 clients on a person's machine are set: give up soon enough to say so."""

from botocore.config import Config

CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30
)
