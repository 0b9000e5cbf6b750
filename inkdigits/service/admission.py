"""Who may ask: the names that the service answers to, and the origins whose pages may use it.

A request's headers come in; a refusal, or the headers that a browser waits for, go out. A page that
somebody visits can send requests to services on the same machine. It cannot choose `Host`, `Origin`
and `Sec-Fetch-Site`, which the browser writes.
"""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers

from inkdigits.core.errors import BadValue
from inkdigits.service.responses import Refused

LOOPBACK = ("localhost", "127.0.0.1", "::1")
UNSPECIFIED = ("", "0.0.0.0", "::")  # noqa: S104 (addresses to listen on that are no names)
PREFLIGHT_SECONDS = "600"  # for which a browser need not ask again

# A request may say by this header that no form has sent it; its value is of no importance. So does
# the content type of a picture: forms send three others, and scripts of other pages have to ask
# before they send a header or content type of their own (a preflight).
NO_FORM_HEADER = "x-requested-with"
NO_FORM_TYPES = ("image/", "application/octet-stream")

# A name or an IPv4 address, or an IPv6 address in brackets.
HOST = r"[a-z0-9_](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\]"
AUTHORITY = re.compile(rf"({HOST})(?::\d{{1,5}})?", re.ASCII)
ORIGIN = re.compile(rf"https?://(({HOST})(?::\d{{1,5}})?)", re.ASCII)

# What every response says to browsers: pages of other origins may not embed it.
RESPONSE_HEADERS = [(b"cross-origin-resource-policy", b"same-origin")]


class Admission:
    """The hosts and origins from which requests are answered."""

    def __init__(
        self, host: str, allow_hosts: Iterable[str] = (), allow_origins: Iterable[str] = ()
    ) -> None:
        """Take in the options of `inkdigits serve`.

        Args:
            host: the address that the service listens on. If it is any address of the machine, and
                no name is allowed, every name is.
            allow_hosts: more names for the service, beside those of this machine's loopback.
            allow_origins: origins of pages that may use the service, such as https://example.org.

        Raises:
            BadValue: one of them is no name or origin.
        """
        allowed = [_name(allowed) for allowed in allow_hosts]
        self._hosts: frozenset[str] | None = frozenset(
            (*LOOPBACK, host.lower().strip("[]"), *allowed)
        )
        if host in UNSPECIFIED and not allowed:
            self._hosts = None

        self._origins = frozenset(_origin(origin) for origin in allow_origins)

    def refuse_unknown_host(self, headers: Headers) -> None:
        """Refuse a request that is meant for another host, as after DNS rebinding.

        Raises:
            Refused: its Host is missing, there are several, or it is no name of this service.
        """
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            message = f"a request has one Host header, and this one has {len(hosts)}"
            raise Refused(400, "bad_host", message)

        found = AUTHORITY.fullmatch(hosts[0].lower())
        name = found[1].strip("[]").rstrip(".") if found else None
        if name is None or not (self._hosts is None or name in self._hosts):
            message = "this service goes by another name than the request's Host"
            raise Refused(421, "unknown_host", f"{message}; --allow-host NAME adds one")

    def refuse_other_origins(self, headers: Headers) -> None:
        """Refuse a request that a page of another origin has sent, or may have.

        Browsers say where a request comes from. If neither header says it, the request has to be
        one that a page cannot send by a form.

        Raises:
            Refused: it is one.
        """
        origins = headers.getlist("origin")
        sites = headers.getlist("sec-fetch-site")
        if len(origins) == 1 and origins[0] in self._origins:
            return

        if not (origins or sites or _is_of_no_form(headers)):
            message = "a browser's form may have sent this; a client that is no browser says so"
            raise Refused(403, "other_origin", f"{message} with X-Requested-With: NAME")

        if not _is_same_origin(origins, sites, headers["host"]):
            message = "a page of another origin may not change anything here"
            raise Refused(403, "other_origin", f"{message}; --allow-origin ORIGIN lets it")

    def shared_with(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """Return the headers that let an allowed page see the response; none for other pages."""
        if not self._origins:
            return []

        vary = (b"vary", b"Origin")
        origin = headers.get("origin", "")
        if origin not in self._origins:
            return [vary]

        return [vary, (b"access-control-allow-origin", origin.encode())]

    def preflight(self, method: str, headers: Headers) -> dict[str, str] | None:
        """Return the headers of the answer to an allowed page that asks what it may send.

        Returns:
            None if the request asks something else, or is of another page.
        """
        asks = method == "OPTIONS" and "access-control-request-method" in headers
        if not asks or headers.get("origin") not in self._origins:
            return None

        return {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": PREFLIGHT_SECONDS,
        }


def _name(text: str) -> str:
    """Return the name of a host in lower case, an IPv6 address without brackets."""
    name = text.lower()
    bracketed = f"[{name}]" if ":" in name and not name.startswith("[") else name
    if not re.fullmatch(HOST, bracketed):
        raise BadValue(f"{text!r} is no name of a host; expected one such as digits.example.org")

    return name.strip("[]").rstrip(".")


def _origin(text: str) -> str:
    """Return an origin as browsers write it."""
    origin = text.lower().removesuffix("/")
    if not ORIGIN.fullmatch(origin):
        raise BadValue(f"{text!r} is no origin; expected one such as https://example.org")

    return origin


def _is_of_no_form(headers: Headers) -> bool:
    """Tell whether a request has a header that no form can send."""
    kind = headers.get("content-type", "").lower()
    return NO_FORM_HEADER in headers or kind.startswith(NO_FORM_TYPES)


def _is_same_origin(origins: list[str], sites: list[str], host: str) -> bool:
    """Tell whether `Origin` and `Sec-Fetch-Site`, if they are there, name the host's pages."""
    if not all(site in ("same-origin", "none") for site in sites):
        return False

    if origins == ["null"] and sites:  # a browser that keeps the origin to itself
        return True

    return all(_authority(origin) == host.lower() for origin in origins)


def _authority(origin: str) -> str | None:
    """Return the host and port of an origin, or None if it is none."""
    found = ORIGIN.fullmatch(origin.lower())
    return found[1] if found else None
