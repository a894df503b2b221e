"""Bringing the file of a data set here and making sure that it is the right one."""

import fcntl
import gzip
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from sclatent.common.errors import UserError
from sclatent.data.locations import find, no_downloads, nowhere
from sclatent.io.atomic import replacing
from sclatent.io.provenance import sha256_of

CONNECT_TIMEOUT = 10  # seconds until a server takes a connection
STALL_TIMEOUT = 60  # seconds without a byte
ATTEMPTS = 4  # requests to one URL that may break
PAUSE = 1  # seconds after the first break; each further pause is twice as long
CHUNK = 1 << 16  # bytes read at most at once

_WEB_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head)\b",
    re.I | re.S,
)

log = logging.getLogger(__name__)


class _TransferError(Exception):
    """A URL does not give the file; the text is the reason."""


class _BrokenTransferError(_TransferError):
    """A transfer ended too early; another request may go on where it ended."""


def fetch(
    file: dict,
    directories: Sequence[str | Path],
    downloads: str | Path | None,
    destination: str | Path,
    progress: TextIO | None = None,
) -> None:
    """Copy a file to `destination`, checked: from the package that ships it, else from a directory, else from a URL.

    file: its relative path `name`, and `urls`, `package`, `size` in bytes, `sha256` and `content_md5`, the MD5 of what a gzip
    file holds; all but the name and the URLs may be None. directories: folders to look in, in this order. downloads: the folder
    that keeps what a URL gave, normally one of them; None where nothing may be downloaded. progress: where a progress bar is
    drawn if it is a terminal, standard error if None. Raises UserError where the file is missing, differs, or cannot be read or
    kept.
    """
    name = file["name"]
    if file["package"] is not None:
        source = _packaged(file)
    elif source := find(name, directories):
        if not os.access(source, os.R_OK):
            raise UserError(f"no permission to read {source}; change its permissions")
        _check(source, file)
    elif file["urls"] and downloads is None:
        raise no_downloads(name)
    elif file["urls"]:
        source = _downloaded(file, downloads, progress)
    else:
        raise nowhere(name, directories)
    if not _has_checksum(file):
        log.warning(
            "%s has no checksum to compare with; that of %s is SHA-256 %s",
            name,
            source,
            sha256_of(source),
        )
    with replacing(destination) as temporary:
        shutil.copyfile(source, temporary)
    log.info("took %s from %s", name, source)


def _packaged(file: dict) -> Path:
    """Return the checked file that an installed package ships. The package is located, not imported."""
    name, package = file["name"], file["package"]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f"package '{package}' is not installed, but a data set comes from it; install it as in README.md"
        )
    source = Path(spec.origin).parent / name
    if not source.is_file():
        raise UserError(
            f"package '{package}' ships no file '{name}'; install the version that requirements.lock names"
        )
    if fault := _fault(source, file):
        raise UserError(
            f"{name} of package '{package}' {fault}; install the version that requirements.lock names"
        )
    return source


def _check(path: Path, file: dict) -> None:
    if fault := _fault(path, file):
        raise UserError(f"{path} {fault}; replace or delete that file")


def _fault(path: str | Path, file: dict) -> str | None:
    """Return what is wrong with the file at a path, as the end of a sentence about it, or None."""
    difference = _difference(path, file)
    if _is_wrong_page(path, file) and (difference or not _has_checksum(file)):
        return (
            f"is a web page and {difference}" if difference else "is a web page instead of the file"
        )
    return difference


def _difference(path: str | Path, file: dict) -> str | None:
    size = os.path.getsize(path)
    if size == 0:
        return "is empty"
    if file["size"] not in (None, size):
        return f"has {size} bytes, expected {file['size']}"
    if file["sha256"] is not None and (found := sha256_of(path)) != file["sha256"]:
        return f"has SHA-256 {found}, expected {file['sha256']}"
    if file["content_md5"] is None:
        return None
    try:
        with gzip.open(path) as content:
            found = hashlib.file_digest(content, "md5").hexdigest()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        return f"is not a whole gzip file ({error}), expected one whose content has MD5 {file['content_md5']}"
    return (
        None
        if found == file["content_md5"]
        else f"has content with MD5 {found}, expected {file['content_md5']}"
    )


def _has_checksum(file: dict) -> bool:
    return file["sha256"] is not None or file["content_md5"] is not None


def _is_wrong_page(path: str | Path, file: dict) -> bool:
    """Return whether the file at a path is an HTML page and should be something else."""
    with open(path, "rb") as stream:
        return (
            not file["name"].lower().endswith((".html", ".htm"))
            and _WEB_PAGE.match(stream.read(4096)) is not None
        )


