"""The server launcher behind `python -m dashboard run`.

It sets what must be in the environment before a numeric library loads, chooses a free port,
and hands over to Streamlit's own command line in this same process, so that there is one
process to stop and no wrapper to outlive it (docs/decisions/0002-launcher.md).
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping, MutableMapping
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode

from .errors import ParameterError
from .settings import Settings, get_settings
from .threads import numeric_environment

__all__ = [
    "OPTIONS",
    "find_port",
    "numeric_environment",
    "prepare_environment",
    "run",
    "server_environment",
]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif"
CODE_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"

# Streamlit's options, in one place. `.streamlit/config.toml` repeats them for people who call
# `streamlit run` themselves; tests/test_launcher.py keeps the two equal.
OPTIONS: dict[str, str | int | bool | list[str]] = {
    "server.headless": True,  # no e-mail prompt; the launcher opens the browser itself
    "server.address": "localhost",
    "server.port": 8501,
    "server.allowedHosts": ["localhost", "127.0.0.1", "[::1]"],  # against DNS rebinding
    "server.maxUploadSize": 1024,
    "server.maxMessageSize": 256,
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,  # in Streamlit's words: cross-origin requests are refused
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "browser.gatherUsageStats": False,
    # controls are told what the state holds twice: see components/state.py, `following`
    "global.disableWidgetStateDuplicationWarning": True,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "logger.level": "warning",
    "logger.hideWelcomeMessage": True,  # it would ask the internet for this machine's address
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,  # .16 s after each move of a slider; Python collects by itself
    "theme.font": FONT,
    "theme.codeFont": CODE_FONT,
    "theme.headingFontSizes": ["2rem", "1.5rem", "1.25rem", "1.1rem", "1rem", "1rem"],
    "theme.paddingTop": "1.5rem",
    "theme.paddingBottom": "4rem",
    "theme.light.primaryColor": "#0f766e",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f6f6",
    "theme.light.textColor": "#1b2430",
    "theme.light.linkColor": "#0f766e",
    "theme.dark.primaryColor": "#13837a",
    "theme.dark.backgroundColor": "#0e1117",
    "theme.dark.secondaryBackgroundColor": "#1a202b",
    "theme.dark.textColor": "#edf1f4",
    "theme.dark.linkColor": "#4fd1c7",
}

# What pages are made of; importing it takes longer than drawing the first one.
PAGES = ("components.sidebar", "components.panels", "components.importance_panels")
HEALTH = "/_stcore/health"
PORTS_TRIED = 100
START_SECONDS = 60.0
STOP_SECONDS = 5.0


def prepare_environment(
    settings: Settings, environment: MutableMapping[str, str] | None = None
) -> list[str]:
    """Fill `environment` (default: this process's) without overwriting what a person set.

    Returns the libraries that were loaded already, for which it comes too late.
    """
    target = os.environ if environment is None else environment
    for name, value in numeric_environment(settings).items():
        target.setdefault(name, value)
    return [name for name in ("numpy", "sklearn", "tensorflow", "numba") if name in sys.modules]


def _variable(option: str) -> str:
    """The environment variable Streamlit reads an option from, e.g. STREAMLIT_SERVER_PORT."""
    words = "".join(
        f"_{letter}" if letter.isupper() and not before.isupper() else letter
        for before, letter in zip(" " + option, option, strict=False)
    )
    return "STREAMLIT_" + words.replace(".", "_").upper()


def server_environment(settings: Settings, address: str, port: int) -> dict[str, str]:
    """Streamlit's options as environment variables, which win over any config file."""
    options = dict(OPTIONS)
    options["server.address"] = address
    options["server.port"] = port
    options["server.maxUploadSize"] = settings.upload_limit_mb
    if address not in LOOPBACK:
        # Which names lead to this machine is known to its operator only.
        options["server.allowedHosts"] = ["*"]
    return {_variable(name): _as_text(name, value) for name, value in options.items()}


def _as_text(name: str, value: str | int | bool | list[str]) -> str:
    """A value as Streamlit reads it from a variable: lists of the theme are JSON, others words."""
    if isinstance(value, list):
        return json.dumps(value) if name.startswith("theme.") else " ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except (PermissionError, socket.gaierror) as error:
            raise ParameterError(
                f"Cannot listen on {address}, port {port}: {error.strerror}. "
                "Choose another with --address or --port."
            ) from error
        except OverflowError as error:
            raise ParameterError(
                f"A port is a number from 0 to 65535, got {port}. Choose another with --port."
            ) from error
        except OSError:
            return False
        return True


def find_port(address: str, wanted: int) -> int:
    """The first free port from `wanted` upwards; any free one for 0.

    Raises
    ------
    ParameterError : the address is not one of this machine's, or no port is free.
    """
    if wanted == 0:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
            return int(probe.getsockname()[1])
    for port in range(wanted, wanted + PORTS_TRIED):
        if _is_free(address, port):
            return port
    raise ParameterError(
        f"No port from {wanted} to {wanted + PORTS_TRIED - 1} is free at {address}. "
        "Stop what uses them or choose another with --port."
    )


def has_browser(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a browser window would appear in front of the person who starts the server."""
    if environment.get("CI"):
        return False
    if platform in ("darwin", "win32"):
        return not environment.get("SSH_CONNECTION")
    return bool(
        environment.get("DISPLAY")
        or environment.get("WAYLAND_DISPLAY")
        or environment.get("BROWSER")
    )


def _is_healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", HEALTH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _page_url(address: str, port: int, sample: str | None) -> str:
    host = "localhost" if address in (*LOOPBACK, "0.0.0.0", "::") else address  # noqa: S104
    if ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{port}/" + (f"?{urlencode({'sample': sample})}" if sample else "")


def _announce(
    url: str,
    address: str,
    port: int,
    show: Callable[[str], object] | None,
    is_dashboard: bool = False,
) -> None:
    """Wait until the server answers, then print where, and show it."""
    host = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(  # noqa: S104
        address, address
    )
    give_up = time.monotonic() + START_SECONDS
    while not _is_healthy(host, port):
        if time.monotonic() > give_up:
            print(f"The server has not answered at {url} for {START_SECONDS:.0f} s.", flush=True)
            return
        time.sleep(0.1)
    print(f"Sidelight is ready: {url}\nStop it with Ctrl+C.", flush=True)
    if show is not None:
        show(url)
    if is_dashboard:
        _load_pages()


def _start_spares() -> None:
    """Have workers ready for the first models; returns at once."""
    from .sandbox.pool import get_pool

    get_pool().warm()


def _load_pages() -> None:
    """Load what pages are made of while nobody has opened one yet."""
    for name in PAGES:
        try:
            import_module(name)
        except ImportError:  # the app's own parts are not beside it: it finds them by itself
            return
    gc.collect()
    gc.freeze()  # what is loaded now stays: no later collection has to look at it


def _serve(script: Path) -> int:
    """Run Streamlit's command line here until it is told to stop; its exit code."""
    from streamlit.web import cli

    _send_at_once()
    code = cli.main(["run", str(script)], standalone_mode=False)
    return int(code or 0)


def _send_at_once() -> None:
    """Answers leave when they are made: without, each waits up to 40 ms for the one before.

    Streamlit makes its socket without naming the protocol, and asyncio then leaves the kernel's
    delay of small messages on (docs/decisions/0014); connections inherit what is set here.
    """
    from streamlit.web.server.starlette import starlette_server

    bind = starlette_server._bind_socket
    if hasattr(bind, "__wrapped__"):
        return

    @wraps(bind)
    def bind_without_delay(address: str, port: int, backlog: int) -> socket.socket:
        made: socket.socket = bind(address, port, backlog)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    starlette_server._bind_socket = bind_without_delay


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _install_signals() -> None:
    """A clean end while the server is still starting; Streamlit's own handlers follow."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)


def _end_soon(seconds: float = STOP_SECONDS) -> None:
    """End the process even when a computation of a closed session does not."""
    watchdog = threading.Timer(seconds, os._exit, args=(0,))
    watchdog.daemon = True
    watchdog.start()


def run(
    port: int | None = None,
    address: str | None = None,
    open_browser: bool = True,
    sample: str | None = None,
    *,
    script: Path | None = None,
    serve: Callable[[Path], int] = _serve,
) -> int:
    """Serve the dashboard until Ctrl+C or a termination signal; the exit code, 0 when told to stop.

    Parameters
    ----------
    port : where to listen; the next free one when taken. None = setting `port`, 0 = any.
    address : None = setting `address`, this machine only.
    open_browser : show the page when there is a screen to show it on.
    sample : the sample data set to open with; None = the app's own choice.
    script : the Streamlit script; None = the dashboard.

    Raises
    ------
    ParameterError : an address or port that cannot be listened on.
    """
    settings = get_settings()
    address = address or settings.address
    wanted = settings.port if port is None else port
    found = find_port(address, wanted)
    if found != wanted and wanted != 0:
        print(f"Port {wanted} is taken; using {found}.", flush=True)
    late = prepare_environment(settings)
    if late:
        print(f"Loaded before the launcher: {', '.join(late)}. Thread limits may not apply.")
    for name, value in server_environment(settings, address, found).items():
        os.environ.setdefault(name, value)
    # What was decided here must hold, whatever the environment said before.
    os.environ["STREAMLIT_SERVER_PORT"] = str(found)
    os.environ["STREAMLIT_SERVER_ADDRESS"] = address
    _install_signals()
    is_dashboard = script is None and serve is _serve
    if is_dashboard:
        _start_spares()
    show = webbrowser.open if open_browser and has_browser() else None
    threading.Thread(
        target=_announce,
        args=(_page_url(address, found, sample), address, found, show, is_dashboard),
        daemon=True,
        name="announce",
    ).start()
    code = serve(script or Path(__file__).with_name("app.py"))
    print("Sidelight has stopped.", flush=True)
    _end_soon()
    return code
