"""Workspaces as a person meets them: a refresh, a killed server, two at once, a sign-in."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pickle
import re
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pandas as pd
import pytest
import skops.io
from playwright.sync_api import expect
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from dashboard.settings import Settings
from dashboard.workspace import Store
from tests.browser import Server, dashboard_command, free_port, serving, wait_until_idle

pytestmark = pytest.mark.browser

SLOW = """
import os, time

class Slow:
    '''Answers at once where two threads are allowed, and never where one is.'''

    classes_ = ["cheap", "fine"]

    def __init__(self, which):
        self.which = which

    def predict(self, X):
        while os.environ["OMP_NUM_THREADS"] == "1":
            time.sleep(0.05)
        return [self.classes_[self.which]] * len(X)
"""


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wine")
    bunch = load_wine(as_frame=True)
    price = np.where(bunch.target == 2, "cheap", "fine")
    bunch.data.assign(price=price).to_csv(folder / "wine.csv", index=False)
    rows, answers = bunch.data[::2], price[::2]
    skops.io.dump(LogisticRegression(max_iter=9_000).fit(rows, answers), folder / "linear.skops")
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(rows, answers)
    skops.io.dump(tree, folder / "tree.skops")
    return folder


def _slow_models(folder: Path) -> list[Path]:
    """Two pickles and the file with their class."""
    source = folder / "slow_model.py"
    source.write_text(SLOW, encoding="utf-8")
    module = types.ModuleType("slow_model")
    exec(SLOW, module.__dict__)
    sys.modules["slow_model"] = module
    try:
        for which in (0, 1):
            content = pickle.dumps(module.__dict__["Slow"](which))
            (folder / f"slow{which}.pkl").write_bytes(content)
    finally:
        del sys.modules["slow_model"]
    return [source, folder / "slow0.pkl", folder / "slow1.pkl"]


def _large_predictions(folder: Path) -> list[Path]:
    """Three prediction files of 30 MB, so that sending and storing them takes a while."""
    paths = [folder / f"large{i}.csv" for i in range(3)]
    for i, path in enumerate(paths):
        rows = pd.DataFrame({"prediction": ["fine"] * 178, "note": [f"{i}" * 170_000] * 178})
        rows.to_csv(path, index=False)
    return paths


def _open(page: Any, url: str) -> None:
    page.goto(url)
    expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)


def _uploads(page: Any) -> Any:
    return page.get_by_test_id("stMain").get_by_test_id("stFileUploaderDropzoneInput")


def _sidebar(page: Any, name: str) -> Any:
    return page.get_by_test_id("stSidebar").get_by_text(name, exact=True).first


def _bring(page: Any, data: Path, *models: Path) -> str:
    """Upload data and models; the link of the workspace."""
    _uploads(page).nth(0).set_input_files(data)
    expect(page.get_by_text("All 178 rows").first).to_be_visible(timeout=30_000)
    wait_until_idle(page)
    _uploads(page).nth(1).set_input_files(models)
    for model in models:
        expect(_sidebar(page, model.stem)).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    assert re.search(r"[?&]w=[A-Za-z0-9_-]{22}", page.url), page.url
    return str(page.url)


def _id(link: str) -> str:
    return parse_qs(urlsplit(link).query)["w"][0]


@contextlib.contextmanager
def _server(home: Path, port: int = 0, **environment: str) -> Iterator[Server]:
    port = port or free_port()
    log = home.parent / f"{home.name}-{time.monotonic_ns()}.log"
    told = {"SIDELIGHT_HOME": str(home), **environment}
    with serving(dashboard_command(port), port, log, environment=told) as running:
        yield running
        assert "Traceback" not in running.output, running.output


def _go_to_performance(page: Any) -> None:
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Performance").click()


def _score_rows(page: Any) -> list[str]:
    table = page.locator("table.sl-scores")
    expect(table).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    return [str(row) for row in table.locator("tbody tr").all_inner_texts()]


def test_killed_in_the_middle_everything_finished_is_there(
    browser: Any, wine: Path, tmp_path: Path, screenshots: Path
) -> None:
    home, port = tmp_path / "home", free_port()
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    with _server(home, port, SIDELIGHT_THREADS="1") as server:
        _open(page, server.url)
        link = _bring(page, wine / "wine.csv", wine / "linear.skops", wine / "tree.skops")
        _go_to_performance(page)
        before = _score_rows(page)
        assert len(before) == 3
        page.get_by_test_id("stSidebarNavLink").filter(has_text="Home").click()
        wait_until_idle(page)
        _uploads(page).nth(1).set_input_files(_slow_models(tmp_path))
        opens = page.get_by_role("button", name=re.compile("Open it in"))
        for left in (2, 1):
            expect(opens).to_have_count(left, timeout=60_000)
            wait_until_idle(page)
            opens.first.click()
        for name in ("slow0", "slow1"):
            expect(_sidebar(page, name)).to_be_visible(timeout=60_000)
        _go_to_performance(page)  # two computations begin, and wait
        expect(page.get_by_text("Asking slow").first).to_be_visible(timeout=30_000)
        other = page.context.new_page()
        _open(other, link)
        _uploads(other).nth(1).set_input_files(_large_predictions(tmp_path))
        other.wait_for_timeout(250)  # three uploads are under way
        server.process.kill()
        server.process.wait()
        page.context.close()

    store = Store(home / "workspaces", Settings())
    _check_whole(store, _id(link))
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    with _server(home, port) as server:
        _open(page, link)
        for name in ("linear", "tree", "slow0", "slow1"):
            expect(_sidebar(page, name)).to_be_visible()
        _go_to_performance(page)
        after = _score_rows(page)
        assert after[:3] == before
        assert len(after) >= 5
        page.screenshot(path=screenshots / "after-a-kill.png")
        page.reload()
        expect(page.locator("table.sl-scores")).to_be_visible(timeout=60_000)
        assert _score_rows(page) == after
        assert server.url in page.url
        page.context.close()


def _check_whole(store: Store, id: str) -> None:
    """What the killed server left: every file whole, every name in the snapshot a file."""
    import hashlib

    _, snapshot = store.open(id)
    kept = {one.digest: one for one in store.files(id)}
    for digest, one in kept.items():
        content = store.file_path(id, digest).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, one.size)
    named = {entry["key"] for entry in snapshot["models"]} | {key for _, key in snapshot["waiting"]}
    assert named <= set(kept)
    assert {"linear.skops", "tree.skops", "wine.csv", "slow_model.py"} <= {
        one.name for one in kept.values()
    }
    assert list(store.blobs.drafts.iterdir()) == []


def test_two_people_at_once_see_nothing_of_each_other(
    browser: Any, wine: Path, tmp_path: Path
) -> None:
    hers = pd.read_csv(wine / "wine.csv").replace({"price": {"cheap": "hers-only"}})
    hers.to_csv(tmp_path / "hers.csv", index=False)
    (tmp_path / "secret.skops").write_bytes((wine / "tree.skops").read_bytes())
    home = tmp_path / "home"
    with _server(home) as server:
        one, two = browser.new_context().new_page(), browser.new_context().new_page()
        for page in (one, two):
            _open(page, server.url)
        his = _bring(one, wine / "wine.csv", wine / "linear.skops")
        her = _bring(two, tmp_path / "hers.csv", tmp_path / "secret.skops")
        for page in (one, two):
            page.reload()
            wait_until_idle(page)
        assert "hers" not in one.inner_text("body") and "secret" not in one.inner_text("body")
        assert "linear" not in two.inner_text("body")
        store = Store(home / "workspaces", Settings())
        kept = [{file.digest for file in store.files(_id(link))} for link in (his, her)]
        assert all(len(each) == 2 for each in kept) and not kept[0] & kept[1]
        _open(one, re.sub(r"w=.{22}", f"w={'A' * 22}", his))
        expect(one.get_by_text("no workspace with this link")).to_be_visible()
        one.context.close()
        two.context.close()


# -- sign-in through a provider of our own ---------------------------------------------------------


class _Provider(http.server.BaseHTTPRequestHandler):
    """The part of an OpenID provider that Authlib asks for; signs in whoever is next."""

    who = "ada"
    key: Any = None
    nonces: ClassVar[dict[str, tuple[str, str]]] = {}

    def log_message(self, *args: Any) -> None:
        """Silent."""

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.endswith("openid-configuration"):
            self._answer(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                }
            )
        elif url.path == "/keys":
            self._answer({"keys": [type(self).key.as_dict(private=False)]})
        elif url.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            code = f"code-{len(self.nonces)}"
            self.nonces[code] = (asked.get("nonce", ""), type(self).who)
            back = urlencode({"code": code, "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()

    def do_POST(self) -> None:
        from joserfc import jwt

        given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        nonce, who = self.nonces[given["code"][0]]
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": who, "aud": "sidelight", "iat": now, "nonce": nonce}
        claims |= {"exp": now + 600, "name": who.capitalize(), "email": f"{who}@example.org"}
        token = jwt.encode({"alg": "RS256", "kid": "k"}, claims, type(self).key)
        self._answer({"access_token": "a", "token_type": "Bearer", "id_token": token})


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    from joserfc.jwk import RSAKey

    _Provider.key = RSAKey.generate_key(2048, {"kid": "k", "alg": "RS256", "use": "sig"})
    server = http.server.ThreadingHTTPServer(("localhost", 0), _Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _popover(page: Any) -> Any:
    page.get_by_test_id("stSidebar").get_by_test_id("stPopover").first.get_by_role("button").click()
    body = page.get_by_test_id("stPopoverBody")
    expect(body).to_be_visible()
    return body


def _sign_in(page: Any, url: str, who: str) -> None:
    _Provider.who = who
    _open(page, url)
    button = _popover(page).get_by_role("button", name="Sign in")
    with page.expect_navigation():  # to the provider and back; the page before it is drawn, too
        button.click()
    expect(page.get_by_test_id("stHeading").first).to_be_visible(timeout=60_000)
    wait_until_idle(page)
    expect(_popover(page).get_by_text(f"Signed in as {who.capitalize()}")).to_be_visible()
    page.keyboard.press("Escape")


@pytest.mark.slow
def test_with_a_sign_in_workspaces_belong_to_their_owner(
    browser: Any, provider: str, wine: Path, tmp_path: Path
) -> None:
    home, port, secrets = tmp_path / "home", free_port(), tmp_path / "secrets.toml"
    secrets.write_text(
        f"""[auth]
