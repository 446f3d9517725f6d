"""Who is at the other end."""

from __future__ import annotations

import pytest

from components.visitors import FORWARDED, is_alone

HERE = "http://localhost:8501/performance"


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "::1"])
def test_a_server_for_this_machine_has_one_user(address: str) -> None:
    assert is_alone(address, HERE, ["Host", "Origin"])
    assert is_alone(address, "http://[::1]:8501", [])


@pytest.mark.parametrize(
    ("address", "url", "headers"),
    [
        ("0.0.0.0", HERE, []),
        (None, HERE, []),
        ("192.168.1.5", HERE, []),
        ("localhost", "https://models.example.org/", []),
        *[("localhost", HERE, [name]) for name in FORWARDED],
    ],
)
def test_any_sign_of_others_counts(address: str | None, url: str, headers: list[str]) -> None:
    assert not is_alone(address, url, headers)
