"""Where a DynamoDB export lies: a folder of this machine, or a prefix of a bucket."""

import os.path
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from reports.access.private_files import path_within
from reports.errors import ReportError
from stream_core.retry import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SUMMARY = "manifest-summary.json"
BESIDE = "../"
"""Begins the name of a file that lies in a folder beside the export's own."""
_S3 = "s3://"
_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "404"})
_COPIED_AT_ONCE = 1024 * 1024


class ExportError(ReportError):
    """The export is damaged, incomplete, or not one of the kind that is needed."""


class MissingFileError(ExportError):
    """A file of the export is not there."""


class ExportFolder(Protocol):
    """The files of one export, by their names within it."""

    def open(self, name: str) -> IO[bytes]:
        """A file's bytes, which may be read more than once.

        Raises:
            MissingFileError: there is no such file.
            ExportError: it cannot be read.
        """
        ...

    def where(self, name: str) -> str:
        """What people call a file."""
        ...


@dataclass(frozen=True)
class LocalFolder:
    """An export that was copied to this machine."""

    path: Path

    def open(self, name: str) -> IO[bytes]:
        """A file's bytes; see `ExportFolder`."""
        try:
            return self._path_of(name).open("rb")
        except FileNotFoundError as error:
            raise MissingFileError(f"{self.where(name)} is not there") from error
        except OSError as error:
            raise ExportError(f"{self.where(name)} cannot be read: {error.strerror}") from error

    def where(self, name: str) -> str:
        """What people call a file."""
        return os.path.normpath(self.path / name)

    def _path_of(self, name: str) -> Path:
        """Where a file is: within the folder, or for one beside it within that of all exports."""
        if name.startswith(BESIDE):
            return path_within(self.path.resolve().parent, name.removeprefix(BESIDE))
        return path_within(self.path, name)


@dataclass(frozen=True)
class BucketFolder:
    """An export where DynamoDB put it.

    Attributes:
        prefix: with a slash at its end, or empty.
    """

    s3: "S3Client"
    bucket: str
    prefix: str

    def open(self, name: str) -> IO[bytes]:
        """A file's bytes, on disk for as long as it is open; see `ExportFolder`."""
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self._key(name))
            with closing(answer["Body"]) as body:
                shutil.copyfileobj(cast("IO[bytes]", body), copy, _COPIED_AT_ONCE)
        except (ClientError, BotoCoreError) as error:
            copy.close()
            if error_code(error) in _MISSING:
                raise MissingFileError(f"{self.where(name)} is not there") from error
            raise ExportError(
                f"{self.where(name)} cannot be read: {error_code(error)}; try again later"
            ) from error
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return copy

    def where(self, name: str) -> str:
        """What people call a file."""
        return f"{_S3}{self.bucket}/{self._key(name)}"

    def _key(self, name: str) -> str:
        if not name.startswith(BESIDE):
            return f"{self.prefix}{name}"
        # A bucket has no folders: nothing but a reader of keys knows what `..` means.
        above = PurePosixPath(self.prefix).parent
        inner = name.removeprefix(BESIDE)
        return inner if above == PurePosixPath() else f"{above}/{inner}"


def folder_of(location: str | Path, s3: "S3Client | None") -> ExportFolder:
    """The folder that people mean by `s3://BUCKET/PREFIX/AWSDynamoDB/ID`, or by a path.

    They may name the summary in it as well.

    Raises:
        ExportError: it is in a bucket, and there is no client to read it with.
    """
    text = str(location)
    if not text.startswith(_S3):
        path = Path(text)
        return LocalFolder(path.parent if path.name == SUMMARY else path)
    if s3 is None:
        raise ExportError(f"{text} is in a bucket, and no S3 client was given")
    bucket, _, prefix = text.removeprefix(_S3).partition("/")
    place = PurePosixPath(prefix)
    if place.name == SUMMARY:
        place = place.parent
    return BucketFolder(s3, bucket, "" if place == PurePosixPath() else f"{place}/")
