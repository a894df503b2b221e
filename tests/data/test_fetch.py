"""Files of data sets: from packages, from folders, and from a server that answers well, badly or
not to the end.
"""

import gzip
import hashlib
import http.server
import io
import logging
import re
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sklearn.datasets

from sclatent.common.errors import UserError
from sclatent.config.datasets import File
from sclatent.data import fetch as module
from sclatent.data.fetch import fetch, find

CONTENT = bytes(range(256)) * 400
OTHER = CONTENT[::-1]
HALF = len(CONTENT) // 2
PAGE = b"\n<!-- signed out -->\n<!DOCTYPE html><html><body>Please log in</body></html>"
NAME = "set/file.bin"
DIGITS = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"


class Server(http.server.ThreadingHTTPServer):
    """Answers each path with its answers in turn, the last one again and again, and notes what was
    asked and sent.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        # One mapping a request: path, range as asked, encoding as asked, bytes of body sent
        self.seen = []

    def url(self, path, *answers):
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        """Stay silent when a client has hung up."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answers = self.server.answers[self.path]
        self.note = {
            "path": self.path,
            "range": self.headers["Range"],
            "encoding": self.headers["Accept-Encoding"],
            "sent": 0,
        }
        self.server.seen.append(self.note)
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def reply(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Transfer_Encoding" not in headers:
            self.send_header("Content-Length", len(body) if length is None else length)
        self.send_header("Connection", "close")
        self.end_headers()
        self.note["sent"] = len(body)  # before the client can have them and the test look
        self.wfile.write(body)

    def begin(self):
        """Return the first byte that the client asks for."""
        return (
            int(re.fullmatch(r"bytes=(\d+)-", self.note["range"])[1]) if self.note["range"] else 0
        )

    def log_message(self, *arguments):
        pass


def whole(content=CONTENT, **headers):
    return lambda handler: handler.reply(200, content, **headers)


def ranged(content=CONTENT, most=None, pause=0):
    """Serve the bytes asked for, at most so many of those announced, and hold the connection open
    for a while then.
    """

    def answer(handler):
        begin = handler.begin()
        rest = content[begin:]
        if handler.note["range"] and not rest:
            return handler.reply(416, Content_Range=f"bytes */{len(content)}")
        headers = (
            {"Content_Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
            if handler.note["range"]
            else {}
        )
        handler.reply(206 if headers else 200, rest[:most], length=len(rest), **headers)
        return time.sleep(pause)

    return answer


def status(code, **headers):
    return lambda handler: handler.reply(code, **headers)


def wrong_range(handler):
    handler.reply(206, CONTENT, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")


def late(answer):
    def waiting(handler):
        time.sleep(0.2)
        answer(handler)

    return waiting


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "PAUSE", 0.001)
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 5)
    monkeypatch.setattr(module, "STALL_TIMEOUT", 5)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folders(tmp_path):
    """The folder of downloads, one of the user's, and one of the workflow's."""
    folders = [tmp_path / name for name in ("downloads", "own", "results")]
    for folder in folders:
        folder.mkdir()
    return folders


@pytest.fixture
def get(folders):
    """Fetch a file with the checksum of CONTENT, unless told otherwise, and return what came."""
    downloads, own, results = folders

    def get(*urls, destination=results / "source", **changes):
        file = {
            "name": NAME,
            "package": None,
            "size": None,
            "sha256": sha256(CONTENT),
            "content_md5": None,
        }
        fetch(
            File(**{**file, "urls": list(urls), **changes}),
            [downloads, own],
            downloads,
            destination,
        )
        return destination.read_bytes()

    return get


@pytest.fixture
def closed():
    """A URL at which nobody listens."""
    with socket.socket() as waiting:
        waiting.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{waiting.getsockname()[1]}/file"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def put(folder, content, suffix=""):
    path = folder / (NAME + suffix)
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def files(folders):
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def asked(server):
    """The bytes that were asked for, request by request."""
    return [note["range"] for note in server.seen]


# From a package


def packaged(**changes):
    digest = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
    file = {
        "name": "datasets/data/digits.csv.gz",
        "urls": [],
        "package": "sklearn",
        "size": None,
        "sha256": digest,
    }
    return File(**{**file, "content_md5": None, **changes})


def test_the_file_of_a_package_is_copied_with_the_right_checksum_only(folders):
    destination = folders[2] / "digits"
    fetch(packaged(), folders, folders[0], destination)
    assert destination.read_bytes() == DIGITS.read_bytes()
    for change, words in [
        (
            {"sha256": "0" * 64},
            "'sklearn' has SHA-256 09f66e6.*, expected 0000.*; install the version that "
            "requirements.lock",
        ),
        ({"size": 7}, f"'sklearn' has {DIGITS.stat().st_size} bytes, expected 7;"),
        ({"name": "absent"}, "ships no file 'absent'"),
        ({"package": "absent"}, "'absent' is not installed"),
    ]:
        with pytest.raises(UserError, match=words):
            fetch(packaged(**change), folders, folders[0], folders[2] / "other")
    assert files(folders) == ["digits"]


def test_a_package_is_located_without_being_imported(folders, tmp_path, monkeypatch):
    (tmp_path / "explosive").mkdir()
    (tmp_path / "explosive" / "__init__.py").write_text("raise RuntimeError")
    (tmp_path / "explosive" / "table").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    fetch(
        packaged(package="explosive", name="table", sha256=sha256(CONTENT)),
        folders,
        folders[0],
        folders[2] / "table",
    )
    assert (folders[2] / "table").read_bytes() == CONTENT


# From a folder


def test_a_file_without_a_checksum_is_taken_and_its_own_is_said(folders, get, caplog):
    path = put(folders[0], CONTENT)
    get(sha256=None)
    (message,) = caplog.messages
    assert (
        message
        == f"{NAME} has no checksum to compare with; that of {path} is SHA-256 {sha256(CONTENT)}"
    )


def test_a_right_file_in_a_folder_is_taken_without_a_request(server, folders, get, caplog):
    caplog.set_level(logging.INFO)
    path = put(folders[1], CONTENT)
    assert get(server.url("/file", whole())) == CONTENT
    assert server.seen == []
    assert files(folders) == ["file.bin", "source"]
    assert caplog.messages == [f"took {NAME} from {path}"]


def test_the_first_folder_with_the_file_counts(folders, get):
    put(folders[0], CONTENT)
    put(folders[1], OTHER)
    assert get() == CONTENT
    assert find(NAME, folders) == folders[0] / NAME
    assert find(NAME, folders[2:]) is None


def test_a_folder_of_the_same_name_is_not_the_file(server, folders, get):
    (folders[1] / NAME).mkdir(parents=True)
    assert get(server.url("/file", whole())) == CONTENT


@pytest.mark.parametrize(
    ("content", "changes", "words"),
    [
        (OTHER, {}, f"has SHA-256 {sha256(OTHER)}, expected {sha256(CONTENT)}"),
        (
            CONTENT[:-1],
            {"size": len(CONTENT)},
            f"has {len(CONTENT) - 1} bytes, expected {len(CONTENT)}",
        ),
        (b"", {}, "is empty"),
        (b"", {"sha256": None}, "is empty"),
        (PAGE, {"sha256": None}, "is a web page instead of the file"),
        (PAGE, {}, f"is a web page and has SHA-256 {sha256(PAGE)}, expected {sha256(CONTENT)}"),
    ],
)
def test_a_wrong_file_in_a_folder_is_named_and_nothing_is_downloaded(
    server, folders, get, content, changes, words
):
    path = put(folders[1], content)
    with pytest.raises(UserError, match=re.escape(f"{path} {words}; replace or delete that file")):
        get(server.url("/file", whole()), **changes)
    assert server.seen == []
    assert path.read_bytes() == content
    assert files(folders) == ["file.bin"]


def test_a_web_page_that_is_wanted_is_taken(folders, get):
    path = put(folders[1], PAGE)
    assert get(sha256=sha256(PAGE)) == PAGE
    path.rename(path.with_name("page.HTM"))
    assert get(name="set/page.HTM", sha256=None) == PAGE


def test_a_recompressed_file_passes_by_the_checksum_of_its_content(folders, get):
    digest = hashlib.md5(CONTENT).hexdigest()
    path = put(folders[1], gzip.compress(CONTENT, 1))
    packed = gzip.compress(CONTENT, 9, mtime=7)
    assert path.read_bytes() != packed
    get(sha256=None, content_md5=digest)
    path.write_bytes(packed)
    assert get(sha256=None, content_md5=digest) == packed
    for content, words in [
        (
            gzip.compress(OTHER),
            f"has content with MD5 {hashlib.md5(OTHER).hexdigest()}, expected {digest}",
        ),
        (CONTENT, f"is not a whole gzip file .*, expected one whose content has MD5 {digest}"),
        (packed[:-20], "is not a whole gzip file"),
        (packed[:20] + b"\xff" * 20 + packed[40:], "is not a whole gzip file"),
    ]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=words):
            get(sha256=None, content_md5=digest)


