"""Brings a published file of a data set here and makes sure that it is the right one.

A general downloader would not do: this one resumes an interrupted download, compares size and
checksum with the data-set table before it keeps a file, tells a web page from the file, lets no
server send it anywhere but to http or https, and fits two processes that fetch the same file.
"""

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
from sclatent.config.datasets import File
from sclatent.data.locations import find, no_downloads, nowhere
from sclatent.io.atomic import replacing
from sclatent.io.provenance import sha256_of

CONNECT_TIMEOUT = 10  # seconds until a server accepts a connection
STALL_TIMEOUT = 60  # seconds without a byte
ATTEMPTS = 4  # requests to one URL that may break off
PAUSE = 1  # seconds after the first break; each further pause is twice as long
CHUNK = 1 << 16  # bytes per read, at most

_WEB_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head)\b",
    re.I | re.S,
)

log = logging.getLogger(__name__)


class _TransferError(Exception):
    """A URL does not give the file; the text is the reason."""


class _BrokenTransferError(_TransferError):
    """A transfer ended too early; another request may continue where it ended."""


def fetch(
    file: File,
    directories: Sequence[str | Path],
    downloads: str | Path | None,
    destination: str | Path,
    progress: TextIO | None = None,
) -> None:
    """Copy a published file to `destination`, checked.

    It comes from the package that ships it, else from one of the directories, else from a URL.

    Parameters
    ----------
    file
        An entry of the data-set table with a name.
    directories
        Folders in which the file may be already, searched in this order.
    downloads
        Folder that keeps downloads, normally one of `directories`; None if nothing may be
        downloaded.
    destination
        The copy.
    progress
        Where a progress bar is drawn if it is a terminal; standard error if None.

    Raises
    ------
    UserError
        If the file is missing, differs from the table, or cannot be read or kept.
    """
    name = _name(file)
    if file.package is not None:
        source = _packaged(file, file.package)
    elif present := find(name, directories):
        source = present
        if not os.access(source, os.R_OK):
            raise UserError(f"no permission to read {source}; change its permissions")
        _check(source, file)
    elif not file.urls:
        raise nowhere(name, directories)
    elif downloads is None:
        raise no_downloads(name)
    else:
        source = _downloaded(file, downloads, progress)
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


def _name(file: File) -> str:
    """Return the name of a published file; files with a path of their own are not fetched."""
    if file.name is None:
        raise ValueError(f"'{file.path}' is not a published file")
    return file.name


def _packaged(file: File, package: str) -> Path:
    """Return the checked file that a package ships. The package is located, not imported."""
    name = _name(file)
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f"package '{package}' is not installed, but a data set comes from it; "
            "install it as in README.md"
        )
    source = Path(spec.origin).parent / name
    if not source.is_file():
        raise UserError(
            f"package '{package}' ships no file '{name}'; "
            "install the version that requirements.lock names"
        )
    if fault := _fault(source, file):
        raise UserError(
            f"{name} of package '{package}' {fault}; "
            "install the version that requirements.lock names"
        )
    return source


def _check(path: Path, file: File) -> None:
    if fault := _fault(path, file):
        raise UserError(f"{path} {fault}; replace or delete that file")


def _fault(path: str | Path, file: File) -> str | None:
    """Return what is wrong with a file, as the end of a sentence about it, or None."""
    difference = _difference(path, file)
    if _is_wrong_page(path, file) and (difference or not _has_checksum(file)):
        return (
            f"is a web page and {difference}" if difference else "is a web page instead of the file"
        )
    return difference


def _difference(path: str | Path, file: File) -> str | None:
    """Return how a file differs from its entry in the data-set table, or None."""
    size = os.path.getsize(path)
    if size == 0:
        return "is empty"
    if file.size not in (None, size):
        return f"has {size} bytes, expected {file.size}"
    if file.sha256 is not None and (sha256 := sha256_of(path)) != file.sha256:
        return f"has SHA-256 {sha256}, expected {file.sha256}"
    if file.content_md5 is None:
        return None
    try:
        with gzip.open(path) as content:
            md5 = hashlib.file_digest(content, "md5").hexdigest()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        return (
            f"is not a whole gzip file ({error}), "
            f"expected one whose content has MD5 {file.content_md5}"
        )
    return (
        None
        if md5 == file.content_md5
        else f"has content with MD5 {md5}, expected {file.content_md5}"
    )