def _downloaded(file: dict, downloads: str | Path, progress: TextIO | None) -> Path:
    """Return the checked file in `downloads`, from a URL unless another process has just brought it.

    Until it is checked, its bytes are in a file with ".part" after the name, which a later download goes on with.
    """
    finished = Path(downloads, file["name"])
    part = finished.with_name(f"{finished.name}.part")
    try:
        with _locked(part) as stream:
            if finished.is_file():
                _check(finished, file)
            else:
                url = _fill_from_any(stream, file, progress)
                os.replace(part, finished)
                log.info("downloaded %s to %s", url, finished)
    except OSError as error:
        raise UserError(
            f"cannot write {part} ({error.strerror}); make {downloads} writable, or name another folder first in data_directories"
        ) from error
    return finished


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Yield a file open for appending that no other process appends to meanwhile; remove it if it is empty in the end."""
    part.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(part, "ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not _is_at(
                part, stream
            ):  # the process that held the lock has renamed or removed what was opened here
                continue
            try:
                yield stream
            finally:
                if stream.tell() == 0:
                    part.unlink()
            return


def _is_at(path: Path, stream: BinaryIO) -> bool:
    """Return whether an open file is the one that is now at a path."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _fill_from_any(stream: BinaryIO, file: dict, progress: TextIO | None) -> str:
    """Fill a part from the first URL that gives the right file and return that URL."""
    reasons = []
    for url in file["urls"]:
        try:
            _fill(stream, file, url, progress)
        except _TransferError as error:
            reasons.append(f"{url}: {error}")
        else:
            return url
    raise UserError(
        f"'{file['name']}' cannot be downloaded; {'; '.join(reasons)}; "
        f"check the network, or put the file '{file['name']}' in one of the data directories"
    )


def _fill(stream: BinaryIO, file: dict, url: str, progress: TextIO | None) -> None:
    """Complete a part from a URL, going on after breaks. Raises _TransferError."""
    if not _has_checksum(file):
        _empty(stream)  # nothing would tell that the earlier bytes are those of another file
    breaks, anew = 0, False
    while True:
        try:
            whole = _receive(stream, file, url, progress)
        except _BrokenTransferError:
            breaks += 1
            if breaks == ATTEMPTS:
                raise
            time.sleep(PAUSE * 2 ** (breaks - 1))
            continue
        fault = _fault(stream.name, file)
        if fault is None:
            return
        page = _is_wrong_page(stream.name, file)
        _empty(stream)
        # What was put together from pieces may be of two files; it gets one more try in one piece.
        if whole or anew:
            raise _TransferError(
                "the server sent a web page instead of the file"
                if page
                else f"what the server sent {fault}"
            )
        anew = True


def _receive(stream: BinaryIO, file: dict, url: str, progress: TextIO | None) -> bool:
    """Append to a part what it lacks by one request; return whether all of it came by this one. Raises _TransferError."""
    held = stream.tell()
    # A server that compresses on the way would change the bytes, of which the checksum is.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    try:
        response = requests.get(
            url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, STALL_TIMEOUT)
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _BrokenTransferError(f"no answer ({_cause(error)})") from error
    except requests.RequestException as error:
        raise _TransferError(str(error)) from error
    with response:
        if response.status_code == 416 and held and _has_checksum(file):
            return False  # there is no more; the checksum tells whether that is all
        _position(stream, response)
        whole = stream.tell() == 0
        _append(stream, file, response, progress)
    if stream.tell() < (file["size"] or 0) and not _is_wrong_page(stream.name, file):
        raise _BrokenTransferError(f"ended after {stream.tell()} of {file['size']} bytes")
    return whole


def _position(stream: BinaryIO, response: requests.Response) -> None:
    """Make a part end where the body of a response begins. Raises _TransferError where it has no body to append."""
    status, held = response.status_code, stream.tell()
    begins = re.match(r"bytes (\d{1,20})-", response.headers.get("Content-Range", ""))
    if status == 200:
        _empty(stream)
    elif status == 206 and begins and int(begins[1]) == held:
        return
    elif status == 206 or (status == 416 and held):
        _empty(stream)
        raise _BrokenTransferError(
            f"no answer to the request for the bytes from {held} on (HTTP {status})"
        )
    else:
        kind = _BrokenTransferError if status >= 500 else _TransferError
        raise kind(f"HTTP {status} {response.reason}")


def _append(
    stream: BinaryIO, file: dict, response: requests.Response, progress: TextIO | None
) -> None:
    """Append the body of a response to a part, as it was sent. Raises _BrokenTransferError, with all that came kept."""
    length = response.raw.length_remaining
    total = file["size"] if length is None else stream.tell() + length
    shown = {
        "desc": file["name"],
        "unit": "B",
        "unit_scale": True,
        "disable": None,
        "file": progress,
    }
    with tqdm(total=total, initial=stream.tell(), **shown) as bar:
        try:
            # Unlike iter_content, read1 undoes no Content-Encoding and loses no byte when the rest stalls.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                stream.write(chunk)
                bar.update(len(chunk))
                if file["size"] is not None and stream.tell() > file["size"]:
                    break  # it is another file, and may have no end
        except HTTPError as error:
            raise _BrokenTransferError(
                f"broke off after {stream.tell()} bytes ({_cause(error)})"
            ) from error
        finally:
            stream.flush()


def _empty(stream: BinaryIO) -> None:
    stream.seek(0)
    stream.truncate()


def _cause(error: BaseException) -> str:
    """Return the words of the error at the root of an error: those of the libraries above it are long."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)
