"""An export is believed only as a whole: whatever is wrong with it is one error."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from reports.exports import export as export_module
from reports.exports.export import Export, ExportKind
from reports.exports.export_folder import ExportError
from reports.inputs.keys import KeySchema
from tests import export_files as made
from tests.factories import item, lambda_form, number, text
from tests.fakes import client_error

SCHEMA = KeySchema({"Id": "S"})
EVERYTHING = {
    "binary": {"B": b"\x00\xff"},
    "binaries": {"BS": [b"", b"\x01"]},
    "38 digits": number("9" * 38),
    "texts": {"SS": ["a", ""]},
    "deep": {"L": [{"M": {"B": {"B": b"x"}, "n": {"NULL": True}}}]},
    # Python takes all of these for the end of a line; an export does not.
    "lines": text("a\u2028b\u2029c\u0085d\x1ee\r\nf"),
}
ITEMS = [item(f"{n:02d}", Count=number(n)) for n in range(7)] + [item("all", **EVERYTHING)]


@pytest.fixture
def files():
    return made.export_files(ITEMS)


@pytest.fixture
def read(tmp_path):
    """Read an export from a folder, with all its items."""

    def read_all(files, most=3):
        export = Export.read(made.write_to(tmp_path / "export", files), s3=None)
        return export, [
            batch for file in export.files for batch in export.batches(file, SCHEMA, most)
        ]

    return read_all


def test_every_item_comes_as_it_was(read, files):
    """All types, from every file, the one without items included, a few at a time."""
    export, batches = read(files)

    assert sorted((one for batch in batches for one in batch), key=str) == sorted(ITEMS, key=str)
    assert [len(batch) for batch in batches] == [3, 1, 3, 1]
    assert (export.items, len(export.files)) == (8, 3)
    assert export.time == made.EXPORT_TIME
    assert (export.table_arn, export.table_id[:8]) == (made.TABLE_ARN, "12345a12")
    assert export.arn.endswith(made.EXPORT_ID)


def test_a_batch_is_no_larger_than_a_page(read):
    """Whatever the number asked for, a batch ends before it has more than a megabyte."""
    large = [item(str(n), Text=text("x" * 300_000)) for n in range(9)]

    _, batches = read(made.export_files(large, parts=2), most=100)

    assert [len(batch) for batch in batches] == [3, 3, 3]


@pytest.fixture(scope="module")
def session():
    """One session, because reading the service model takes longer than a test."""
    return boto3.Session("test", "test", region_name="us-east-1")


@pytest.fixture
def s3(session):
    with mock_aws():
        client = session.client("s3")
        client.create_bucket(Bucket="exports")
        yield client
        client.close()


@pytest.mark.parametrize(
    ("prefix", "ending"),
    [("2026-Nov", ""), ("a/b", "/"), ("", "/manifest-summary.json")],
)
def test_a_bucket_is_read_as_well(s3, files, prefix, ending):
    """By its folder or its summary, under the prefix it is at now, whatever it was exported to."""
    place = made.put_into(s3, "exports", files, prefix)

    export = Export.read(place + ending, s3)

    batches = [batch for file in export.files for batch in export.batches(file, SCHEMA, 9)]
    assert sorted((one for batch in batches for one in batch), key=str) == sorted(ITEMS, key=str)


def test_what_is_missing_in_a_bucket_is_named(s3, files):
    """As people would name it to the AWS command line."""
    place = made.put_into(s3, "exports", files)
    export = Export.read(place, s3)
    name = export.files[0].name
    s3.delete_object(Bucket="exports", Key=f"{place.removeprefix('s3://exports/')}/{name}")

    with pytest.raises(ExportError, match=f"{place}/{name} is not there"):
        list(export.batches(export.files[0], SCHEMA, 9))
    with pytest.raises(ExportError, match=r"s3://other/x/manifest-summary.json is not there"):
        Export.read("s3://other/x", s3)


def test_no_more_lines_are_read_than_were_listed(tmp_path):
    """A file of few bytes can be made many of them: a list of it need not be true."""
    files = made.export_files(ITEMS, parts=2)
    (name, *_) = made.data_names(files)
    many = made.replaced(files, name, gzip.compress(b"{}\n" * 1_000_000))
    export = Export.read(made.write_to(tmp_path, many), None)

    with pytest.raises(ExportError, match="it has more than 8 items"):
        list(export.lines(export.files[0]))


def test_a_list_without_end_is_not_read(tmp_path, files, monkeypatch):
    """Nor a checksum that is none."""
    monkeypatch.setattr(export_module, "_MOST_MANIFEST_BYTES", 1000)
    for name in ("manifest-files.json", "manifest-summary.md5"):
        folder = made.write_to(tmp_path / name, files | {name: bytes(2000)})

        with pytest.raises(ExportError, match=f"{name} is not what .*: more than 10.. bytes"):
            Export.read(folder, None)


def test_what_may_not_be_read_is_named(s3, files, monkeypatch):
    """With the service's word for it."""
    place = made.put_into(s3, "exports", files)
    monkeypatch.setattr(s3, "get_object", refuse)

    with pytest.raises(ExportError, match=r"manifest-summary.json cannot be read: AccessDenied"):
        Export.read(place, s3)


