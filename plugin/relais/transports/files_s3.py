"""An S3 bucket, of Amazon or of any server that speaks its protocol.

One attempt a request: lanes count attempts and space them. Nothing runs between requests, no thread and no loop.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from relais.configuration.destinations import FilesDestination
from relais.domain.retry import ErrorClass
from relais.transports.files_store import CHUNK, PROBE_SECONDS
from relais.transports.port import SendingError, Stop

PART = 8 << 20
"""Bytes sent at once, and the most of a file in memory. S3 allows 10,000 parts of 5 MiB and more."""
MISSING = 404
_CONTENT_TYPES = {".dcm": "application/dicom", ".jpg": "image/jpeg", ".json": "application/json"}

# Amazon S3 API reference, "Error responses". Other servers use the same words; HEAD answers have no word at all, so
# that the status stands for them.
_TRANSIENT = {"RequestTimeout", "BadDigest", "IncompleteBody", "OperationAborted", "XAmzContentSHA256Mismatch"}
_CONFIGURATION = {
    *("NoSuchBucket", "InvalidBucketName", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidToken"),
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "PermanentRedirect", "InvalidRegion"),
}
_CONFIGURATION_STATUSES = {301, 307, 401, 403, 404}
_BUSY_STATUSES = {429, 502, 503, 504, 507}


class S3Store:
    """The objects of an `s3://bucket/prefix` URL."""

    def __init__(self, destination: FilesDestination) -> None:
        parts = urlsplit(destination.url)
        self._destination = destination
        self._bucket = parts.netloc
        self._prefix = unquote(parts.path).strip("/")
        self._clients: dict[int, Any] = {}
        self._lock = threading.Lock()

    def probe(self) -> None:
        """Ask for the bucket alone."""
        with _told(self._destination.url, threading.Event()):
            self._hasty().head_bucket(Bucket=self._bucket)

    @contextmanager
    def opened(self, stopping: Stop) -> Iterator[S3Place]:
        """The bucket."""
        with _told(self._destination.url, stopping):
            client, hasty = self._client(self._destination.timeout), self._hasty()
        yield S3Place(client, hasty, self._destination.url, self._bucket, self._prefix, stopping)

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _hasty(self) -> Any:
        """The client that waits no longer than a probe may take."""
        return self._client(min(PROBE_SECONDS, self._destination.timeout))

    def _client(self, seconds: int) -> Any:
        """The client that waits so long for an answer; safe to share between threads."""
        # Imported where needed: it costs a quarter of a second and 40 MB, which who sends elsewhere need not pay.
        import botocore.config  # type: ignore[import-untyped]
        import botocore.session  # type: ignore[import-untyped]

        with self._lock:
            if seconds not in self._clients:
                session = botocore.session.Session()
                endpoint, password = self._destination.endpoint, self._destination.password
                self._clients[seconds] = session.create_client(
                    "s3",
                    region_name=session.get_config_variable("region") or "us-east-1",
                    endpoint_url=endpoint,
                    aws_access_key_id=self._destination.user,
                    aws_secret_access_key=None if password is None else password.resolve(),
                    config=botocore.config.Config(
                        connect_timeout=min(PROBE_SECONDS, seconds),
                        read_timeout=seconds,
                        retries={"total_max_attempts": 1},
                        max_pool_connections=self._destination.concurrency,
                        # Content-MD5, which every server checks, stands for the newer checksums, which some refuse.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                        s3={"addressing_style": "auto" if endpoint is None else "path"},
                    ),
                )
            return self._clients[seconds]


class S3Place:
    """The objects under a prefix. An object appears whole, and is kept before its answer comes."""

    def __init__(self, client: Any, hasty: Any, url: str, bucket: str, prefix: str, stopping: Stop) -> None:
        self._client = client
        self._hasty = hasty
        self._url = url
        self._bucket = bucket
        self._prefix = prefix
        self._stopping = stopping

    def size(self, path: str) -> int | None:
        """The bytes of an object; None if there is none."""
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        with _told(self._url, self._stopping):
            try:
                found: int = self._client.head_object(**self._key(path))["ContentLength"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != MISSING:
                    raise
                return None
            return found

    def read(self, path: str) -> Iterator[bytes]:
        """An object that is there, in chunks."""
        with _told(self._url, self._stopping):
            body = self._client.get_object(**self._key(path))["Body"]
            with body:
                yield from body.iter_chunks(CHUNK)

    def write(self, path: str, content: Iterable[bytes]) -> None:
        """Put an object there: in one request, or part by part where it is large."""
        kind = {"ContentType": _CONTENT_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")}
        key = self._key(path)
        parts = _in_parts(content, self._stopping)
        part, last = next(parts)
        if last:
            with _told(self._url, self._stopping):
                self._client.put_object(**key, **kind, **_body(part))
            return
        with _told(self._url, self._stopping):
            upload = {**key, "UploadId": self._client.create_multipart_upload(**key, **kind)["UploadId"]}
        try:
            tags = [self._upload(upload, 1, part)]
            for number, (following, _) in enumerate(parts, 2):
                tags.append(self._upload(upload, number, following))
            with _told(self._url, self._stopping):
                self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": tags})
        except BaseException:
            self._abort(upload)
            raise

    def remove(self, path: str) -> None:
        """Delete an object; there may be none."""
        with _told(self._url, self._stopping):
            self._client.delete_object(**self._key(path))

    def settle(self) -> None:
        """Nothing to wait for: an object that was answered is kept."""

    def _upload(self, upload: Mapping[str, str], number: int, part: io.BytesIO) -> dict[str, Any]:
        with _told(self._url, self._stopping):
            answer = self._client.upload_part(**upload, PartNumber=number, **_body(part))
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _abort(self, upload: Mapping[str, str]) -> None:
        """Have the parts thrown away; where that fails too, the bucket's lifecycle rule does it."""
        with suppress(SendingError, InterruptedError), _told(self._url, self._stopping):
            self._hasty.abort_multipart_upload(**upload)

    def _key(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}/{path}".lstrip("/")}


