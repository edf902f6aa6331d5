"""Whose certificates are believed, by whoever connects with TLS."""

import ssl
from functools import cache

import certifi


@cache
def trusted() -> ssl.SSLContext:
    """Verifies certificates, always; made once, as loading the bundle takes 15 ms.

    By the bundle of certifi, and by what the machine's owner added, such as the authority of a private network.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context
