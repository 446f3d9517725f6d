"""Make or complete a virtual environment: `python .ci/install.py .venv requirements.txt`.

uv does the work, installed inside the environment, because it is eight times faster than pip
on this list. It reads its index from variables of its own, so what pip is configured with is
handed over to it; if it still fails, pip installs the same list.
On Debian and Ubuntu it adds bubblewrap, which confines the processes that open uploaded models,
where it may install packages; elsewhere the kernel's own means are used.
Runs with whatever Python is first found, so that an old one gets a sentence, not a traceback.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)


def fits(version):
    """Whether a (major, minor, ...) version can install the locked list."""
    return OLDEST <= tuple(version[:2]) <= NEWEST


def uv_environment(environment, pip_options):
    """The variables uv needs to use the index, extra packages and certificates pip uses.

    `pip_options` are the options of pip's configuration files, by long name. The environment
    wins over them as it does for pip, and uv's own variables win over both.
    """
    given = dict(pip_options)
    for name in ("index-url", "extra-index-url", "find-links", "cert"):
        value = environment.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            given[name] = value
    wanted = {
        "UV_DEFAULT_INDEX": given.get("index-url"),
        "UV_INDEX": given.get("extra-index-url"),
        # pip takes the best version of all its indexes; uv would stop at the first with the name.
        "UV_INDEX_STRATEGY": given.get("extra-index-url") and "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(given.get("find-links", "").split()),
        "SSL_CERT_FILE": given.get("cert"),
    }
    missing = {name: value for name, value in wanted.items() if value and not environment.get(name)}
    return {**environment, **missing}


def parse_pip_options(text):
    """Long options of sections `global` and `install` in the output of `pip config list`."""
    options = {}
    for line in text.splitlines():
        key, found, value = line.partition("=")
        section, _, name = key.strip().partition(".")
        if found and section in ("global", "install"):
            options[name] = value.strip().strip("'\"").replace("\\n", " ")
    return options


def works(python):
    """Whether there is an interpreter at this path and its version fits."""
    if not python.exists():
        return False
    ask = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-c", ask], stdout=subprocess.PIPE, check=False)
    return answer.returncode == 0 and fits([int(part) for part in answer.stdout.split()])


def make_environment(folder, python):
    """An environment at `folder` with pip and uv, made anew when it is broken or missing."""
    if not works(python):
        if folder.is_dir():
            shutil.rmtree(folder)
        if subprocess.call([sys.executable, "-m", "venv", folder]) != 0:
            sys.exit(
                "Python could not make a virtual environment. On Debian and Ubuntu: "
                "apt-get install python3-venv, then try again."
            )
    if subprocess.call([python, "-c", "import uv"], stderr=subprocess.DEVNULL) != 0:
        subprocess.call([python, "-m", "pip", "install", "--quiet", "uv>=0.9"])


def install(python, requirements):
    """Install a list of requirements with uv, or with pip where uv cannot."""
    listing = subprocess.run(
        [python, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, check=False
    )
    options = parse_pip_options(listing.stdout.decode("utf-8", "replace"))
    command = [python, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode"]
    command += ["--python", python, "-r", requirements]
    if subprocess.call(command, env=uv_environment(os.environ, options)) == 0:
        return 0
    print("uv could not install the list; trying pip, which takes a few minutes.", flush=True)
    return subprocess.call([python, "-m", "pip", "install", "--quiet", "-r", requirements])


def sandbox_commands(which=shutil.which, is_root=None):
    """The commands that install bubblewrap; none where it is there or may not be installed."""
    if not sys.platform.startswith("linux") or which("bwrap") or not which("apt-get"):
        return []
    if is_root is None:
        is_root = os.geteuid() == 0
    if not is_root and not which("sudo"):
        return []
    prefix = [] if is_root else ["sudo", "--non-interactive"]
    packages = ["bubblewrap"]
    fetch = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    return [[*prefix, *fetch], [*prefix, "apt-get", "update"], [*prefix, *fetch]]


def install_sandbox(commands):
    """Run the commands until the first installation works: the lists may be old. No error stops."""
    for command in commands:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            code = subprocess.call(command, stdin=subprocess.DEVNULL, timeout=180, **quiet)
        except (OSError, subprocess.TimeoutExpired):
            code = 1
        if code == 0 and "install" in command:
            print("Installed bubblewrap, which confines the processes that open models", flush=True)
            return True
    if commands:
        print("bubblewrap could not be installed; models are confined by the kernel's own means.")
        print("To install it yourself: sudo apt-get install bubblewrap", flush=True)
    return False


def main(folder, requirements):
    """Exit code 0 when everything in `requirements` is installed in `folder`."""
    if not fits(sys.version_info):
        sys.exit(
            "Sidelight needs Python 3.11, 3.12 or 3.13; this is Python "
            f"{sys.version_info[0]}.{sys.version_info[1]}. "
            "Install one of them and name it: make run PYTHON=python3.12"
        )
    started = time.time()
    folder = Path(folder).absolute()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    print(f"Installing {requirements} into {folder.name} (about 3 GB)", flush=True)
    make_environment(folder, python)
    code = install(python, requirements)
    if code == 0:
        install_sandbox(sandbox_commands())
        print(f"Installed in {time.time() - started:.0f} s", flush=True)
    return code


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
