"""Who is told of what is not well, as `notify` of `devices.yaml` says it.

Belongs here: the settings. Does not: telling (`notifying`).
"""

from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Email:
    """Where mail goes, and by which server. Its password is in the environment, never here.

    Attributes:
        to: the addresses.
        sender: the address that it comes from.
        host: the mail server.
        port: its port.
        security: TLS after STARTTLS, TLS from the first byte, or none.
        user: who logs in; None: nobody does.
    """

    to: tuple[str, ...]
    sender: str
    host: str
    port: int
    security: Literal["starttls", "tls", "plain"] = "starttls"
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told of what is not well, how, and when.

    Attributes:
        webhooks: addresses, left out of texts; `$NAME` means what that variable of the environment says.
        email: where mail goes, if anywhere.
        quiet_hours: from and to on the deployment's clock, over midnight where `to` comes first; None: never quiet.
        in_quiet_hours: whether grave conditions are told even then, or nothing is.
        digest: when on the deployment's clock the daily summary comes; None: never.
        wait: how long a condition must last before it is told.
    """

    webhooks: tuple[str, ...] = field(default=(), repr=False)
    email: Email | None = None
    quiet_hours: tuple[time, time] | None = None
    in_quiet_hours: Literal["grave", "nothing"] = "grave"
    digest: time | None = None
    wait: timedelta = timedelta(minutes=5)

    def is_quiet(self, clock: time) -> bool:
        """Whether the deployment's clock shows a time in the quiet hours."""
        if self.quiet_hours is None:
            return False
        begin, end = self.quiet_hours
        return begin <= clock < end if begin < end else clock >= begin or clock < end
