"""What no page of anybody can have a browser send passes the guard, and what the UI's own pages send does."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.routing import Match, Route

from air_pipeline.running.guard import SAY_EVERY_S, Refusals, why_not
from air_pipeline.running.hosts import HostError, check_host, proxy_names, url_of

EVERYWHERE = "0.0.0.0"  # noqa: S104 - as an address to listen at, which no request should name
NAMES = frozenset({"air.example.org", "192.168.1.5", "fd00::5"})
GRAPHQL = Route("/graphql", lambda _: None, methods=["GET", "POST"])


def scope(
    method: str = "GET",
    path: str = "/",
    headers: Iterable[tuple[str, str]] | Mapping[str, str] = (),
    kind: str = "http",
) -> dict[str, object]:
    """A request as the server has it: no header of its own."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    return {"type": kind, "path": path, "headers": raw} | ({"method": method} if kind == "http" else {})


class Place(NamedTuple):
    """An origin, as browsers have it."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        return self.host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


HOSTS = ("127.0.0.1", "localhost", "[::1]", "localhost.", "air.example.org", "192.168.1.5", "[fd00::5]", "evil.example")
places = st.builds(
    Place, st.sampled_from(["http", "https"]), st.sampled_from(HOSTS), st.sampled_from([80, 443, 3000, 8900])
)
paths = st.sampled_from(["/", "/graphql", "/graphql\n", "/GraphQL", "//graphql", "/assets/a", "/server_info",
                         "/report_asset_materialization/a", "/_next/static/media/tool-graphql-color.svg"])  # fmt: skip
accepts = st.sampled_from(["*/*", "text/html,*/*;q=0.8", "image/avif,image/*", "application/json"])
# What a page may say of a body without an OPTIONS before: these three, with anything after them; or the browser's own.
simple_types = st.builds(
    lambda kind, rest: {"content-type": kind + rest},
    st.sampled_from(["text/plain", "Text/Plain", "multipart/form-data", "application/x-www-form-urlencoded"]),
    st.sampled_from(["", ";", "; application/json", ";charset=application/json", '; a="application/json"']),
)
own_types = st.sampled_from(["text/ping", "application/csp-report", "application/reports+json"])
types = simple_types | own_types.map(lambda kind: {"content-type": kind}) | st.just({})


@st.composite
def asked_by_a_page(draw: st.DrawFn, page: Place | None, target: Place) -> dict[str, object]:
    """Any request that a page at a place (None: one without, as in a sandbox or a file) can make a browser send."""
    same = page == target
    how = draw(st.sampled_from(["part", "cors", "post", "form", "frame", "tab", "other", "socket"]))
    origin = {"origin": str(page) if page else "null"}
    headers = {"host": target.netloc, "accept": draw(accepts)}
    method, mode, dest = "GET", "no-cors", draw(st.sampled_from(["image", "script", "style", "empty", "object"]))
    if how == "cors":
        mode, dest, headers = "cors", "empty", headers | origin
    elif how == "post":
        method, dest, headers = "POST", "empty", headers | origin | draw(types)
    elif how == "form":
        method, mode, dest = "POST", "navigate", draw(st.sampled_from(["document", "iframe"]))
        headers |= origin | draw(simple_types)
    elif how == "frame":
        mode, dest = "navigate", draw(st.sampled_from(["iframe", "frame", "embed", "object"]))
    elif how == "tab":
        mode, dest = "navigate", "document"
        headers["accept"] = "text/html,*/*;q=0.8"  # which no page chooses for a tab
    elif how == "other":  # whatever else a page wants to send, the browser asks for first
        method, mode, dest, headers = "OPTIONS", "cors", "empty", headers | origin
        headers |= {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    elif how == "socket":
        mode, dest, headers = "websocket", "empty", headers | origin
    if draw(st.booleans()):  # browsers of today, and where they trust the address
        site = "same-origin" if same else draw(st.sampled_from(["same-site", "cross-site"]))
        headers |= {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    return scope(method, draw(paths), headers, "websocket" if how == "socket" else "http")


def changes_nothing(asked: Mapping[str, object]) -> bool:
    """Whether Dagster only shows something: no GraphQL is run and nothing is reported."""
    if asked["type"] == "websocket" or asked["method"] not in {"GET", "HEAD"}:
        return False
    runs_graphql = (
        GRAPHQL.matches(dict(asked))[0] is Match.FULL and b"text/html" not in dict(asked["headers"])[b"accept"]
    )  # type: ignore[call-overload]
    return not runs_graphql


@given(st.data(), places | st.none(), places)
def test_no_page_of_another_place_can_change_or_hear_anything(
    data: st.DataObject, page: Place | None, target: Place
) -> None:
    # What is at one port of a host is one server, whatever the scheme; so are a proxy's http and https at their own.
    assume(page is None or page.host != target.host or (page.port != target.port and page.netloc != target.netloc))
    asked = data.draw(asked_by_a_page(page, target))
    assert why_not(asked, NAMES) or changes_nothing(asked)


@given(st.data(), places)
def test_a_name_that_is_not_the_ui_s_is_refused_to_its_own_page_too(data: st.DataObject, place: Place) -> None:
    """Whoever can make his own name lead to this machine makes his pages and the UI one place."""
    there = place._replace(host=data.draw(st.sampled_from(["evil.example", "127.0.0.1.evil.example", "localhost.evil",
                                                           "xlocalhost", EVERYWHERE, "10.0.0.1"])))  # fmt: skip
    asked = data.draw(asked_by_a_page(there, there))
    assert why_not(asked, NAMES) or asked["path"] == "/server_info"


@given(st.data(), places)
def test_the_ui_s_own_pages_get_what_they_ask_for(data: st.DataObject, place: Place) -> None:
    assume(place.host != "evil.example")
    own = data.draw(asked_by_a_page(place, place))
    headers = [(name.decode(), value.decode()) for name, value in own["headers"]]  # type: ignore[attr-defined]
    if own["type"] == "websocket":
        assert why_not(own, NAMES) is None
    elif own["method"] == "POST":
        as_json = [(n, v) for n, v in headers if n != "content-type"] + [("content-type", "application/json")]
        assert why_not(scope("POST", "/graphql", as_json), NAMES) is None
    elif own["method"] == "GET" and "raphql" not in str(own["path"]).lower():
        assert why_not(own, NAMES) is None


@given(
    st.sampled_from(["http", "websocket"]),
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT"]),
    st.text(),
    st.lists(
        st.tuples(
            st.sampled_from(["host", "Host", "origin", "content-type", "sec-fetch-site", "accept", "x"]),
            st.sampled_from(["", "localhost:3000", "http://localhost:3000", "application/json", "evil.example", "null"])
            | st.text(st.characters(max_codepoint=255)),
        )
    ),
)
def test_whatever_is_sent_is_decided_and_only_our_names_pass(
    kind: str, method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    reason = why_not(scope(method, path, headers, kind), NAMES)
    if reason is None and path != "/server_info":
        [host] = [value for name, value in headers if name.lower() == "host"]
        assert host.strip().lower().startswith(("localhost", "127.", "[::1]", *NAMES, "[fd00"))
    assert reason is None or (reason.isprintable() and len(reason) < 1000)


def ask(method: str = "GET", path: str = "/", kind: str = "http", /, **headers: str | None) -> str:
    """The reason for a refusal, empty if there is none; `host` is localhost:3000 unless it is given."""
    given = {"host": "localhost:3000"} | headers
    named = {name.replace("_", "-"): value for name, value in given.items() if value is not None}
    return why_not(scope(method, path, named, kind), NAMES) or ""


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:3000", "localhost.:3000", "127.0.0.1:1", "127.9.9.9", "[::1]:3000", "[0:0::1]",
     "air.example.org", "Air.Example.ORG.:8443", "192.168.1.5:3000", "[FD00::5]:3000"],
)  # fmt: skip
def test_the_ui_answers_to_this_machine_and_to_the_names_of_its_proxies_at_any_port(host: str) -> None:
    assert ask(host=host) == ""


@pytest.mark.parametrize(
    "host",
    [None, "", " ", "evil.example", "localhost.evil.example", "evil.example:localhost", "localhost:3000:1",
     "localhost:", EVERYWHERE, "[::]", "[::1", "::1", "127.1", "2130706433", "127.0.0.01", "a@localhost", "localhost/",
     "localhost,evil", "[::ffff:192.168.1.9]", "xair.example.org", "air.example.org..", "192.168.1.50",
     "localhost\t:1"],
)  # fmt: skip
def test_no_other_host_is_answered(host: str | None) -> None:
    assert ask(host=host)


def test_a_probe_by_address_learns_that_it_is_there_and_nothing_else() -> None:
    assert ask("GET", "/server_info", host="10.1.1.1:3000") == ""
    assert ask("GET", "/server_info/", host="10.1.1.1:3000")
    assert ask("POST", "/server_info", host="10.1.1.1:3000")
    assert ask("GET", "/server_info", host="10.1.1.1:3000", origin="http://10.1.1.2")


def test_a_header_that_decides_is_said_once() -> None:
    for name, value in {"host": "localhost", "origin": "http://localhost", "content-type": "application/json"}.items():
        twice = [("host", "localhost"), ("content-type", "application/json"), (name, value), (name, value)]
        assert f"the header {name} twice" in str(why_not(scope("POST", "/graphql", twice), NAMES))


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_an_origin_is_what_was_asked_for_to_the_letter(kind: str) -> None:
    good = [("localhost:3000", "http://localhost:3000"), ("air.example.org", "https://air.example.org"),
            ("air.example.org:443", "https://air.example.org"), ("[::1]:3000", "http://[::1]:3000")]  # fmt: skip
    for host, origin in good:
        assert ask("GET", "/graphql", kind, host=host, origin=origin, accept="text/html") == ""
    bad = ["null", "", "http://localhost:3001", "http://localhost", "http://127.0.0.1:3000", "http://evil.example",
           "http://localhost:3000.evil.example", "http://evil@localhost:3000", "chrome-extension://localhost:3000",
           "localhost:3000", "http://localhost:3000 http://evil.example", "file://",
           "http://localhost.:3000"]  # fmt: skip
    for origin in bad:
        assert ask("GET", "/graphql", kind, origin=origin, accept="text/html"), origin


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"])
def test_a_post_of_json_passes(content_type: str) -> None:
    assert ask("POST", "/graphql", content_type=content_type) == ""


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "text/plain; application/json", "application/json-patch+json", "application/graphql",
     "application/json, text/plain", "multipart/form-data; boundary=application/json"],
)  # fmt: skip
def test_no_other_post_does(content_type: str | None) -> None:
    assert "must be JSON" in ask("POST", "/report_asset_materialization/a", content_type=content_type)


@pytest.mark.parametrize("path", ["/graphql", "/graphql\n", "/graphql/", "/GraphQL", "/under/graphql"])
def test_graphql_is_not_answered_by_get_but_its_page_is(path: str) -> None:
    for method in ("GET", "HEAD"):
        assert "GraphQL" in ask(method, path, accept="*/*")
        assert "GraphQL" in ask(method, path)
        assert ask(method, path, accept="text/html") == ""


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", ""])
def test_no_other_method_passes(method: str) -> None:
    assert ask(method)


def test_only_a_tab_is_opened_from_elsewhere() -> None:
    for site in ("cross-site", "same-site", "anything", ""):
        elsewhere = {"sec_fetch_site": site, "accept": "text/html"}
        assert ask(**elsewhere, sec_fetch_mode="navigate", sec_fetch_dest="document") == ""
        assert ask(**elsewhere, sec_fetch_mode="navigate", sec_fetch_dest="iframe")
        assert ask(**elsewhere, sec_fetch_mode="no-cors", sec_fetch_dest="document")
        assert ask(**elsewhere)
        assert ask("GET", "/", "websocket", **elsewhere, sec_fetch_mode="navigate", sec_fetch_dest="document")
        json = {**elsewhere, "content_type": "application/json"}
        assert ask("POST", "/graphql", **json, sec_fetch_mode="navigate", sec_fetch_dest="document")
    for site in ("same-origin", "none"):
        assert ask(sec_fetch_site=site, sec_fetch_mode="cors", sec_fetch_dest="empty") == ""


def test_what_is_no_browser_needs_neither_origin_nor_fetch_metadata() -> None:
    assert ask("POST", "/graphql", content_type="application/json") == ""
    assert ask("GET", "/graphql", "websocket") == ""


def test_a_refusal_says_what_to_do() -> None:
    assert "--behind-proxy air.example.net" in ask(host="Air.example.net.:8443")
    assert "AIR_PIPELINE_BEHIND_PROXY=air.example.net" in ask(host="air.example.net")
    assert "proxy_set_header Host $http_host" in ask("POST", "/graphql", origin="https://air.example.org")
    assert "a page of evil.example and not of localhost:3000" in ask(origin="http://evil.example")
    assert "<" not in ask(host="<script>") + ask(origin="http://<script>")


def test_refusals_are_told_now_and_then_and_counted() -> None:
    said: list[str] = []
    now = 0.0
    refusals = Refusals(said.append, lambda: now)
    for _ in range(1000):
        refusals.note(scope("GET", "/\n\x1b[31m" + "x" * 9000), "So it is.")
    [first] = said
    assert first.isprintable()
    assert len(first) < 300
    now += SAY_EVERY_S
    refusals.note(scope("GET", "/graphql", kind="websocket"), "So it is.")
    assert said[1:] == ["refused 'WebSocket /graphql': So it is. (999 more since the last one that was told)"]


@pytest.mark.parametrize(
    ("given", "name"),
    [("air.example.org", "air.example.org"), (" AIR.example.org. ", "air.example.org"), ("fd00::5", "fd00::5"),
     ("[FD00:0::5]", "fd00::5"), ("192.168.1.5", "192.168.1.5"), ("łąka.example", "xn--ka-ola7v.example")],
)  # fmt: skip
def test_a_proxy_s_name_is_taken_as_browsers_send_it(given: str, name: str) -> None:
    assert proxy_names([given]) == {name}


@pytest.mark.parametrize(
    "given", ["", "*", "https://air.example.org", "air.example.org:8443", "a,b", "a/b", "*.a", "[::1]:3"]
)
def test_what_is_no_name_is_refused_in_a_sentence(given: str) -> None:
    with pytest.raises(HostError, match=r"is no name of a host; give what stands between"):
        proxy_names([given])


def test_the_ui_is_offered_to_a_network_only_behind_a_proxy() -> None:
    for here in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        check_host(here, 3000, frozenset(), "station")
    for elsewhere in (EVERYWHERE, "::", "192.168.1.5", "station", "localhost.evil.example", ""):
        with pytest.raises(HostError, match=r"ssh -L 3001:127\.0\.0\.1:3001 station") as refused:
            check_host(elsewhere, 3001, frozenset(), "station")
        assert "--behind-proxy" in str(refused.value)
        check_host(elsewhere, 3001, NAMES, "station")


def test_what_listens_everywhere_is_asked_on_loopback() -> None:
    assert [url_of(host, 3000) for host in (EVERYWHERE, "::", "", "::1", "127.0.0.1", "192.168.1.5")] == [
        "http://127.0.0.1:3000", "http://[::1]:3000", "http://127.0.0.1:3000", "http://[::1]:3000",
        "http://127.0.0.1:3000", "http://192.168.1.5:3000",
    ]  # fmt: skip
