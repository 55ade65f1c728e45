"""How users write the host of a Dify."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv6Address

USUAL_PORTS = {"http": 80, "https": 443}


def bracketed(host: str) -> str:
    """Put an IPv6 address into brackets, as in a URL: users leave them out, and Airflow's URI form removes them.

    :param host: A host, maybe with a scheme. It is returned unchanged unless it is a bare IPv6 address.
    """
    scheme, separator, name = host.rpartition("://")
    with suppress(ValueError):
        name = f"[{IPv6Address(name)}]"
    return f"{scheme}{separator}{name}"
