"""Sending, to real servers."""

import shutil
import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

import pytest

from air_pipeline.notifying import sending
from air_pipeline.notifying.messages import Message, trial_message
from air_pipeline.notifying.sending import Mail, SendError, channels
from air_pipeline.settings.notify import Email, Notify
from air_pipeline_tests.needs import go_without
from air_pipeline_tests.notifying.receivers import Hook, Post, certificate, mail_server

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
MESSAGE = trial_message("0123abcd", ZoneInfo("Europe/Warsaw"), NOW, "attic")
PASSWORD = {"AIR_PIPELINE_SMTP_PASSWORD": "pass-w0rd"}


def webhook(address, **variables):
    [way] = channels(Notify((address,)), variables)
    return way


def by_mail(port, *, security="plain", user=None, variables=None, to=("me@example.org",)):
    return Mail(Email(to, "air@example.org", "127.0.0.1", port, security, user), variables or {})


def refused(way):
    with pytest.raises(SendError) as raised:
        way.send(MESSAGE)
    assert "secret" not in str(raised.value)
    assert "pass-w0rd" not in str(raised.value)
    return str(raised.value)


def read(mail):
    return mail.get_content().replace("\r\n", "\n").removesuffix("\n")


@pytest.fixture
def tls(tmp_path, monkeypatch):
    """A server's context with a certificate that this process trusts."""
    if not shutil.which("openssl"):
        go_without("there is no openssl to make a certificate")
    context, trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    return context


def test_a_webhook_gets_the_message_as_json():
    with Hook() as hook:
        assert webhook(hook.url()).send(MESSAGE) == "status 200"
    [(path, headers)], [body] = hook.requests, hook.bodies
    assert path == "/hook/very-secret"
    assert headers["Content-Type"] == "application/json"
    assert Message.from_body(body) == MESSAGE
    assert body["at"] == "2026-03-20T13:00:00+01:00"


@pytest.mark.parametrize("status", [201, 202, 204])
def test_any_status_of_success_is_success(status):
    with Hook(status) as hook:
        assert webhook(hook.url()).send(MESSAGE) == f"status {status}"


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_any_other_status_is_told(status):
    with Hook(status) as hook:
        host = f"127.0.0.1:{hook.server.server_port}"
        assert refused(webhook(hook.url())).startswith(f"webhook {host} answered {status}; see that the address")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status):
    with Hook(status) as hook:
        assert "a redirect; write the address that it leads to" in refused(webhook(hook.url()))
        assert [path for path, _ in hook.requests] == ["/hook/very-secret"]


@pytest.mark.parametrize("status", [407, 502, 503, 504])
def test_what_a_proxy_says_is_the_proxy_s(status, monkeypatch):
    with Hook(status, status) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.url().split(':')[2].split('/')[0]}")
        said = refused(webhook("http://hook.example/very-secret"))
        assert f"the proxy of the environment answered {status}" in said
        assert "NO_PROXY" in said
        monkeypatch.delenv("HTTP_PROXY")
        assert "see that the address is right" in refused(webhook(proxy.url()))


def test_an_address_can_be_a_secret_of_the_environment():
    with Hook() as hook:
        way = webhook("$MY_HOOK", MY_HOOK=hook.url())
        assert way.name == "webhook $MY_HOOK"
        way.send(MESSAGE)
        assert len(hook.bodies) == 1
    assert refused(way).startswith("webhook $MY_HOOK cannot be reached (Connection refused)")
    assert refused(webhook("$MY_HOOK")).startswith("$MY_HOOK is not set; set it to the webhook's address")
    assert refused(webhook("$MY_HOOK", MY_HOOK="secret")).startswith("$MY_HOOK of the environment is no address; ")


def test_addresses_of_one_host_have_names_of_their_own_without_paths():
    ways = channels(Notify(("https://a/one", "https://b/two", "https://a/three", "$A")), {})
    assert [way.name for way in ways] == ["webhook a", "webhook b", "webhook a (2)", "webhook $A"]


def test_a_host_that_nobody_knows_is_told():
    said = refused(webhook("http://nowhere.invalid/secret"))
    assert said.startswith("webhook nowhere.invalid cannot be reached (")


