"""Who is at the other end: signed in or not, and whether this server has but one user."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

__all__ = ["Visitor", "is_alone", "providers", "visitor"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What proxies add: with one in front, everybody seems to come from this machine.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


@dataclass(frozen=True)
class Visitor:
    """The person of this session.

    Attributes
    ----------
    owner : whose workspaces these are: the identity that the sign-in vouches for; "" where there
        is no sign-in; None while sign-in is offered and not used.
    name : as shown.
    alone : nobody else uses this server, as far as can be told: it listens to this machine only,
        there is no sign-in, and nothing between it and the browser.
    """

    owner: str | None
    name: str = ""
    alone: bool = False


def visitor() -> Visitor:
    """Who this session's person is."""
    about: Mapping[str, Any] = st.user
    if "is_logged_in" not in about:  # only there where the secrets have a section [auth]
        return Visitor("", alone=_is_alone())
    if not about["is_logged_in"]:
        return Visitor(None)
    # An e-mail address may be given to somebody else one day; issuer and subject are for good.
    owner = f"{about.get('iss') or ''} {about.get('sub') or about.get('email') or ''}".strip()
    name = str(about.get("name") or about.get("email") or "")
    return Visitor(owner or None, name)


def _is_alone() -> bool:
    return is_alone(st.get_option("server.address"), st.context.url, st.context.headers)


def is_alone(address: str | None, url: str | None, headers: Collection[str]) -> bool:
    """Whether a server at this address, seen at this URL, has but the user of this machine."""
    host = urlsplit(url or "http://localhost").hostname
    forwarded = any(name in headers for name in FORWARDED)
    return address in LOOPBACK and host in LOOPBACK and not forwarded


def providers() -> list[str]:
    """Names for `st.login`; [""] where there is one without a name."""
    auth: Mapping[str, Any] = st.secrets.get("auth", {})
    named = [name for name, value in auth.items() if isinstance(value, Mapping)]
    return named or [""]
