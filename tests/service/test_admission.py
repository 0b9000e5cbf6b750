"""Pages of other origins and names that the service does not go by are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import FORM as FORM_TYPE
from serving import PICTURE, Server, form, serving
from starlette.datastructures import Headers

from inkdigits.command import cli
from inkdigits.core.errors import BadValue
from inkdigits.service.admission import Admission
from inkdigits.service.application import _log
from inkdigits.service.responses import Refused

HOST = "127.0.0.1:8000"


def headers(*lines: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in lines])


def status_of(admission: Admission, *hosts: str) -> int:
    try:
        admission.refuse_unknown_host(headers(*(("host", host) for host in hosts)))
    except Refused as refused:
        return refused.status
    return 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("127.0.0.1", 200),
        ("LocalHost:8000", 200),
        ("localhost.", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7:8000", 200),
        ("digits.example.org", 200),
        ("digits.example.org:443", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1@evil.example", 421),
        ("127.0.0.1:8000, evil.example", 421),
        ("", 421),
        ("localhost:port", 421),
    ],
)
def test_only_names_of_the_service_are_answered(host: str, status: int) -> None:
    admission = Admission("192.168.1.7", ["Digits.example.org"])
    assert status_of(admission, host) == status


def test_a_missing_or_a_second_host_is_refused() -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        assert status_of(Admission(host)) == 400
        assert status_of(Admission(host), "localhost", "localhost") == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_any_name_is_answered_on_all_addresses_unless_some_are_named(host: str) -> None:
    assert status_of(Admission(host), "school.example") == 200
    assert status_of(Admission(host, ["school.example"]), "school.example") == 200
    assert status_of(Admission(host, ["school.example"]), "evil.example") == 421


OTHER = ("origin", "http://evil.example")
OURS = ("origin", f"http://{HOST}")
FORM = ("content-type", "multipart/form-data; boundary=edge")
ALLOWED = ("origin", "https://school.example")


@pytest.mark.parametrize(
    ("sent", "refused"),
    [
        ([("content-type", "image/png")], False),  # a program
        ([("content-type", "Application/Octet-Stream")], False),
        ([FORM, ("x-requested-with", "curl")], False),
        ([FORM, OURS], False),
        ([OURS], False),
        ([OURS, ("sec-fetch-site", "same-origin")], False),
        ([("origin", "null"), ("sec-fetch-site", "same-origin")], False),
        ([ALLOWED, ("sec-fetch-site", "cross-site")], False),
        ([], True),  # a browser that says nothing, of a form or of a blob without a type
        ([FORM], True),
        ([("content-type", "text/plain; x=image/png")], True),
        ([OTHER], True),
        ([OTHER, ("content-type", "image/png"), ("x-requested-with", "curl")], True),
        ([("origin", "null")], True),
        ([("origin", "")], True),
        ([("origin", f"http://{HOST}.evil.example")], True),
        ([("origin", "http://127.0.0.1:8001")], True),
        ([OURS, OTHER], True),
        ([ALLOWED, OTHER], True),
        ([OTHER, ("sec-fetch-site", "same-origin")], True),
        ([("sec-fetch-site", "cross-site")], True),
        ([("sec-fetch-site", "same-site")], True),
        ([("origin", "null"), ("sec-fetch-site", "cross-site")], True),
        ([OURS, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], True),
    ],
)
def test_pages_of_other_origins_change_nothing(sent: list, refused: bool) -> None:
    admission = Admission("127.0.0.1", allow_origins=["https://School.example/"])
    asked = headers(("host", HOST), *sent)
    if not refused:
        admission.refuse_other_origins(asked)
        return

    with pytest.raises(Refused, match=r"a page of another origin|a browser's form may") as error:
        admission.refuse_other_origins(asked)
    assert error.value.status == 403


@pytest.mark.parametrize("name", ["", "http://a.example", "a.example:80", "a b", "a\nb", "*"])
def test_what_is_no_name_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(BadValue, match="is no name of a host"):
        Admission("127.0.0.1", [name])


@pytest.mark.parametrize("origin", ["*", "null", "a.example", "ftp://a.example", "http://a/b"])
def test_what_is_no_origin_is_refused(origin: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--allow-origin", origin]) == 2
    expected = f"inkdigits: {origin!r} is no origin; expected one such as https://example.org\n"
    assert capsys.readouterr().err == expected


# ---- the service


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file: Path = tmp_path_factory.mktemp("collected") / "file"
    options = ("--allow-host", "digits.example", "--allow-origin", "https://school.example")
    with serving("--model", "nano", "--collect", file, *options) as server:
        yield server


def ask(server: Server, path: str, method: str = "GET", **sent: str):
    named = {name.replace("_", "-"): value for name, value in sent.items()}
    body = PICTURE if method == "POST" else None
    return server.ask(method, path, body, "image/png" if body else None, **named)


def test_a_page_elsewhere_stores_no_correction(server: Server) -> None:
    path = "/v1/feedback?label=7&box=0,0,1,1"
    evil = {"Origin": "http://evil.example", "Sec_Fetch_Site": "cross-site"}
    assert ask(server, path, "POST", **evil).error[:2] == (403, "other_origin")
    assert ask(server, path, "POST").error[:2] == (422, "no_such_digit")

    filled = form(('name="file"', PICTURE))
    refused = server.post(filled, path, FORM_TYPE).error
    assert refused[:2] == (403, "other_origin")
    assert "X-Requested-With" in refused[2]
    told = server.ask("POST", path, filled, FORM_TYPE, **{"X-Requested-With": "test"})
    assert told.error[:2] == (422, "no_such_digit")

    assert ask(server, path, "POST", Origin=server.address.rstrip("/")).status == 422
    assert ask(server, path, "POST", Origin="https://school.example").status == 422


def test_another_host_is_answered_with_our_error(server: Server) -> None:
    for path in ("/", "/healthz", "/v1/read", "/nowhere"):
        assert ask(server, path, Host="evil.example").error[:2] == (421, "unknown_host")

    assert ask(server, "/healthz", Host="digits.example").status == 200
    assert server.raw(b"GET / HTTP/1.1\r\n\r\n").error[:2] == (400, "bad_host")
    twice = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    assert server.raw(twice).error[:2] == (400, "bad_host")


def test_only_allowed_origins_share_responses(server: Server) -> None:
    allowed = ask(server, "/healthz", Origin="https://school.example")
    assert allowed.headers["access-control-allow-origin"] == "https://school.example"
    assert allowed.headers["vary"] == "Origin"

    asking = {"Access_Control_Request_Method": "POST"}
    answer = ask(server, "/v1/read", "OPTIONS", Origin="https://school.example", **asking)
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["access-control-allow-origin"] == "https://school.example"

    for origin in ("https://evil.example", "null", "https://school.example.evil"):
        assert "access-control-allow-origin" not in ask(server, "/healthz", Origin=origin).headers
        refused = ask(server, "/v1/read", "OPTIONS", Origin=origin, **asking)
        assert refused.status == 405
        assert "access-control-allow-origin" not in refused.headers


def test_without_the_option_nothing_is_shared() -> None:
    admission = Admission("127.0.0.1")
    asked = headers(("origin", "http://127.0.0.1"), ("access-control-request-method", "POST"))
    assert admission.shared_with(asked) == []
    assert admission.preflight("OPTIONS", asked) is None


def test_the_log_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    _log("not stored: \x1b[2J\x07a\r\nb\x9bc\u202ed")
    assert capsys.readouterr().err == "inkdigits: not stored: [2J a b c d\n"
