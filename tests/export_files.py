"""Exports, full and incremental, as DynamoDB writes them, file by file.

The layout is that of the Developer Guide, "DynamoDB table export output format", and of the
exports that other projects' tests saw AWS write: checksums end in `.md5`, and a partition without
items still has a file.
"""

import base64
import gzip
import hashlib
import json
import posixpath
from datetime import UTC, datetime

from tests.factories import lambda_form

EXPORT_ID = "01693685827463-2d8752fd"
TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/Employee"
EXPORT_TIME = datetime(2026, 11, 20, 9, 14, 2, 117_000, tzinfo=UTC)


def export_files(items, *, parts=3, prefix="2026-Nov", summary=None, listed=None, **changes):
    """The files of an export by their names within its folder.

    Args:
        items: the items in wire form.
        parts: how many data files they are spread over; the last one has none of them.
        prefix: where in the bucket the export was made.
        summary: fields of the summary that are other than usual; None leaves one out.
        listed: the same for every line of the list of data files.
        changes: `table_arn`, `time`, `table_id`, `export_id`.
    """
    time = changes.get("time", EXPORT_TIME)
    what = {"exportTime": _stamp(time), "exportType": "FULL_EXPORT"}
    lines = [{"Item": item} for item in items]
    identifier = changes.get("export_id", EXPORT_ID)
    described = _described(len(items), time, prefix, identifier, changes) | what
    root = f"{prefix}/AWSDynamoDB/{identifier}"
    return _files(lines, parts, f"{root}/", _with(described, summary), listed)


def incremental_files(lines, since, until, *, parts=3, summary=None, **changes):
    """The files of an incremental export by their names within its folder.

    Its data files are beside that: all incremental exports under a prefix share one folder.

    Args:
        lines: what was written, as `written` has it.
        since: its start, included.
        until: its end, excluded.
        parts: how many data files, as above.
        summary: as above.
        changes: as above, and `view`.
    """
    what = {
        "version": "2023-08-01",
        "exportFromTime": _stamp(since),
        "exportToTime": _stamp(until),
        "outputView": changes.get("view", "NEW_AND_OLD_IMAGES"),
        "exportType": "INCREMENTAL_EXPORT",
    }
    identifier = changes.get("export_id", f"{int(until.timestamp() * 1000):014d}-2d8752fd")
    described = _described(len(lines), until, "2026-Nov", identifier, changes) | what
    return _files(lines, parts, "2026-Nov/AWSDynamoDB/", _with(described, summary), None)


def written(item, key_names=("Id", "ApproximateCreationDateTime"), *, old=None, at=EXPORT_TIME):
    """A line of an incremental export: an item that was put.

    Args:
        item: None if it was deleted.
        key_names: of the table.
        old: the item before.
        at: when it was put.
    """
    keys = {name: (item or old)[name] for name in key_names}
    images = {"OldImage": old, "NewImage": item}
    return {
        "Metadata": {"WriteTimestampMicros": {"N": str(int(at.timestamp() * 1_000_000))}},
        "Keys": keys,
        **{name: image for name, image in images.items() if image is not None},
    }


def data_file(lines):
    """A data file: gzipped JSON lines, binary as base64."""
    content = b"".join(_line(lambda_form(line)) for line in lines)
    return gzip.compress(content, mtime=0)


def _line(fields):
    try:
        return f"{json.dumps(fields, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which only escapes can spell.
        return f"{json.dumps(fields)}\n".encode()


def md5_of(content):
    """A checksum as exports have it: base64 of the MD5."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest())


def data_names(files):
    """The names of the data files, in the order of their list."""
    keys = [json.loads(line)["dataFileS3Key"] for line in files["manifest-files.json"].splitlines()]
    beside = "../" if any(name.startswith("../") for name in files) else ""
    return [f"{beside}data/{key.rpartition('/')[2]}" for key in keys]


def replaced(files, name, content):
    """The files with another content of one, and a checksum that fits it.

    The checksums of data files are in their list.
    """
    files = {**files, name: content}
    if "data/" in name:
        entries = [json.loads(line) for line in files["manifest-files.json"].splitlines()]
        for entry in entries:
            if entry["dataFileS3Key"].endswith(name.removeprefix("../")):
                entry["md5Checksum"] = md5_of(content).decode()
        listed = "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()
        return replaced(files, "manifest-files.json", listed)
    return files | {name.replace(".json", ".md5"): md5_of(content)}


def write_to(folder, files):
    """Copy an export to a folder, as `aws s3 cp --recursive` does."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def put_into(s3, bucket, files, prefix="2026-Nov"):
    """Put an export into a bucket; returns what people call it."""
    root = f"{prefix}/AWSDynamoDB/{EXPORT_ID}" if prefix else f"AWSDynamoDB/{EXPORT_ID}"
    for name, content in files.items():
        s3.put_object(Bucket=bucket, Key=posixpath.normpath(f"{root}/{name}"), Body=content)
    return f"s3://{bucket}/{root}"


def _described(count, time, prefix, identifier, changes):
    return {
        "version": "2020-06-30",
        "exportArn": f"{changes.get('table_arn', TABLE_ARN)}/export/{identifier}",
        "startTime": time.strftime("%Y-%m-%dT%H:%M:%S.028Z"),
        "endTime": time.strftime("%Y-%m-%dT%H:%M:%S.897Z"),
        "tableArn": changes.get("table_arn", TABLE_ARN),
        "tableId": changes.get("table_id", "12345a12-abcd-123a-ab12-1234abc12345"),
        "s3Bucket": "ddb-employee-export",
        "s3Prefix": prefix,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{prefix}/AWSDynamoDB/{identifier}/manifest-files.json",
        "billedSizeBytes": 0,
        "itemCount": count,
        "outputFormat": "DYNAMODB_JSON",
    }


def _files(lines, parts, above, summary, listed):
    folder = "../data/" if above.endswith("AWSDynamoDB/") else "data/"
    data, entries = {}, []
    for part in range(parts):
        mine = lines[part :: parts - 1] if part < parts - 1 else []
        # Data files of other exports may be beside these.
        unique = hashlib.sha256(f"{summary.get('exportArn')} {part}".encode()).hexdigest()[:26]
        name = f"{folder}{unique}.json.gz"
        data[name] = data_file(mine)
        entry = {
            "itemCount": len(mine),
            "md5Checksum": md5_of(data[name]).decode(),
            "etag": f"{hashlib.sha256(data[name]).hexdigest()[:32]}-1",
            "dataFileS3Key": f"{above}data/{unique}.json.gz",
        }
        entries.append(json.dumps(_with(entry, listed)))
    files = {
        "manifest-summary.json": json.dumps(summary).encode(),
        "manifest-files.json": "".join(f"{entry}\n" for entry in entries).encode(),
    }
    checksums = {name.replace(".json", ".md5"): md5_of(files[name]) for name in files}
    return {"_started": b"", **files, **checksums, **data}


def _stamp(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _with(fields, changes):
    changed = {**fields, **(changes or {})}
    return {
        name: value
        for name, value in changed.items()
        if value is not None or name not in (changes or {})
    }