def refuse(**_request):
    raise client_error("AccessDenied", 403)


def test_a_summary_may_be_named_itself(tmp_path, files):
    """The path of the summary stands for its folder."""
    folder = made.write_to(tmp_path, files)

    assert Export.read(folder / "manifest-summary.json", None) == Export.read(folder, None)


def test_checksums_under_the_name_of_the_guide_do_too(read, files):
    """The Developer Guide calls them `.checksum`."""
    renamed = {name.replace(".md5", ".checksum"): content for name, content in files.items()}

    export, _ = read(renamed)

    assert export.items == 8


def test_an_export_of_nothing_is_an_export(read):
    """A table without items has files without items."""
    export, batches = read(made.export_files([], parts=2))

    assert (export.items, batches) == (0, [])


def test_an_empty_file_may_have_no_bytes_at_all(read, files):
    """Not even those of gzip."""
    _, batches = read(made.replaced(files, made.data_names(files)[-1], b""))

    assert sum(map(len, batches)) == 8


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ({"exportType": "INCREMENTAL_EXPORT"}, "INCREMENTAL_EXPORT: that shows changes"),
        ({"outputFormat": "ION"}, "in ION: export the table again, in DYNAMODB_JSON"),
        ({"outputFormat": None}, "in None"),
        ({"exportTime": None}, "has no exportTime"),
        ({"exportTime": "yesterday"}, "has no time: yesterday"),
        ({"itemCount": "8"}, "has no itemCount"),
        ({"itemCount": True}, "has no itemCount"),
        ({"tableArn": None}, "has no tableArn"),
        ({"exportArn": None}, "has no exportArn"),
        ({"itemCount": 9}, "lists 8 items, and the summary 9"),
    ],
)
def test_an_export_that_is_not_what_is_needed_is_refused(read, summary, message):
    """At once, before any of its items is used."""
    with pytest.raises(ExportError, match=message):
        read(made.export_files(ITEMS, summary=summary))


def test_an_export_from_before_there_were_two_kinds_is_full(read):
    """Summaries of the first years have no `exportType`, nor a `tableId` in any."""
    export, _ = read(made.export_files(ITEMS, summary={"exportType": None, "tableId": None}))

    assert (export.items, export.table_id) == (8, "")


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"md5Checksum": None}, "has no md5Checksum"),
        ({"itemCount": None}, "has no itemCount"),
        ({"dataFileS3Key": 7}, "has no dataFileS3Key"),
        ({"md5Checksum": "AAAAAAAAAAAAAAAAAAAAAA=="}, r"its MD5 is .*, not AAAA"),
    ],
)
def test_a_list_of_files_that_lacks_something_is_refused(read, listed, message):
    """Nothing is guessed of what it should say."""
    with pytest.raises(ExportError, match=message):
        read(made.export_files(ITEMS, listed=listed))