def test_a_webhook_that_hangs_is_left(monkeypatch):
    monkeypatch.setattr(sending, "WAIT_S", 0.2)
    with Hook(None) as hook:
        assert refused(webhook(hook.url())).endswith("did not answer within 0.2 s")


def test_a_mail_is_what_a_person_and_a_program_expect():
    with mail_server(post := Post()) as port:
        assert by_mail(port, to=("me@example.org", "you@example.org")).send(MESSAGE) == "taken"
    [mail], [envelope] = post.mails, post.envelopes
    assert envelope.rcpt_tos == ["me@example.org", "you@example.org"]
    assert envelope.mail_from == "air@example.org"
    assert mail["Subject"] == "air: a test"
    assert mail["Message-ID"] == "<0123abcd@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(mail["Date"]) == NOW
    assert read(mail) == MESSAGE.text


def test_a_mail_says_what_is_not_ascii():
    message = Message.from_body({**MESSAGE.to_body(), "title": "air: ° µg/m³ …", "text": "Łódź: 20 °C\n" * 100 + "."})
    with mail_server(post := Post()) as port:
        by_mail(port).send(message)
    assert post.mails[0]["Subject"] == "air: ° µg/m³ …"
    assert read(post.mails[0]) == message.text


def test_starttls_protects_the_password(tls):
    with mail_server(post := Post(logins={"me": "pass-w0rd"}), tls) as port:
        by_mail(port, security="starttls", user="me", variables=PASSWORD).send(MESSAGE)
    assert post.tried == [("me", "pass-w0rd")]
    assert len(post.mails) == 1


def test_tls_from_the_first_byte(tls):
    with mail_server(post := Post(logins={"me": "pass-w0rd"}), tls, tls_from_the_start=True) as port:
        by_mail(port, security="tls", user="me", variables=PASSWORD).send(MESSAGE)
    assert len(post.mails) == 1


def test_a_certificate_that_nobody_trusts_gets_no_mail_and_no_password(tls, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with mail_server(post := Post(logins={"me": "pass-w0rd"}), tls) as port:
        said = refused(by_mail(port, security="starttls", user="me", variables=PASSWORD))
    assert "its certificate is not trusted: self-signed certificate" in said
    assert (post.tried, post.mails) == ([], [])


def test_a_server_without_tls_gets_no_mail_and_no_password():
    with mail_server(post := Post(), no_password_without_tls=False) as port:
        said = refused(by_mail(port, security="starttls", user="me", variables=PASSWORD))
    assert said.startswith("mail by 127.0.0.1 offers no STARTTLS; write smtps:// before it in devices.yaml")
    assert (post.tried, post.mails) == ([], [])


def test_a_wrong_or_missing_password_is_told(tls):
    with mail_server(post := Post(logins={"me": "another"}), tls) as port:
        wrong = refused(by_mail(port, security="starttls", user="me", variables=PASSWORD))
        missing = refused(by_mail(port, security="starttls", user="me"))
    assert wrong == "mail by 127.0.0.1 refuses user or password (535); see $AIR_PIPELINE_SMTP_PASSWORD"
    assert missing.startswith("mail by 127.0.0.1 needs a password: set $AIR_PIPELINE_SMTP_PASSWORD and start again")
    assert post.mails == []


def test_people_whom_the_server_does_not_know_are_told():
    with mail_server(post := Post(refused={"you@example.org"})) as port:
        said = by_mail(port, to=("me@example.org", "you@example.org")).send(MESSAGE)
        assert said == "taken, but not for you@example.org: 550"
        nobody = refused(by_mail(port, to=("you@example.org",)))
    assert nobody == "mail by 127.0.0.1 takes mail for nobody in `to` (you@example.org: 550)"
    assert len(post.mails) == 1


def test_what_a_mail_server_says_is_one_line_of_text():
    with mail_server(Post(says="554 no\x1b[2J\x07 spam")) as port:
        assert refused(by_mail(port)) == r"mail by 127.0.0.1 answered 554: no\x1b[2J\x07 spam"


def test_a_mail_server_that_is_away_or_hangs_is_told(monkeypatch):
    monkeypatch.setattr(sending, "WAIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert refused(by_mail(port)).startswith("mail by 127.0.0.1 cannot be used (no answer within 0.2 s)")
    assert refused(by_mail(port)).startswith("mail by 127.0.0.1 cannot be used (Connection refused)")
