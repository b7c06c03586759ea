"""The server of the page: Streamlit in this process, which speaks to nobody but its visitors."""

import errno
import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from elasticity_assets.app.published_file import PublishedFile
from elasticity_assets.settings import Settings, SettingsError

LOOPBACK = "127.0.0.1"
PAGE = Path(__file__).with_name("page.py")
OPTIONS = {
    "browser_gatherUsageStats": False,
    "server_headless": True,  # neither a browser nor a question is opened
    "server_fileWatcherType": "none",
    "server_runOnSave": False,
    "runner_magicEnabled": False,  # a text alone on a line is no output
    "theme_primaryColor": "#3b7fc4",  # the charts' blue
    "client_toolbarMode": "minimal",
    "client_showErrorDetails": "none",  # a traceback names files and values
    "client_showErrorLinks": False,
    "client_allowedOrigins": [],  # no page that embeds it steers it
    "global_developmentMode": False,
    "logger_hideWelcomeMessage": True,
}
"""Of Streamlit, whatever a configuration file of its own says."""


def check_port(address: str, port: int) -> None:
    """See that a port is free.

    Raises
    ------
    SettingsError
        If it is not, or the address is none of this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.create_server((address, port), family=family):
            pass
    except OSError as error:
        shown = f"{_in_address(address)}:{port} cannot be had ({error.strerror})"
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SettingsError(
                f"--port: {shown}; another page may have it: "
                f"name another port, such as --port {port + 1 if port < 65535 else 8501}"
            ) from None
        raise SettingsError(
            f"--address: {shown}; name an address of this machine, such as --address {LOOPBACK}"
        ) from None


def serve(settings: Settings, port: int, address: str, say: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    settings : Settings
        Those in force: the page reads them again.
    port : int
    address : str
        Of this machine. Whoever reaches it sees what is published: there is no password.
    say : callable
        Told where the page is.

    Raises
    ------
    SettingsError
        If the page's packages are not installed, or the port cannot be had.
    NothingPublishedError
        If there is nothing to show.
    DamagedFileError
    """
    if find_spec("streamlit") is None:
        raise SettingsError("the page needs Streamlit; install it: pip install 'elasticity_assets[app]'")
    with PublishedFile(settings.published).reading():
        pass
    check_port(address, port)

    from streamlit.web import bootstrap  # noqa: PLC0415 -- not installed everywhere

    options = OPTIONS | {"server_address": address, "server_port": port}
    if address == LOOPBACK:
        options |= {
            "server_allowedHosts": [LOOPBACK, "localhost"]
        }  # names that lead here by a trick are refused
    bootstrap.load_config_options(options)
    say(f"the page: http://{_in_address(address)}:{port}; Ctrl-C ends it")
    bootstrap.run(str(PAGE), False, [], options)


def _in_address(address: str) -> str:
    return f"[{address}]" if ":" in address else address
