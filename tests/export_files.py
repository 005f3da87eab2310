"""Full exports as DynamoDB writes them, file by file.

The layout is that of the Developer Guide, "DynamoDB table export output format", and of the
exports that other projects' tests saw AWS write: checksums end in `.md5`, and a partition without
items still has a file.
"""

import base64
import gzip
import hashlib
import json
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
        changes: `table_arn`, `time`, `table_id`.
    """
    root = f"{prefix}/AWSDynamoDB/{EXPORT_ID}"
    data, lines = {}, []
    for part in range(parts):
        mine = items[part :: parts - 1] if part < parts - 1 else []
        name = f"data/{hashlib.sha256(bytes([part])).hexdigest()[:26]}.json.gz"
        data[name] = data_file(mine)
        entry = {
            "itemCount": len(mine),
            "md5Checksum": md5_of(data[name]).decode(),
            "etag": f"{hashlib.sha256(data[name]).hexdigest()[:32]}-1",
            "dataFileS3Key": f"{root}/{name}",
        }
        lines.append(json.dumps(_with(entry, listed)))
    time = changes.get("time", EXPORT_TIME)
    described = {
        "version": "2020-06-30",
        "exportArn": f"{changes.get('table_arn', TABLE_ARN)}/export/{EXPORT_ID}",
        "startTime": time.strftime("%Y-%m-%dT%H:%M:%S.028Z"),
        "endTime": time.strftime("%Y-%m-%dT%H:%M:%S.897Z"),
        "tableArn": changes.get("table_arn", TABLE_ARN),
        "tableId": changes.get("table_id", "12345a12-abcd-123a-ab12-1234abc12345"),
        "exportTime": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "s3Bucket": "ddb-employee-export",
        "s3Prefix": prefix,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{root}/manifest-files.json",
        "billedSizeBytes": 0,
        "itemCount": len(items),
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    }
    files = {
        "manifest-summary.json": json.dumps(_with(described, summary)).encode(),
        "manifest-files.json": "".join(f"{line}\n" for line in lines).encode(),
    }
    checksums = {name.replace(".json", ".md5"): md5_of(files[name]) for name in files}
    return {"_started": b"", **files, **checksums, **data}


def data_file(items):
    """A data file: gzipped JSON lines, binary as base64."""
    lines = [json.dumps({"Item": lambda_form(one)}, ensure_ascii=False) for one in items]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def md5_of(content):
    """A checksum as exports have it: base64 of the MD5."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest())


def data_names(files):
    """The names of the data files, in the order of their list."""
    keys = [json.loads(one)["dataFileS3Key"] for one in files["manifest-files.json"].splitlines()]
    return [f"data/{key.rpartition('/')[2]}" for key in keys]


def replaced(files, name, content):
    """The files with another content of one, and a checksum that fits it.

    The checksums of data files are in their list.
    """
    files = {**files, name: content}
    if name.startswith("data/"):
        entries = [json.loads(line) for line in files["manifest-files.json"].splitlines()]
        for entry in entries:
            if entry["dataFileS3Key"].endswith(name):
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
        s3.put_object(Bucket=bucket, Key=f"{root}/{name}", Body=content)
    return f"s3://{bucket}/{root}"


def _with(fields, changes):
    changed = {**fields, **(changes or {})}
    return {
        name: value
        for name, value in changed.items()
        if value is not None or name not in (changes or {})
    }