@pytest.mark.parametrize("name", ["manifest-summary.json", "manifest-files.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_manifest_that_is_damaged_is_refused(read, files, name, content):
    """By its checksum, and where that is damaged with it, by what it says."""
    with pytest.raises(ExportError, match=f"{name} does not fit its checksum"):
        read({**files, name: content})
    with pytest.raises(ExportError, match=r"is not JSON|is not what an export|lists 0 items"):
        read(made.replaced(files, name, content))


@pytest.mark.parametrize(
    "name",
    ["manifest-summary.json", "manifest-files.json", "manifest-summary.md5", "manifest-files.md5"],
)
def test_a_manifest_that_is_missing_is_named(read, files, name):
    """An export that is still being made has no summary yet."""
    del files[name]

    with pytest.raises(ExportError, match=r"is not there|has no checksum") as refused:
        read(files)
    assert name.partition(".")[0] in str(refused.value)


def truncated(content):
    return content[: len(content) - 9]


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def two_streams_in_one(content):
    return content + b"garbage"


@pytest.mark.parametrize("damage", [truncated, flipped, two_streams_in_one])
def test_a_data_file_that_is_damaged_is_refused(read, files, damage):
    """By its MD5; where the list says the MD5 of the damaged file, by decompressing it."""
    name = made.data_names(files)[0]
    damaged = damage(files[name])

    with pytest.raises(ExportError, match=r"its MD5 is"):
        read({**files, name: damaged})
    with pytest.raises(ExportError, match=r"cannot be decompressed|is no item|items, not"):
        read(made.replaced(files, name, damaged))


def test_a_data_file_with_fewer_or_more_items_is_refused(read, files):
    """The list says how many there are, the file has another one less or more."""
    name = made.data_names(files)[0]
    lines = gzip.decompress(files[name]).splitlines(keepends=True)

    with pytest.raises(ExportError, match="it has 3 items, not 4"):
        read(made.replaced(files, name, gzip.compress(b"".join(lines[:-1]))))
    with pytest.raises(ExportError, match="it has more than 4 items"):
        read(made.replaced(files, name, gzip.compress(b"".join([*lines, lines[0]]))))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"Keys": {}, "NewImage": {}}, "line 2 is no item"),
        ({"Item": []}, "line 2 is no item"),
        ({"Item": {"Id": {"S": "secret", "N": "1"}}}, "line 2 is no item"),
        ({"Item": {"Id": {"S": "secret"}, "B": {"B": "?"}}}, "line 2 is no item"),
        ([1], "line 2 is no item"),
        ({"Item": {"Other": {"S": "secret"}}}, r"line 2 lacks the key attribute Id \(S\)"),
        ({"Item": {"Id": {"N": "1"}}}, r"line 2 lacks the key attribute Id \(S\)"),
    ],
)
def test_a_line_that_is_no_item_of_the_table_is_refused(read, files, line, message):
    """By its number, and never by what it says."""
    name = made.data_names(files)[0]
    lines = gzip.decompress(files[name]).splitlines()
    lines[1] = json.dumps(line).encode()

    with pytest.raises(ExportError, match=message) as refused:
        read(made.replaced(files, name, gzip.compress(b"\n".join(lines))))
    assert "secret" not in str(refused.value)


def test_a_time_without_an_offset_is_utc(read):
    """DynamoDB writes Z; a tool that copies it may not."""
    export, _ = read(made.export_files(ITEMS, summary={"exportTime": "2026-11-20T09:14:02"}))

    assert export.time == datetime(2026, 11, 20, 9, 14, 2, tzinfo=UTC)


def test_nothing_of_a_file_is_used_before_all_of_it_is_checked(tmp_path, files):
    """The last line is bad, and the first item is not handed out."""
    name = made.data_names(files)[0]
    folder = made.write_to(tmp_path, files | {name: truncated(files[name])})
    export = Export.read(folder, None)

    with pytest.raises(ExportError):
        next(export.batches(export.files[0], SCHEMA, 1))


SINCE, UNTIL = made.EXPORT_TIME - timedelta(days=1), made.EXPORT_TIME
BOTH = tuple(ExportKind)
WRITTEN = [made.written(one, ["Id"]) for one in ITEMS]