redirect_uri = "http://localhost:{port}/oauth2callback"
cookie_secret = "{os.urandom(32).hex()}"
client_id = "sidelight"
client_secret = "not needed here"
server_metadata_url = "{provider}/.well-known/openid-configuration"
""",
        encoding="utf-8",
    )
    with _server(home, port, STREAMLIT_SECRETS_FILES=str(secrets)) as server:
        ada, bob, guest = (browser.new_context().new_page() for _ in range(3))
        _open(guest, server.url)
        _uploads(guest).nth(0).set_input_files(wine / "wine.csv")
        expect(guest.get_by_text("All 178 rows").first).to_be_visible(timeout=30_000)
        wait_until_idle(guest)
        assert "w=" not in guest.url  # nothing is kept for nobody
        _sign_in(ada, server.url, "ada")
        link = _bring(ada, wine / "wine.csv", wine / "linear.skops")
        _sign_in(bob, server.url, "bob")
        for stranger in (bob, guest):
            _open(stranger, link)
            expect(stranger.get_by_text("no workspace with this link")).to_be_visible()
            assert "linear" not in stranger.inner_text("body")
        body = _popover(ada)
        body.get_by_text("Everybody with the link may read it").click()
        wait_until_idle(ada)
        for stranger in (bob, guest):
            _open(stranger, link)
            expect(_sidebar(stranger, "linear")).to_be_visible()
            expect(stranger.get_by_text("For reading").first).to_be_visible()
        own = _bring(bob, tmp_path / _changed(wine, tmp_path), wine / "tree.skops")
        assert _id(own) != _id(link)
        store = Store(home / "workspaces", Settings())
        owners = [one.owner for one in store.recent(f"{provider} bob")]
        assert owners == [f"{provider} bob"] and not store.recent("")
        for page in (ada, bob, guest):
            page.context.close()


def _changed(wine: Path, folder: Path) -> str:
    frame = pd.read_csv(wine / "wine.csv").assign(extra=1.5)
    frame.to_csv(folder / "bobs.csv", index=False)
    return "bobs.csv"