def test_the_size_is_compared_before_the_checksums(folders, get):
    put(folders[1], OTHER)
    with pytest.raises(UserError, match=f"has {len(OTHER)} bytes, expected 3;"):
        get(size=3, content_md5="0" * 32)
    with pytest.raises(UserError, match="has SHA-256"):
        get(content_md5="0" * 32)


def test_a_file_without_url_that_is_nowhere_is_named_with_the_folders(folders, get):
    cure = (
        "put it in one of them, or name its folder in the setting data_directories or the "
        "environment variable SCLATENT_DATA"
    )
    with pytest.raises(
        UserError, match=re.escape(f"'{NAME}' has no URL") + f".*{folders[0]}, {folders[1]}.*{cure}"
    ):
        get()
    assert not any(folders[0].iterdir())


# From a URL


def test_a_download_is_kept_and_used_without_the_network(server, folders, get, caplog):
    caplog.set_level(logging.INFO, "sclatent")
    url = server.url("/file", whole())
    assert get(url, size=len(CONTENT)) == CONTENT
    assert (folders[0] / NAME).read_bytes() == CONTENT
    assert get(url) == CONTENT
    assert asked(server) == [None]
    assert files(folders) == ["file.bin", "source"]
    assert caplog.messages[0] == f"downloaded {url} to {folders[0] / NAME}"