def test_an_incremental_export_is_read_where_it_is_wanted(tmp_path):
    """Its data files are in a folder that it shares with others, beside its own."""
    files = made.incremental_files(WRITTEN, SINCE, UNTIL)
    folder = made.write_to(tmp_path / "AWSDynamoDB" / made.EXPORT_ID, files)

    export = Export.read(folder, None, BOTH)

    assert (export.kind, export.since, export.time) == (ExportKind.INCREMENTAL, SINCE, UNTIL)
    lines = [json.loads(line) for file in export.files for _, line in export.lines(file)]
    assert sorted(lines, key=str) == sorted(map(lambda_form, WRITTEN), key=str)
    assert (tmp_path / "AWSDynamoDB" / "data").is_dir()


@pytest.mark.parametrize("prefix", ["a/b", ""])
def test_an_incremental_export_is_read_in_a_bucket_as_well(s3, prefix):
    """A bucket has no folders and knows no `..`."""
    place = made.put_into(s3, "exports", made.incremental_files(WRITTEN, SINCE, UNTIL), prefix)
    export = Export.read(place, s3, BOTH)

    assert sum(1 for file in export.files for _ in export.lines(file)) == len(ITEMS)
    name = export.files[0].name
    above = place.removesuffix(f"/{made.EXPORT_ID}")
    assert export.folder.where(name) == f"{above}/{name.removeprefix('../')}"


def test_an_export_at_the_root_of_a_bucket_has_its_data_there(s3):
    """Whoever copies the two folders alone puts them there."""
    files = made.incremental_files(WRITTEN, SINCE, UNTIL)
    for name, content in files.items():
        key = name.removeprefix("../") if name.startswith("../") else f"01/{name}"
        s3.put_object(Bucket="exports", Key=key, Body=content)

    export = Export.read("s3://exports/01", s3, BOTH)

    assert sum(1 for file in export.files for _ in export.lines(file)) == len(ITEMS)


def test_lines_come_with_their_numbers(tmp_path, files):
    """So that what is wrong with one can be said."""
    export = Export.read(made.write_to(tmp_path, files), None)

    lines = list(export.lines(export.files[0]))

    assert [number for number, _ in lines] == [1, 2, 3, 4]
    assert json.loads(lines[0][1]) == {"Item": lambda_form(ITEMS[0])}


@pytest.mark.parametrize("kinds", [(ExportKind.FULL,), BOTH])
@pytest.mark.parametrize("name", ["filterSpecification", "filterExpression", "outputFilter"])
def test_an_export_with_a_filter_is_refused(tmp_path, kinds, name):
    """It shows a part of the table, and would pass for all of it."""
    files = made.export_files(ITEMS, summary={name: {"FilterExpression": "a = :a"}})

    with pytest.raises(ExportError, match="with a filter: that shows a part of the table"):
        Export.read(made.write_to(tmp_path, files), None, kinds)


def test_an_export_that_names_no_filter_is_whole(read):
    """A field without a value says nothing."""
    export, _ = read(made.export_files(ITEMS, summary={"filterSpecification": {}}))

    assert export.items == 8


@pytest.mark.parametrize("name", ["../secret.gz", "data/..", "secret.gz", "data/a/secret.gz"])
def test_a_file_outside_of_the_export_is_not_read(tmp_path, files, name):
    """Whoever wrote the list does not choose which files of this machine are opened."""
    entry = json.loads(files["manifest-files.json"].splitlines()[0])
    entry["dataFileS3Key"] = f"AWSDynamoDB/{made.EXPORT_ID}/{name}"
    outside = made.replaced(files, "manifest-files.json", f"{json.dumps(entry)}\n".encode())
    folder = made.write_to(tmp_path, outside)

    with pytest.raises(ExportError, match="which is no data file of an export: export the table"):
        Export.read(folder, None)


