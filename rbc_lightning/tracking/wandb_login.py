"""Whether Weights & Biases can be used online, found out within seconds and without ever asking the user."""

import netrc
import os
import socket
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from rbc_lightning.errors import in_one_line

_SECONDS_TO_ANSWER = 2.0
# What WANDB_MODE calls it; a user who sets it means every program.
_OFFLINE = ("offline", "dryrun")

Mode = Literal["online", "offline", "disabled"]


def choose_mode(asked: str) -> tuple[Mode, str | None]:
    """The mode to record in, and why where it is not the one that was asked for; see `WandbTracking`."""
    environment = os.environ.get("WANDB_MODE") if asked == "auto" else None
    if "disabled" in (environment, asked):
        return "disabled", "WANDB_MODE=disabled" if environment else None
    if asked == "offline" or environment in _OFFLINE:
        return "offline", None
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

    named = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE")
    if named or wandb.setup().settings.api_key:
        return True
    try:
        plain = Path("~/.netrc").expanduser()
        file = os.environ.get("NETRC") or (plain if plain.is_file() else "~/_netrc")
        hosts = netrc.netrc(Path(file).expanduser()).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    # The public service has answered at several addresses, and takes the key of one at the others.
    own = "WANDB_BASE_URL" in os.environ
    return urlsplit(url).netloc in hosts or (not own and any(host.endswith("wandb.ai") for host in hosts))


def is_reachable(url: str, seconds: float = _SECONDS_TO_ANSWER) -> bool:
    """Whether the server, or the proxy before it, accepts a connection in time."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    address = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
    # Looking up a name has no time limit of its own.
    return within(seconds, lambda: socket.create_connection(address, timeout=seconds).close()) is None


def within(seconds: float, action: Callable[[], object]) -> str | None:
    """Run an action in a thread with a time limit; what went wrong, in one line, or None."""
    failures: list[str] = []

    def attempt() -> None:
        try:
            action()
        except Exception as error:
            failures.append(in_one_line(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return f"no answer within {seconds:.0f} s"
    return failures[0] if failures else None
