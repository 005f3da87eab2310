"""Credentials of a role in another account, renewed by themselves before they expire."""

import boto3
import botocore.session
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)

from stream_core.clients import CLIENT_CONFIG


class _AssumedRole(CredentialProvider):
    """The one source of credentials of a session; asks STS at the first request, not before."""

    METHOD = "assume-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> DeferredRefreshableCredentials:
        """Credentials that are fetched, and fetched again, when they are needed."""
        return DeferredRefreshableCredentials(
            refresh_using=self._fetcher.fetch_credentials, method=self.METHOD
        )


def session_as(role_arn: str, own: botocore.session.Session | None = None) -> boto3.Session:
    """A session that acts as the role. A warm function outlives the hour its credentials last.

    Args:
        role_arn: the role.
        own: who assumes it; by default the one of the environment.
    """
    if own is None:
        own = botocore.session.get_session()
        own.set_default_client_config(CLIENT_CONFIG)
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=own.create_client,
        source_credentials=own.get_credentials(),
        role_arn=role_arn,
    )
    assumed = botocore.session.get_session()
    assumed.register_component("credential_provider", CredentialResolver([_AssumedRole(fetcher)]))
    return boto3.Session(botocore_session=assumed)