@pytest.mark.parametrize(
    "name", ["..", "", "..\\out.gz", "c:out.gz", "a\0.gz", "a\n.gz", ".out.gz", "out.gz?x", "ö.gz"]
)
def test_a_name_that_is_none_is_refused(tmp_path, files, name):
    """On no system does a name of a file lead out of its folder."""
    (line, *others) = files["manifest-files.json"].splitlines(keepends=True)
    entry = json.loads(line) | {"dataFileS3Key": f"AWSDynamoDB/{made.EXPORT_ID}/data/{name}"}
    listed = json.dumps(entry).encode() + b"\n" + b"".join(others)
    folder = made.write_to(tmp_path, made.replaced(files, "manifest-files.json", listed))

    with pytest.raises(ExportError, match="which is no data file of an export: export the table"):
        Export.read(folder, None)


@pytest.mark.parametrize("what", ["manifest-summary.json", "manifest-files.json", "data", "file"])
def test_a_link_out_of_the_folder_is_not_read(tmp_path, files, what):
    """Whoever may write into a folder could have any file read, and shown in a message."""
    folder = made.write_to(tmp_path / "export", files)
    name = made.data_names(files)[0]
    there = folder / (name if what == "file" else what)
    there.rename(tmp_path / "elsewhere")
    there.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ExportError, match="cannot be read: it leads out of"):
        list(Export.read(folder, None).lines(Export.read(folder, None).files[0]))


def test_an_export_may_be_named_by_a_link(tmp_path, files):
    """What is within it, and beside it, is read."""
    incremental = made.incremental_files(WRITTEN, SINCE, UNTIL)
    for kind, each in {"full": files, "incremental": incremental}.items():
        made.write_to(tmp_path / kind / "export", each)
        link = tmp_path / f"link-{kind}"
        link.symlink_to(tmp_path / kind / "export")

        export = Export.read(link, None, tuple(ExportKind))

        assert [line for file in export.files for line in export.lines(file)]


def test_a_line_longer_than_any_item_is_refused(tmp_path, files, monkeypatch):
    """A few bytes can be made many: memory does not hold them all."""
    monkeypatch.setattr(export_module, "_MOST_LINE_BYTES", 1000)
    name = made.data_names(files)[0]
    bomb = made.replaced(files, name, gzip.compress(b" " * 998 + b"\n" + b"x" * 1500))
    export = Export.read(made.write_to(tmp_path, bomb), None)

    with pytest.raises(ExportError, match="is not what was exported: a line is longer than any"):
        list(export.lines(export.files[0]))


def test_a_list_that_has_a_file_twice_is_refused(tmp_path, files):
    """Two lists of which one half is missing have as many items as one that is whole."""
    first, second, *_ = files["manifest-files.json"].splitlines(keepends=True)
    assert json.loads(first)["itemCount"] == json.loads(second)["itemCount"]
    twice = made.replaced(files, "manifest-files.json", first + first)

    with pytest.raises(ExportError, match="lists a file twice"):
        Export.read(made.write_to(tmp_path, twice), None)


def test_a_list_that_lacks_a_file_is_refused(tmp_path, files):
    """Its items do not add up to what the summary says."""
    first, *_ = files["manifest-files.json"].splitlines(keepends=True)
    short = made.replaced(files, "manifest-files.json", first)

    with pytest.raises(ExportError, match="lists 4 items, and the summary 8"):
        Export.read(made.write_to(tmp_path, short), None)


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ({"exportFromTime": None}, "has no exportFromTime"),
        ({"exportToTime": "soon"}, "has no time: soon"),
        ({"exportType": "OTHER"}, "is of an OTHER: give a FULL_EXPORT or an INCREMENTAL_EXPORT"),
    ],
)
def test_an_incremental_export_that_lacks_something_is_refused(tmp_path, summary, message):
    """As a full one is."""
    files = made.incremental_files(WRITTEN, SINCE, UNTIL, summary=summary)

    with pytest.raises(ExportError, match=message):
        Export.read(made.write_to(tmp_path / "one", files), None, BOTH)


def test_a_bucket_without_a_client_is_refused():
    """Nobody asked for more than folders."""
    with pytest.raises(ExportError, match=r"s3://exports/01 is in a bucket, and no S3 client"):
        Export.read("s3://exports/01", None)
