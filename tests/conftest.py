"""Fixtures of every kind of test: profiles, and an emulator with tables of one's own."""

import contextlib
import functools
import gc
import itertools
import os
import tempfile
import uuid
from dataclasses import dataclass

import botocore.session
import pytest
from hypothesis import HealthCheck, Phase, settings
from xdist.scheduler import LoadFileScheduling

from itemtrail.local.local_stack import EMULATED, REPLICA_TEMPLATE, LocalStack
from stream_core.clients import CLIENT_CONFIG, dynamodb_client
from tests.deployed_stack import DeployedStack
from tests.tables import create_history_table, create_table

settings.register_profile(
    "quick", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("hundred", parent=settings.get_profile("quick"), max_examples=100)
settings.register_profile("thorough", parent=settings.get_profile("quick"), max_examples=1_000)
settings.register_profile("ten-thousand", parent=settings.get_profile("quick"), max_examples=10_000)
settings.register_profile(
    "first-failure", parent=settings.get_profile("hundred"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Tests run with nobody's credentials, in no region and about no table of their own.
_FOREIGN = ("AWS_", "POWERTOOLS_", "ITEMTRAIL_")
for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]

# Every session would read the models of its services anew: a tenth of a second for each client.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

# A sixth of the time went into looking for garbage among what lives as long as the session.
gc.set_threshold(50_000, 20, 20)


# What a run leaves is in the folder of the user's state: each test is a user of its own.
_STATES = tempfile.TemporaryDirectory(prefix="states-")
_NUMBERS = itertools.count()


def pytest_runtest_setup():
    """Let no test see what another one's runs have left."""
    os.environ["XDG_STATE_HOME"] = f"{_STATES.name}/{next(_NUMBERS)}"


def pytest_collection_finish():
    """Leave modules and collected tests to no collector: they stay."""
    gc.collect()
    gc.freeze()


class _OneEmulator(LoadFileScheduling):
    """Files go to any worker, but those with an emulator to one: it is started and filled once."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return _FUNCTIONAL if file.startswith(_FUNCTIONAL) else file


_FUNCTIONAL = "tests/functional/"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """How tests are given to the workers, unless another way was asked for."""
    return _OneEmulator(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def local_stack():
    """An emulator for the session; its tests belong in `tests/functional`."""
    with LocalStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def built(local_stack):
    """The template with its packages, built from the sources as they are now."""
    return local_stack.build()


@pytest.fixture(scope="session")
def dynamodb(local_stack):
    """A DynamoDB client of the emulator, made as the functions make theirs."""
    client = dynamodb_client(local_stack.session())
    yield client
    client.close()


@pytest.fixture(scope="session")
def s3(local_stack):
    """An S3 client of the emulator, set as the functions set theirs."""
    client = local_stack.session().client("s3", config=CLIENT_CONFIG)
    yield client
    client.close()


@pytest.fixture(scope="session")
def deploy(local_stack, built):
    """A factory of deployed stacks with a sample table to follow."""
    with contextlib.ExitStack() as closing:

        def make(name, **parameters):
            sample = EMULATED | parameters
            if "SourceStreamArn" not in parameters:
                sample.setdefault("SampleSourceTableName", f"{name}-source")
            return closing.enter_context(
                contextlib.closing(DeployedStack(local_stack, name, built, sample))
            )

        yield make


@pytest.fixture(scope="session")
def deployed(local_stack, deploy):
    """Both templates deployed once for all, the replica in another region, as in the README.

    What happened before in it is of other tests: `empty()` takes it away.
    """
    region = "eu-west-1"
    replica = local_stack.deploy("employee-trail-replica", template=REPLICA_TEMPLATE, region=region)
    return deploy(
        "employee-trail",
        SampleSourceTableName="Employee",
        ReplicaTableName=replica["ReplicaTableName"],
        ReplicaRegion=region,
        ReplicaKmsKeyArn=replica["ReplicaKmsKeyArn"],
    )


@dataclass(frozen=True)
class Tables:
    """Names of one test's own tables and buckets."""

    source: str
    replica: str
    history: str
    overflow: str
    quarantine: str

    @property
    def source_arn(self):
        """As the emulator names the table."""
        return f"arn:aws:dynamodb:us-east-1:000000000000:table/{self.source}"


@pytest.fixture
def make_tables(dynamodb, s3):
    """A factory of tables and buckets that no other test uses."""

    def make(**key_types):
        key_types = key_types or {"Id": "S"}
        suffix = uuid.uuid4().hex[:12]
        names = Tables(*(f"{kind}-{suffix}" for kind in Tables.__dataclass_fields__))
        for table in (names.source, names.replica):
            create_table(dynamodb, table, key_types)
        create_history_table(dynamodb, names.history)
        for bucket in (names.overflow, names.quarantine):
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(
            Bucket=names.overflow, VersioningConfiguration={"Status": "Enabled"}
        )
        return names

    return make
