"""Sending a message: by HTTP POST to a webhook, by SMTP to a mail server.

Belongs here: one attempt, and what went wrong with it in a sentence without secrets. Does not: trying again
(`telling`).
"""

import os
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from air_pipeline.errors import AirPipelineError
from air_pipeline.notifying.messages import Message
from air_pipeline.settings.notify import Email, Notify
from air_pipeline.settings.values import is_address
from air_pipeline.showing import plain

PASSWORD = "AIR_PIPELINE_SMTP_PASSWORD"  # noqa: S105 -- the variable's name
WAIT_S = 10.0
"""How long a server may be silent."""
_OF_PROXIES = frozenset(
    {
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What a proxy says by itself where it does not reach the server."""


class SendError(AirPipelineError):
    """A message was not sent; the message says why and what to do, without secrets."""


class Channel(Protocol):
    """A way to the person."""

    @property
    def name(self) -> str:
        """What it is called, here and in what is remembered; without secrets."""
        ...

    def send(self, message: Message) -> str:
        """Sends a message once; gives what the other side said.

        Raises:
            SendError: it was not sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that takes the message as JSON.

    Attributes:
        name: without its path, which may be a secret.
        address: as in the settings.
        variables: where `$NAME` is looked up.
    """

    name: str
    address: str
    variables: Mapping[str, str]

    def send(self, message: Message) -> str:
        """POSTs the message; any status from 200 to 299 is success. Redirects are not followed.

        Raises:
            SendError: anything else, or no answer.
        """
        import requests  # 0.1 s and 16 MB: the definitions are spared them

        url = self._url()
        try:
            answer = requests.post(
                url,
                json=message.to_body(),
                headers={"User-Agent": "air_pipeline"},
                timeout=WAIT_S,
                allow_redirects=False,
                stream=True,  # the status is enough
            )
        except requests.Timeout:
            raise SendError(f"{self.name} did not answer within {WAIT_S:g} s") from None
        except requests.RequestException as error:  # its text has the address in it
            raise SendError(f"{self.name} cannot be reached ({_reason(error)})") from None
        with answer:
            status = answer.status_code
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return f"status {status}"
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise SendError(f"{self.name} answered {status}, a redirect; write the address that it leads to")
        if status in _OF_PROXIES and requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)):
            raise SendError(
                f"{self.name} was not reached: the proxy of the environment answered {status}; name its host in"
                " NO_PROXY, or see to the proxy (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY)"
            )
        raise SendError(f"{self.name} answered {status}; see that the address is right and what the server says of it")

    def _url(self) -> str:
        if not self.address.startswith("$"):
            return self.address
        url = self.variables.get(self.address[1:], "").strip()
        if not is_address(url):
            missing = f"{self.address} of the environment is no address" if url else f"{self.address} is not set"
            raise SendError(f"{missing}; set it to the webhook's address, as https://example.org/hook, and start again")
        return url


def _reason(error: BaseException) -> str:
    """Why there was no answer, from the innermost error, as the texts of the outer ones name the address."""
    found = type(error).__name__
    seen: list[BaseException] = [error]
    for one in seen:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {one.verify_message}"
        if isinstance(one, TimeoutError):
            return f"no answer within {WAIT_S:g} s"
        if isinstance(one, smtplib.SMTPServerDisconnected):
            found = "it closed the connection"
        if isinstance(one, OSError) and one.strerror:
            found = one.strerror
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        seen.extend(more for more in inner if isinstance(more, BaseException) and more not in seen)
    return found


@dataclass(frozen=True, slots=True)
class Mail:
    """Mail by a server of the settings.

    Attributes:
        email: where to, and by which server.
        variables: where the password is looked up.
    """

    email: Email
    variables: Mapping[str, str]

    @property
    def name(self) -> str:
        """The mail server."""
        return f"mail by {self.email.host}"

    def send(self, message: Message) -> str:
        """Sends one mail to everybody. A password goes only over TLS.

        Raises:
            SendError: the server was not there, refused something or everybody, or offers no TLS.
        """
        try:
            with self._connected() as server:
                self._log_in(server)
                refused = server.send_message(mail(message, self.email))
        except smtplib.SMTPRecipientsRefused as error:
            raise SendError(f"{self.name} takes mail for nobody in `to` ({_codes(error.recipients)})") from None
        except smtplib.SMTPAuthenticationError as error:
            raise SendError(f"{self.name} refuses user or password ({error.smtp_code}); see ${PASSWORD}") from None
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error if isinstance(error.smtp_error, str) else error.smtp_error.decode(errors="replace")
            raise SendError(f"{self.name} answered {error.smtp_code}: {plain(' '.join(said.split()))[:200]}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise SendError(f"{self.name} cannot be used ({_reason(error)}); see `server` in devices.yaml") from None
        return f"taken, but not for {_codes(refused)}" if refused else "taken"

    def _connected(self) -> smtplib.SMTP:
        host, port, here = self.email.host, self.email.port, socket.gethostname()
        if self.email.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, local_hostname=here, timeout=WAIT_S, context=context)
        return smtplib.SMTP(host, port, local_hostname=here, timeout=WAIT_S)

    def _log_in(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        if self.email.security == "starttls":
            if not server.has_extn("starttls"):
                raise SendError(
                    f"{self.name} offers no STARTTLS; write smtps:// before it in devices.yaml for TLS from the start,"
                    " or plain:// for no encryption"
                )
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        if self.email.user is not None:
            password = self.variables.get(PASSWORD, "")
            if not password:
                raise SendError(f"{self.name} needs a password: set ${PASSWORD} and start again, or leave out `user`")
            try:
                server.login(self.email.user, password)
            except (smtplib.SMTPNotSupportedError, UnicodeError):
                raise SendError(f"{self.name} takes no password in a way that is known; leave out `user`") from None


def _codes(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{address}: {code}" for address, (code, _) in sorted(refused.items()))


def mail(message: Message, email: Email) -> EmailMessage:
    """A message as mail; sent twice it has the same Message-ID."""
    made = EmailMessage()
    made["Subject"] = message.title
    made["From"] = email.sender
    made["To"] = ", ".join(email.to)
    made["Date"] = format_datetime(datetime.fromisoformat(message.at))
    made["Message-ID"] = f"<{message.id}@{email.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.text)
    return made


def channels(notify: Notify, variables: Mapping[str, str] | None = None) -> list[Channel]:
    """The ways to the person, with the secrets of the environment (that of the process by default)."""
    known = os.environ if variables is None else variables
    found: list[Channel] = [
        Webhook(name, address, known) for name, address in zip(_names(notify.webhooks), notify.webhooks, strict=True)
    ]
    if notify.email is not None:
        found.append(Mail(notify.email, known))
    return found


def _names(addresses: tuple[str, ...]) -> Iterator[str]:
    """Names without secrets; several addresses of one host are numbered."""
    hosts = [address if address.startswith("$") else urlsplit(address).netloc for address in addresses]
    for number, host in enumerate(hosts):
        again = hosts[:number].count(host)
        yield f"webhook {host}" + (f" ({again + 1})" if again else "")