def test_a_kept_download_is_used_though_its_folder_is_not_looked_in(server, folders, get):
    downloads, own, results = folders
    file = {
        "name": NAME,
        "urls": [server.url("/file", whole())],
        "package": None,
        "size": None,
        "content_md5": None,
    }
    put(downloads, CONTENT)
    fetch(File(**file, sha256=sha256(CONTENT)), [own], downloads, results / "source")
    assert (results / "source").read_bytes() == CONTENT
    with pytest.raises(UserError, match=re.escape(f"{downloads / NAME} has SHA-256")):
        fetch(File(**file, sha256=sha256(OTHER)), [own], downloads, results / "source")
    assert server.seen == []
    assert files([downloads]) == ["file.bin"]


def test_a_download_needs_no_checksum(server, get):
    assert get(server.url("/file", whole()), sha256=None) == CONTENT


def test_redirects_are_followed(server, get):
    server.url("/there", ranged())
    assert get(server.url("/here", status(302, Location="/there"))) == CONTENT


def test_a_compressed_file_stays_as_it_is_whatever_the_server_calls_it(server, get):
    packed = gzip.compress(CONTENT)
    assert (
        get(server.url("/file", whole(packed, Content_Encoding="gzip")), sha256=sha256(packed))
        == packed
    )
    assert server.seen[0]["encoding"] == "identity"


def test_a_break_is_resumed_with_the_bytes_so_far(server, folders, get):
    assert get(server.url("/file", ranged(most=HALF), ranged(most=1000), ranged())) == CONTENT
    assert asked(server) == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert sum(note["sent"] for note in server.seen) == len(CONTENT)
    assert files(folders) == ["file.bin", "source"]


def test_a_break_without_checksum_is_resumed_too(server, get):
    assert get(server.url("/file", ranged(most=HALF), ranged()), sha256=None) == CONTENT
    assert asked(server) == [None, f"bytes={HALF}-"]


def test_a_stall_is_resumed_with_the_bytes_so_far(server, get, monkeypatch):
    monkeypatch.setattr(module, "STALL_TIMEOUT", 0.1)
    begin = time.monotonic()
    assert get(server.url("/file", ranged(most=HALF, pause=9), ranged())) == CONTENT
    assert time.monotonic() - begin < 5
    assert asked(server) == [None, f"bytes={HALF}-"]


def test_a_break_in_a_chunked_body_is_noticed(server, get):
    def chunked(*parts):
        return whole(
            b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts),
            Transfer_Encoding="chunked",
        )

    assert get(server.url("/file", chunked(CONTENT[:HALF]), ranged()), sha256=None) == CONTENT
    assert asked(server) == [None, f"bytes={HALF}-"]
    assert (
        get(
            server.url("/all", chunked(CONTENT[:HALF], CONTENT[HALF:], b"")),
            sha256=None,
            name="other",
        )
        == CONTENT
    )


def test_fewer_bytes_than_the_size_are_a_break_though_the_server_announced_no_more(server, get):
    assert get(server.url("/file", whole(CONTENT[:HALF]), ranged()), size=len(CONTENT)) == CONTENT
    assert asked(server) == [None, f"bytes={HALF}-"]


