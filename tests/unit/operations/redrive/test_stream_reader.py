"""A range of a stream is read again as far as it is still there, and what is not is told."""

import pytest

from operations.redrive.objects import StreamRange
from operations.redrive.stream_reader import StreamReader, StreamUnreadableError
from tests.factories import STREAM_ARN, Clock
from tests.fakes import client_error, read_timeout
from tests.left_behind import FakeStreams, Shard

EXPIRED = client_error("ExpiredIteratorException")
BUSY = client_error("LimitExceededException")
DENIED = client_error("AccessDeniedException")


def place(start, end, batch_size=None, shard="a"):
    return StreamRange(STREAM_ARN, shard, str(start), str(end), batch_size)


def refetch(streams, where, clock=None):
    clock = clock or Clock()
    found = StreamReader(streams, lambda: clock.patience).refetch(where)
    return [int(one["dynamodb"]["SequenceNumber"]) for one in found.records], found.missing


def test_a_range_is_read_from_its_start_to_its_end():
    """Numbers are compared as such: as texts `1000` would come before `998`."""
    streams = FakeStreams({"a": Shard([996, 997, 998, 1000, 1001, 1003])})

    assert refetch(streams, place(997, 1001, 4)) == ([997, 998, 1000, 1001], None)
    assert "describe_stream" not in streams.calls


def test_a_range_may_hold_more_than_its_batch():
    """With a parallelization factor a batch has only some items' records."""
    assert refetch(FakeStreams({"a": Shard([1, 2, 3])}), place(1, 3, 2)) == ([1, 2, 3], None)


def test_a_range_of_one_record_is_read():
    """Its first record is its last."""
    streams = FakeStreams({"a": Shard([1, 2], closed=False)})

    assert refetch(streams, place(2, 2, 1)) == ([2], None)


def test_what_has_expired_in_front_is_missing():
    """What is still there is read nevertheless."""
    streams = FakeStreams({"a": Shard([1, 2, 3, 4], trimmed=2)})

    records, missing = refetch(streams, place(1, 3, 3))

    assert records == [3]
    assert missing == "its oldest records have expired"


def test_a_range_that_has_expired_is_missing_altogether():
    """And the shard's children are not taken for it."""
    streams = FakeStreams(
        {"a": Shard([1, 2, 3, 4], trimmed=3), "b": Shard([5, 6], parent="a", closed=False)}
    )

    assert refetch(streams, place(1, 2, 2)) == ([], "its records have expired")


def test_a_range_expires_while_it_is_read():
    """An iterator that the horizon has overtaken goes on from the horizon, and says so."""
    shard = Shard([1, 2, 3, 4, 5, 6])

    def expire(_streams):
        shard.trimmed = 4

    streams = FakeStreams({"a": shard}, script=[None, None, expire])

    assert refetch(streams, place(1, 6, 6)) == ([1, 2, 5, 6], "its oldest records have expired")


@pytest.mark.parametrize("shards", [{}, {"b": Shard([5, 6], parent="a")}])
def test_a_shard_that_is_gone_is_lost(shards):
    """The stream forgets a shard when its last record has expired, or goes with its table."""
    records, missing = refetch(FakeStreams(shards), place(1, 3, 3))

    assert records == []
    assert missing == "the shard, or the stream, is no longer there"


def test_a_range_goes_on_in_the_children_of_a_closed_shard():
    """Lineage is walked through all pages of the description, and to grandchildren."""
    streams = FakeStreams(
        {
            "other": Shard([3]),
            "a": Shard([1, 2]),
            "b": Shard([4, 9], parent="a"),
            "c": Shard([5], parent="a"),
            "d": Shard([7, 8], parent="c", closed=False),
        }
    )

    records, missing = refetch(streams, place(2, 7, 4))

    assert records == [2, 4, 5, 7]
    assert missing is None


def test_a_range_without_its_ends_is_not_whole():
    """Even if nothing says that anything has expired."""
    streams = FakeStreams({"a": Shard([1, 2, 3])})

    assert refetch(streams, place(2, 4)) == ([2, 3], "the stream does not have both ends of it")
    assert refetch(streams, place(2, 3, 5)) == ([2, 3], "the stream has 2 of 5 records")


def test_expired_iterators_are_fetched_anew():
    """After the last record that was read, or at the start again; nothing twice."""
    streams = FakeStreams({"a": Shard([1, 2, 3, 4])}, script=[None, EXPIRED, None, None, EXPIRED])

    assert refetch(streams, place(1, 4, 4)) == ([1, 2, 3, 4], None)
    assert streams.calls.count("get_shard_iterator") == 3


def test_iterators_that_always_expire_are_not_fetched_for_ever():
    """It ends in an error, not in a loss."""
    script = [None, *[EXPIRED, None] * 20]

    with pytest.raises(StreamUnreadableError, match="expire at once: try again later"):
        refetch(FakeStreams({"a": Shard([1, 2])}, script=script), place(1, 2))


def test_a_throttled_reader_gives_way():
    """A third reader of a shard is throttled as a matter of course: pauses get longer."""
    clock = Clock()
    streams = FakeStreams({"a": Shard([1, 2])}, script=[BUSY, None, BUSY, read_timeout(), BUSY])

    assert refetch(streams, place(1, 2, 2), clock) == ([1, 2], None)
    assert clock.pauses_s == [0.05, 0.05, 0.1, 0.2]


@pytest.mark.parametrize("error", [BUSY, DENIED])
def test_a_stream_that_cannot_be_read_has_lost_nothing(error):
    """Throttled for too long or not allowed: the pointer is good for another try."""
    streams = FakeStreams({"a": Shard([1, 2])}, script=[error] * 99)

    with pytest.raises(StreamUnreadableError, match=error.response["Error"]["Code"]):
        refetch(streams, place(1, 2), Clock(left_ms=11_500))


def test_empty_pages_are_passed_by():
    """Between two records there may be pages without any."""
    clock = Clock()
    streams = FakeStreams({"a": Shard([1, 2, 3], closed=False, empty_pages=5)})

    assert refetch(streams, place(1, 3, 3), clock) == ([1, 2, 3], None)
    assert len(clock.pauses_s) == 5


def test_an_open_shard_at_rest_is_not_waited_for_for_ever():
    """What it does not have after some empty pages is missing."""
    clock = Clock(left_ms=1e9)
    streams = FakeStreams({"a": Shard([1, 2], closed=False)})

    records, missing = refetch(streams, place(1, 3, 3), clock)

    assert records == [1, 2]
    assert missing == "the stream has 2 of 3 records"
    assert sum(clock.pauses_s) < 30


def test_once_the_end_is_found_no_more_shards_are_looked_for():
    """A sibling that was waiting is read; its children cannot hold more of the range."""
    streams = FakeStreams(
        {"a": Shard([1]), "b": Shard([2, 3], parent="a"), "c": Shard([], parent="a")}
    )
    described = []

    def describe(**request):
        described.append(request)
        return {
            "StreamDescription": {
                "Shards": [
                    {"ShardId": name, "ParentShardId": shard.parent}
                    for name, shard in streams.shards.items()
                ]
            }
        }

    streams.describe_stream = describe

    assert refetch(streams, place(1, 3, 3)) == ([1, 2, 3], None)
    assert len(described) == 1
