"""Addresses of databases and stores, none of which may hold a password."""

import re
from importlib.util import find_spec
from urllib.parse import unquote

DUCKLAKE = "ducklake:postgres:"
"""How the settings name a warehouse that is a DuckLake: before the connection string of its catalog."""


def without_password(address: str) -> str:
    """Refuse secrets in a database's address; no message repeats it."""
    told = ValueError("holds a password; give it in PGPASSWORD or in libpq's password file, and not here")
    if _SECRET.search(unquote(address)):
        raise told
    kind, _, connection = address.removeprefix("ducklake:").partition(":")
    if kind not in ("postgres", "postgresql") or find_spec("psycopg2") is None:
        return address
    from psycopg2 import ProgrammingError  # noqa: PLC0415
    from psycopg2.extensions import parse_dsn  # noqa: PLC0415

    try:
        known = parse_dsn(f"{kind}:{connection}" if connection.startswith("//") else connection)
    except ProgrammingError:  # it may repeat what follows the mistake
        raise ValueError(
            "cannot be read as a connection string of PostgreSQL's; write it as in host=catalog dbname=elasticity"
        ) from None
    if {"password", "sslpassword"} & known.keys():
        raise told
    return address


_SECRET = re.compile(r"(password|passwd|pwd|token|secret)\s*=|://[^@]*:[^@]*@", re.IGNORECASE)
"""What stands in an address that holds a password, whichever database it is of."""


def check_warehouse(warehouse: str) -> str:
    """Refuse other catalogs than PostgreSQL's, and secrets."""
    if warehouse.startswith("ducklake:") and not warehouse.startswith(DUCKLAKE):
        raise ValueError(f"a DuckLake's catalog has to be in PostgreSQL: {DUCKLAKE}dbname=... host=...")
    without_password(warehouse)
    if warehouse.startswith(DUCKLAKE) and find_spec("psycopg2") is None:
        raise ValueError("a DuckLake needs more packages; pip install 'elasticity_assets[ducklake]'")
    return warehouse


def check_lake_files(files: str) -> str:
    """Refuse object stores that DuckDB is not set up for here."""
    if is_url(files) and (not files.startswith("s3://") or _SECRET.search(unquote(files))):
        raise ValueError("give a folder, or s3://bucket/folder without credentials")
    return files


def check_arrays(arrays: str) -> str:
    """Refuse a URL that no installed package can open, or that tells a password to whoever reads a log."""
    if not is_url(arrays):
        return arrays
    if _SECRET.search(unquote(arrays)):
        raise ValueError("a password does not belong in a URL; leave credentials to the environment")
    import fsspec  # noqa: PLC0415  (it takes long, and most projects have a folder)

    protocol = arrays.split("://", 1)[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        why = "pip install 'elasticity_assets[s3]'" if protocol in ("s3", "s3a") else str(error)
        raise ValueError(f"{protocol}:// needs one more package: {why}") from None
    except ValueError:
        raise ValueError(
            f"{protocol!r} is no protocol that fsspec knows; give a folder, or a URL such as s3://bucket/folder "
            "with `pip install 'elasticity_assets[s3]'`"
        ) from None
    return arrays


def is_url(path: str) -> bool:
    """Whether a place is in an object store, and not a folder."""
    return "://" in path


def is_database_file(address: str) -> bool:
    """Whether a database's address is a file's path, and not a server's such as postgres:dbname=shop."""
    return re.match(r"[a-z]{2,}:", address) is None