def _has_checksum(file: File) -> bool:
    return file.sha256 is not None or file.content_md5 is not None


def _is_wrong_page(path: str | Path, file: File) -> bool:
    """Return whether a file is an HTML page but should be something else."""
    with open(path, "rb") as stream:
        return (
            not _name(file).lower().endswith((".html", ".htm"))
            and _WEB_PAGE.match(stream.read(4096)) is not None
        )


def _downloaded(file: File, downloads: str | Path, progress: TextIO | None) -> Path:
    """Return the checked file in `downloads`, from a URL or from a process that was faster.

    Until it is checked, its bytes are in a file with ".part" after the name. A later download
    continues this file.
    """
    finished = Path(downloads, _name(file))
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
            f"cannot write {part} ({error.strerror}); make {downloads} writable, "
            "or name another folder first in data_directories"
        ) from error
    return finished


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open a file for appending while no other process does; remove it if it stays empty."""
    part.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(part, "ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            # The process that held the lock may have renamed or removed what was opened here.
            if not _is_at(part, stream):
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


def _fill_from_any(stream: BinaryIO, file: File, progress: TextIO | None) -> str:
    """Fill a part from the first URL that gives the right file and return that URL."""
    reasons = []
    for url in file.urls:
        try:
            _fill(stream, file, url, progress)
        except _TransferError as error:
            reasons.append(f"{url}: {error}")
        else:
            return url
    raise UserError(
        f"'{file.name}' cannot be downloaded; {'; '.join(reasons)}; "
        f"check the network, or put the file '{file.name}' in one of the data directories"
    )


def _fill(stream: BinaryIO, file: File, url: str, progress: TextIO | None) -> None:
    """Complete a part from a URL and continue after breaks. Raises _TransferError."""
    if not _has_checksum(file):
        _empty(stream)  # without a checksum, the earlier bytes may be those of another file
    breaks, restarted = 0, False
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
        # Pieces of several requests may be of two files; they get one more try in one piece.
        if whole or restarted:
            raise _TransferError(
                "the server sent a web page instead of the file"
                if page
                else f"what the server sent {fault}"
            )
        restarted = True


def _receive(stream: BinaryIO, file: File, url: str, progress: TextIO | None) -> bool:
    """Append to a part what it lacks, by one request. Raises _TransferError.

    Returns whether all of the file came by this request.
    """
    held = stream.tell()
    # The checksum is that of the uncompressed bytes, so the server must not compress them.
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
            return False  # there are no more bytes; the checksum tells whether these are all
        _position(stream, response)
        whole = stream.tell() == 0
        _append(stream, file, response, progress)
    if stream.tell() < (file.size or 0) and not _is_wrong_page(stream.name, file):
        raise _BrokenTransferError(f"ended after {stream.tell()} of {file.size} bytes")
    return whole


def _position(stream: BinaryIO, response: requests.Response) -> None:
    """Make a part end where the body of a response begins.

    Raises _TransferError if the response has no body to append.
    """
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
    stream: BinaryIO, file: File, response: requests.Response, progress: TextIO | None
) -> None:
    """Append the body of a response to a part, byte by byte as it was sent.

    Raises _BrokenTransferError if it breaks off; what came until then is kept.
    """
    length = response.raw.length_remaining
    bar = tqdm(
        total=file.size if length is None else stream.tell() + length,
        initial=stream.tell(),
        desc=file.name,
        unit="B",
        unit_scale=True,
        disable=None,  # drawn only on a terminal
        file=progress,
    )
    with bar:
        try:
            # Unlike iter_content, read1 decodes nothing and loses no byte if the rest stalls.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                stream.write(chunk)
                bar.update(len(chunk))
                if file.size is not None and stream.tell() > file.size:
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
    """Return the text of the error at the root of an error; those above it are long."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)
