"""A kept proof makes answers exact up to its moment, of the stream that the table has now."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from reports import ReportError
from reports.access.progress import silent
from reports.access.row_reader import RowReader
from reports.errors import UncertainError
from reports.states.lives import Lives
from reports.states.spans import timeline
from reports.states.timeline import Certainty, judge
from reports.states.watermark import Basis, NoWatermark, Watermark, read_basis
from reports.table.as_of import table_states
from reports.verification.verify import verify
from stream_core.control_row import ProofMark, TableLife
from tests.factories import FIRST_SEQUENCE, STREAM_ARN, item, text
from tests.unit.memory_tables import HISTORY, SOURCE, Recorded, moment

LIFE = TableLife(STREAM_ARN, "12345a12", moment(-86400))
PROOF = ProofMark(STREAM_ARN, LIFE.table_id, moment(300), moment(400), 4, 900, "itemtrail")
KEYS = {"Id": text("1")}
NOW = moment(600)
BY_METRICS = Watermark(moment(100), Basis.MEASURED, "by the metrics")


@pytest.fixture
def world(monkeypatch):
    recorded = Recorded()
    # As DynamoDB gives them: any other number is a finding.
    monkeypatch.setattr(recorded, "_sequences", count(FIRST_SEQUENCE))
    recorded.write("1", item("1", State=text("A")), at=0)
    recorded.write("1", item("1", State=text("C")), at=100)
    recorded.write("1", item("1", State=text("B")), at=500)
    return recorded


def reading(world, *proofs, basis=None, watermark=None):
    """A reader of the history in which these proofs are kept."""
    for proof in proofs:
        world.client.put(HISTORY, proof.to_item())
    reader = RowReader(
        *(world.client, None, HISTORY, SOURCE, 4),
        find_watermark=lambda: watermark or NoWatermark(),
        basis=basis,
    )
    reader.current_life = LIFE
    return reader


def as_of(reader, at_s):
    return judge(reader.evidence(KEYS, moment(at_s), NOW))


def test_the_latest_proof_of_the_present_stream_counts():
    """One of another stream, or of another table, says nothing of this one."""
    others = [
        replace(PROOF, stream_arn=STREAM_ARN.replace("2018", "2019"), until=moment(500)),
        replace(PROOF, table_id="another", until=moment(500)),
    ]
    earlier = replace(PROOF, until=moment(200))

    assert Lives.read([PROOF, earlier, *others], LIFE).proven.at == PROOF.until
    assert Lives.read(others, LIFE).proven is None
    assert Lives.read([PROOF], None).proven is None


@pytest.mark.parametrize("basis", [None, Basis.COMPARED])
def test_an_answer_within_a_kept_proof_is_exact(world, basis):
    """A later one is not, and says what proves it."""
    reader = reading(world, PROOF, basis=basis)

    covered, later = as_of(reader, 200), as_of(reader, 400)

    assert (covered.certainty, covered.basis) == (Certainty.EXACT, Basis.COMPARED)
    assert (later.certainty, later.basis) == (Certainty.BOUNDED, None)
    if basis:
        assert "until 2018-03-03T14:11:00.000000Z (compared)" in later.reason
        assert "`itemtrail status --prove --keep` proves a later moment" in later.reason


def test_the_metrics_go_on_counting_beside_a_proof(world):
    """Where they cover a moment nothing more is read; a proof goes on where they end."""
    reader = reading(world, PROOF, watermark=BY_METRICS)

    assert as_of(reader, 50).basis is Basis.MEASURED
    assert "lives" not in vars(reader)
    assert as_of(reader, 200).basis is Basis.COMPARED
    assert "(measured)" in as_of(reader, 400).reason


def test_nothing_else_counts_where_the_basis_has_to_be_a_proof(world):
    """Neither metrics nor anybody's word; the live item is what it is."""
    reader = reading(world, basis=Basis.COMPARED, watermark=BY_METRICS)

    state = as_of(reader, 50)

    assert state.certainty is Certainty.BOUNDED
    assert "no proof is kept" in state.reason
    assert "`itemtrail status --prove --keep`" in state.reason
    present = judge(reader.evidence(KEYS, NOW, NOW))
    assert (present.certainty, present.basis) == (Certainty.EXACT, Basis.LIVE)


def test_states_and_tables_go_by_a_proof_as_well(world):
    """A state is exact that ends within it; so is a whole table's at such a moment."""
    reader = reading(world, PROOF, basis=Basis.COMPARED)

    _, first, *_, last = timeline(world.rows, reader.evidence(KEYS, NOW, NOW))
    answer = table_states(reader, moment(200), NOW, certain=False, progress=silent)

    assert (first.valid_to, first.basis) == (moment(100), Basis.COMPARED)
    assert last.certainty is Certainty.BOUNDED
    assert "may still be on its way" not in answer.reason
    with pytest.raises(UncertainError, match="proves a later moment"):
        table_states(reader, moment(400), NOW, certain=True, progress=silent)


def test_whoever_waits_finds_a_proof_that_was_kept_meanwhile(world):
    """It is read again, and not what was there before."""
    reader = reading(world, PROOF, basis=Basis.COMPARED)
    assert reader.watermark.at == PROOF.until
    later = replace(PROOF, until=PROOF.until + timedelta(seconds=60))

    world.client.put(HISTORY, later.to_item())

    assert reader.find_watermark().at == later.until


def test_verify_takes_a_kept_proof_for_what_it_is(world):
    """One that was altered is a finding, and proves nothing."""
    assert verify(reading(world, PROOF)).findings == []
    world.client.put(HISTORY, PROOF.to_item() | {"EventName": text("other")})

    reader = reading(world, basis=Basis.COMPARED)

    assert len(verify(reader).findings) == 1
    assert isinstance(reader.watermark, NoWatermark)


def test_no_other_basis_can_be_asked_for():
    """A word that is none of them is no silent permission."""
    with pytest.raises(ReportError, match="'measured' cannot be asked for: give 'compared'"):
        read_basis("measured")
    assert read_basis("compared") is Basis.COMPARED
