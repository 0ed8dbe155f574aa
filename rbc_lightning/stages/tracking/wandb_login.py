"""Whether Weights & Biases can be used online, found out within seconds and without ever asking the user."""

import netrc
import os
import socket
import threading
import urllib.request
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

SECONDS_TO_ANSWER = 2.0
"""How long a server may take to accept a connection."""
_CREDENTIALS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
# What Weights & Biases calls its modes in the environment; a user who sets them means every program.
_OFF = {"offline": "offline", "dryrun": "offline", "disabled": "disabled"}

Mode = Literal["online", "offline", "disabled"]


def choose_mode(asked: str) -> tuple[Mode, str | None]:
    """The mode to record in, and the reason in a few words where it is not the one that was asked for.

    Args:
        asked: "auto" (online with a login and a connection), "online" (the same; it cannot ask for a login in the middle of
            a sweep), "offline" or "disabled".
    """
    environment = _OFF.get(os.environ.get("WANDB_MODE", ""))
    if asked == "auto" and environment is not None:
        return ("disabled", "WANDB_MODE=disabled") if environment == "disabled" else ("offline", None)
    if asked in ("offline", "disabled"):
        return ("offline", None) if asked == "offline" else ("disabled", None)
    url = server_url()
    if not has_login(url):
        return "offline", "not logged in (`wandb login`)"
    if not is_reachable(url):
        return "offline", f"{url} does not answer"
    return "online", None


def server_url() -> str:
    """Address of the server, from the environment or the user's settings."""
    import wandb

    return str(wandb.setup().settings.base_url)


def has_login(url: str) -> bool:
    """Whether credentials for this server are configured; whether it would accept them is not asked."""
    import wandb

    if any(os.environ.get(name) for name in _CREDENTIALS) or wandb.setup().settings.api_key:
        return True
    try:
        hosts = netrc.netrc(_netrc_file()).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    # The public service has answered at several addresses, and takes the key of one at the others.
    own = "WANDB_BASE_URL" in os.environ
    return urlsplit(url).netloc in hosts or (not own and any(host.endswith("wandb.ai") for host in hosts))


def is_reachable(url: str, seconds: float = SECONDS_TO_ANSWER) -> bool:
    """Whether the server, or the proxy before it, accepts a connection in time."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    address = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
    answered = threading.Event()

    def connect() -> None:
        try:
            with socket.create_connection(address, timeout=seconds):
                answered.set()
        except OSError:
            finished.set()
        else:
            finished.set()

    finished = threading.Event()
    # In a thread: looking up a name has no time limit of its own.
    threading.Thread(target=connect, daemon=True).start()
    finished.wait(seconds)
    return answered.is_set()


def _netrc_file() -> Path:
    named = os.environ.get("NETRC")
    if named:
        return Path(named).expanduser()
    plain, underscored = Path("~/.netrc").expanduser(), Path("~/_netrc").expanduser()
    return plain if plain.is_file() else underscored