def test_a_server_that_ignores_ranges_sends_all_anew(server, get):
    assert get(server.url("/file", ranged(most=HALF), whole())) == CONTENT
    assert [note["sent"] for note in server.seen] == [HALF, len(CONTENT)]


@pytest.mark.parametrize("headers", [{"Content_Range": "bytes 0-9/10"}, {}])
def test_a_server_that_answers_with_another_range_is_asked_for_all(server, get, headers):
    assert get(server.url("/file", ranged(most=HALF), status(206, **headers), ranged())) == CONTENT
    assert asked(server) == [None, f"bytes={HALF}-", None]


def test_a_server_that_always_answers_with_another_range_is_given_up(server, folders, get):
    with pytest.raises(
        UserError,
        match=rf"/file: no answer to the request for the bytes from {HALF} on \(HTTP 206\);",
    ):
        get(server.url("/file", ranged(most=HALF), wrong_range, ranged(most=HALF), wrong_range))
    assert len(server.seen) == module.ATTEMPTS
    assert files(folders) == []


def test_a_network_that_stays_broken_leaves_the_part_for_another_day(server, folders, get):
    url = server.url("/file", ranged(most=1000))
    attempts = module.ATTEMPTS
    with pytest.raises(
        UserError,
        match=f"{url}: broke off after {1000 * attempts} bytes .*; check the network, or put "
        f"the file",
    ):
        get(url)
    assert len(server.seen) == attempts
    assert files(folders) == ["file.bin.part"]
    server.url("/file", ranged())
    assert get(url) == CONTENT
    assert server.seen[-1]["range"] == f"bytes={1000 * attempts}-"
    assert files(folders) == ["file.bin", "source"]


