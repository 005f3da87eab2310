"""For every legal record: both shapes read alike, and rows and overflow objects are lossless."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_core.attribute_values import canonical_json
from stream_core.change import read_record
from stream_core.errors import IntegrityError
from stream_core.history_row import HistoryRow, sort_key_after, sort_key_of
from stream_core.overflow_object import pack, unpack
from tests.factories import STREAM_ARN
from tests.strategies import changes, record_pairs, respelled_items, sequences

CHANGES = changes(read_record)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(record_pairs())
def test_both_shapes_read_to_equal_changes(pair):
    """FACTS 9.60: Lambda's JSON and the streams API's objects are the same change."""
    of_api, of_lambda = pair

    change = read_record(of_lambda)

    assert change == read_record(of_api, STREAM_ARN)
    body = of_api["dynamodb"]
    assert change.keys == body["Keys"]
    assert change.old_image == body.get("OldImage")
    assert change.new_image == body.get("NewImage")
    assert change.created_at == body["ApproximateCreationDateTime"]


@given(CHANGES)
def test_rows_are_lossless(change):
    """A row says all its change said, and its digest holds."""
    row = HistoryRow.from_change(change)

    again = HistoryRow.from_item(row.to_item(4))

    assert again == row
    assert again.change == change
    again.check()


@given(st.data(), CHANGES)
def test_digests_survive_what_tables_do_to_values(data, change):
    """A table may spell numbers anew and order sets as it likes."""
    stored = HistoryRow.from_change(change).to_item(4)
    values = {name: stored[name] for name in ("Keys", "OldImage", "NewImage") if name in stored}

    HistoryRow.from_item(stored | data.draw(respelled_items(values))).check()


@given(CHANGES, CHANGES)
def test_images_cannot_be_exchanged_unnoticed(change, other):
    """A row with anything else's image does not pass its check."""
    row = HistoryRow.from_change(change)
    for field in ("old_image", "new_image"):
        mine, theirs = getattr(change, field), getattr(other, field)
        forged = replace(row, change=replace(change, **{field: theirs}))
        same = mine is theirs or (
            mine is not None
            and theirs is not None
            and canonical_json(mine) == canonical_json(theirs)
        )

        if same:
            forged.check()
        else:
            with pytest.raises(IntegrityError):
                forged.check()


@given(CHANGES)
def test_overflow_objects_are_lossless(change):
    """FACTS 9.47: images come back equal, down to the spelling of a number."""
    pointer, body = pack(change, "bucket")

    assert unpack(pointer, body) == (change.old_image, change.new_image)


@given(CHANGES, st.data())
def test_a_flipped_bit_is_noticed(change, data):
    """FACTS 9.49: a damaged object is an error, or, where the bit has no meaning, still whole."""
    pointer, body = pack(change, "bucket")
    position = data.draw(st.integers(0, len(body) - 1))
    damaged = bytearray(body)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))

    try:
        images = unpack(pointer, bytes(damaged))
    except IntegrityError:
        return

    assert images == (change.old_image, change.new_image)


@given(CHANGES, st.data())
def test_a_cut_off_object_is_noticed(change, data):
    """FACTS 9.49: part of an object is an error."""
    pointer, body = pack(change, "bucket")

    with pytest.raises(IntegrityError):
        unpack(pointer, body[: data.draw(st.integers(0, len(body) - 1))])


@given(TIMES, st.integers(-2, 2), sequences, sequences)
def test_sort_keys_order_like_time_and_number(moment, step_us, one, other):
    """FACTS 9.57: the order of texts is the order of times, then of numbers as numbers."""
    later = moment + timedelta(microseconds=step_us)

    keys = sort_key_of(moment, str(one)), sort_key_of(later, str(other))

    assert (keys[0] < keys[1]) is ((moment, one) < (later, other))
    assert (keys[0] == keys[1]) is ((moment, one) == (later, other))
    assert (keys[1] < sort_key_after(moment)) is (later <= moment)