class _Part(io.BytesIO):
    """A part that is no longer handed out once everything stops, however slow the line."""

    def __init__(self, stopping: Stop) -> None:
        super().__init__()
        self._stopping = stopping

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stopping.is_set():
            raise InterruptedError
        return super().read(size)


def _in_parts(content: Iterable[bytes], stopping: Stop) -> Iterator[tuple[_Part, bool]]:
    """The content in parts, each with whether it is the last; a part is used up before the next is asked for."""
    part = _Part(stopping)
    for chunk in content:
        if part.tell() >= PART:
            yield part, False
            part.seek(0)
            part.truncate()
        part.write(chunk)
    yield part, True


def _body(part: io.BytesIO) -> dict[str, Any]:
    """A part as a request's body, with the checksum that the server compares (RFC 1864).

    As a file, not as bytes: the socket's time-out then is for each block of it, not for all.
    """
    with part.getbuffer() as content:
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        length = len(content)
    part.seek(0)
    return {"Body": part, "ContentLength": length, "ContentMD5": base64.b64encode(digest).decode()}


@contextmanager
def _told(url: str, stopping: Stop) -> Iterator[None]:
    """Whatever the server refuses, or the way to it, as a SendingError; as InterruptedError when everything stops."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if stopping.is_set():
            raise InterruptedError from error
        if isinstance(error, ClientError):
            raise refused_by_server(error.response, url) from error
        raise _unreached(error, url) from error


def refused_by_server(answer: Mapping[str, Any], url: str) -> SendingError:
    """What an error answer asks for. Its message stays out of the text: servers repeat there what they were sent."""
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(answer.get("Error", {}).get("Code", status))
    text = f"{url}: the server answered {code} ({status})"
    if status in _BUSY_STATUSES:
        return SendingError(ErrorClass.Transient, code, text, unreachable=True)
    if code in _TRANSIENT or status >= 500:  # noqa: PLR2004 - RFC 9110: the server's own errors
        return SendingError(ErrorClass.Transient, code, text)
    if code in _CONFIGURATION or status in _CONFIGURATION_STATUSES:
        return SendingError(ErrorClass.Configuration, code, text)
    if code == str(status):  # nothing said
        return SendingError(ErrorClass.Transient, code, text)
    return SendingError(ErrorClass.Permanent, code, text)


def _unreached(error: Exception, url: str) -> SendingError:
    """What a request that had no answer asks for."""
    from botocore import exceptions

    settings = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ParamValidationError)
    if isinstance(error, settings):
        return SendingError(ErrorClass.Configuration, type(error).__name__, f"{url}: user, password or name is amiss")
    if isinstance(error, exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return SendingError(ErrorClass.Configuration, "certificate", f"{url}: its certificate is not trusted")
    if isinstance(error, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError):
        return SendingError(ErrorClass.Transient, "timeout", f"{url}: no answer in time", unreachable=True)
    return SendingError(ErrorClass.Transient, "unreachable", f"{url}: {type(error).__name__}", unreachable=True)