def test_the_pauses_grow(server, get, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    monkeypatch.setattr(module, "PAUSE", 3)
    with pytest.raises(UserError):
        get(server.url("/file", status(503)))
    assert pauses == [3, 6, 12]


def test_the_part_of_an_earlier_process_is_resumed(server, folders, get):
    put(folders[0], CONTENT[:HALF], ".part")
    assert get(server.url("/file", ranged())) == CONTENT
    assert [(note["range"], note["sent"]) for note in server.seen] == [
        (f"bytes={HALF}-", len(CONTENT) - HALF)
    ]
    assert files(folders) == ["file.bin", "source"]


def test_a_complete_part_is_checked_and_taken(server, folders, get):
    put(folders[0], CONTENT, ".part")
    assert get(server.url("/file", ranged())) == CONTENT
    assert [(note["range"], note["sent"]) for note in server.seen] == [
        (f"bytes={len(CONTENT)}-", 0)
    ]


@pytest.mark.parametrize("stale", [OTHER[:HALF], OTHER, CONTENT + b"more", PAGE])
def test_the_part_of_another_file_is_fetched_anew(server, folders, get, stale):
    put(folders[0], stale, ".part")
    assert get(server.url("/file", ranged())) == CONTENT
    assert asked(server) == [f"bytes={len(stale)}-", None]
    assert files(folders) == ["file.bin", "source"]


def test_the_part_of_another_file_is_fetched_anew_once_only(server, folders, get):
    put(folders[0], CONTENT[:HALF], ".part")
    with pytest.raises(UserError, match="what the server sent has SHA-256"):
        get(server.url("/file", ranged(OTHER)))
    assert asked(server) == [f"bytes={HALF}-", None]
    assert files(folders) == []


def test_a_part_that_no_checksum_covers_is_not_trusted(server, folders, get):
    put(folders[0], OTHER[:HALF], ".part")
    assert get(server.url("/file", ranged()), sha256=None) == CONTENT
    assert asked(server) == [None]


def test_without_checksum_a_refused_range_is_no_sign_of_completeness(server, get):
    assert (
        get(server.url("/file", ranged(most=HALF), status(416), ranged()), sha256=None) == CONTENT
    )
    assert asked(server) == [None, f"bytes={HALF}-", None]


def test_a_url_without_the_file_gives_way_to_the_next_at_once(server, get):
    assert get(server.url("/gone", status(404)), server.url("/file", whole())) == CONTENT
    assert [note["path"] for note in server.seen] == ["/gone", "/file"]


def test_a_server_that_is_busy_is_asked_again(server, get):
    assert get(server.url("/file", status(503), status(500), whole())) == CONTENT


def test_one_url_goes_on_where_another_broke_off(server, get):
    first = server.url("/first", ranged(most=HALF), status(404))
    assert get(first, server.url("/second", ranged())) == CONTENT
    assert server.seen[-1]["path"] == "/second"
    assert server.seen[-1]["range"] == f"bytes={HALF}-"


@pytest.mark.parametrize(
    ("answer", "changes", "reason"),
    [
        (
            whole(OTHER),
            {},
            f"what the server sent has SHA-256 {sha256(OTHER)}, expected {sha256(CONTENT)}",
        ),
        (
            whole(CONTENT + b"more"),
            {"size": len(CONTENT)},
            f"what the server sent has {len(CONTENT) + 4} bytes, expected",
        ),
        (
            whole(CONTENT),
            {"sha256": None, "content_md5": "0" * 32},
            "what the server sent is not a whole gzip file",
        ),
        (whole(PAGE), {}, "the server sent a web page instead of the file;"),
        (whole(PAGE), {"size": len(CONTENT)}, "the server sent a web page instead of the file;"),
        (
            whole(PAGE),
            {"name": "set/file.zip", "sha256": None},
            "the server sent a web page instead of the file;",
        ),
        (
            status(302, Location="/login"),
            {"sha256": None},
            "the server sent a web page instead of the file;",
        ),
        (whole(b""), {}, "what the server sent is empty;"),
        (whole(b""), {"sha256": None}, "what the server sent is empty;"),
        (status(403), {}, "HTTP 403 Forbidden;"),
    ],
)
def test_a_wrong_answer_gives_way_to_the_next_url_and_leaves_nothing(
    server, folders, get, answer, changes, reason
):
    server.url("/login", whole(PAGE))
    url = server.url("/wrong", answer)
    with pytest.raises(UserError, match=re.escape(f"{url}: {reason}")) as raised:
        get(url, **changes)
    assert "\n" not in str(raised.value)
    assert [note["path"] for note in server.seen].count("/wrong") == 1
    assert files(folders) == []
    assert (
        get(
            url,
            server.url("/file", whole()),
            **{**changes, "sha256": sha256(CONTENT), "content_md5": None},
        )
        == CONTENT
    )


def test_a_size_that_no_answer_has_is_given_up(server, folders, get):
    with pytest.raises(
        UserError,
        match=f"what the server sent has {len(CONTENT)} bytes, expected {len(CONTENT) + 1};",
    ):
        get(server.url("/file", ranged()), size=len(CONTENT) + 1)
    assert files(folders) == []


def test_each_url_that_fails_is_named_with_its_reason_and_the_cure(server, folders, get, closed):
    gone = server.url("/gone", status(404))
    with pytest.raises(UserError) as raised:
        get(closed, gone, "http://*.x")
    assert str(raised.value) == (
        f"'{NAME}' cannot be downloaded; {closed}: no answer (Connection refused); {gone}: "
        f"HTTP 404 Not Found; http://*.x: "
        "URL has an invalid label.; "
        f"check the network, or put the file '{NAME}' in one of the data directories"
    )
    assert files(folders) == []


def test_a_file_where_the_folder_of_downloads_should_be_is_named(server, folders, get):
    folders[0].rmdir()
    folders[0].write_text("in the way")
    with pytest.raises(
        UserError,
        match=re.escape(
            f"cannot write {folders[0] / NAME}.part (Not a directory); make {folders[0]}"
        ),
    ):
        get(server.url("/file", whole()))
    assert server.seen == []


def test_two_fetches_at_once_download_once(server, folders, get):
    url = server.url("/file", late(ranged()))
    with ThreadPoolExecutor() as pool:
        copies = list(
            pool.map(lambda number: get(url, destination=folders[2] / f"copy{number}"), range(4))
        )
    assert copies == [CONTENT] * 4
    assert len(server.seen) == 1
    assert files(folders[:1]) == ["file.bin"]


def test_a_fetch_that_waited_for_one_that_failed_tries_itself(server, folders, get):
    url = server.url("/file", late(whole(OTHER)), ranged())
    with ThreadPoolExecutor() as pool:
        outcomes = [
            pool.submit(get, url, destination=folders[2] / f"copy{number}") for number in range(2)
        ]
    assert sorted(type(outcome.exception()).__name__ for outcome in outcomes) == [
        "NoneType",
        "UserError",
    ]
    assert (folders[0] / NAME).read_bytes() == CONTENT
    assert files(folders[:1]) == ["file.bin"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_progress_is_shown_on_a_terminal_only(server, get, monkeypatch, kind):
    monkeypatch.setattr(sys, "stderr", stderr := kind())
    get(server.url("/file", whole()))
    assert (NAME in stderr.getvalue()) == (kind is Terminal)
    assert kind is Terminal or stderr.getvalue() == ""
