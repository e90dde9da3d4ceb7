"""Which Redis or Valkey holds the ledger, and how it is reached. Nothing secret is in here: files are named."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

DEFAULT_PREFIX = "pointsman"
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DATABASE = re.compile(r"/?|/[0-9]{1,4}")
_PORT = 6379
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 5.0
_SAY = "write for example rediss://redis.pointsman-system.svc:6379"


class RedisUrlError(ValueError):
    """This is no address of a Redis that can be used; the message says why, and never repeats a password."""


class FileError(Exception):
    """A file that is needed to connect cannot be read; the message names it."""


@dataclass(frozen=True, kw_only=True)
class RedisEndpoint:
    """One server, or one address in front of several.

    Attributes:
        password_file: read anew for each connection, as a Secret is mounted.
        tls_folder: has ca.crt, and tls.crt and tls.key where the server asks for a client's certificate.
        prefix: what the keys begin with: two clusters that share a server need two.
        trusted: whether a server that will not tell its settings is believed to lose nothing.
        awaits_import: whether a ledger that is not there is to be imported, and not begun.
    """

    host: str
    port: int = _PORT
    database: int = 0
    tls: bool = False
    username: str = ""
    password_file: Path | None = None
    tls_folder: Path | None = None
    prefix: str = DEFAULT_PREFIX
    trusted: bool = False
    awaits_import: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def accounts_key(self) -> str:
        """The hash of all accounts. In braces, so that a cluster keeps both keys in one slot: scripts span no more."""
        return f"{{{self.prefix}}}:accounts"

    @property
    def ledger_key(self) -> str:
        """The hash of what is known of the ledger as a whole."""
        return f"{{{self.prefix}}}:ledger"

    def connect(self) -> Redis:
        """A client, not connected yet. Raise FileError."""
        tls: dict[str, Any] = self._tls_files() if self.tls else {}
        return Redis(
            host=self.host,
            port=self.port,
            db=self.database,
            protocol=2,
            client_name="pointsman-operator",
            # Told by a command that many a user has no right to, and that says nothing which the name does not.
            driver_info=None,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            # What failed is decided anew from what is stored, never only sent again.
            retry=Retry(NoBackoff(), 0),
            max_connections=2,
            credential_provider=_Credentials(self.username, self.password_file) if self.password_file else None,
            ssl=self.tls,
            **tls,
        )

    def _tls_files(self) -> dict[str, str]:
        if self.tls_folder is None:
            return {}
        files = {"ssl_ca_certs": "ca.crt", "ssl_certfile": "tls.crt", "ssl_keyfile": "tls.key"}
        there = {option: self.tls_folder / name for option, name in files.items() if (self.tls_folder / name).exists()}
        if "ssl_ca_certs" not in there:
            raise FileError(f"{self.tls_folder} holds no ca.crt, by which Redis at {self} would be known")
        if len(there) == len(files) - 1:
            raise FileError(f"{self.tls_folder} holds one of tls.crt and tls.key; a client's certificate needs both")
        return {option: str(file) for option, file in there.items()}


class _Credentials(CredentialProvider):
    def __init__(self, username: str, file: Path) -> None:
        self._username = username
        self._file = file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        try:
            password = self._file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise FileError(f"the password of Redis in {self._file} cannot be read: {reason}") from error
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def read_url(
    text: str,
    *,
    password_file: Path | None = None,
    tls_folder: Path | None = None,
    prefix: str = DEFAULT_PREFIX,
    trusted: bool = False,
    awaits_import: bool = False,
) -> RedisEndpoint:
    """Read redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS. Raise RedisUrlError."""
    try:
        url = urlsplit(text)
        port = url.port or _PORT
    except ValueError as error:
        raise RedisUrlError(f"the URL of Redis cannot be read; {_SAY}") from error
    _check(url, tls_folder=tls_folder, has_password=password_file is not None)
    if not _PREFIX.fullmatch(prefix):
        raise RedisUrlError(f"the prefix {prefix!r} cannot be used: write up to 63 letters, digits, dots and dashes")
    return RedisEndpoint(
        host=url.hostname or "",
        port=port,
        database=int(url.path.removeprefix("/") or 0),
        tls=url.scheme == "rediss",
        username=unquote(url.username or ""),
        password_file=password_file,
        tls_folder=tls_folder,
        prefix=prefix,
        trusted=trusted,
        awaits_import=awaits_import,
    )


def _check(url: SplitResult, *, tls_folder: Path | None, has_password: bool) -> None:
    if url.password is not None:
        raise RedisUrlError("the URL of Redis has a password in it, which others could read: put it into a file")
    if url.scheme not in {"redis", "rediss"} or not url.hostname or url.query or url.fragment:
        raise RedisUrlError(f"the URL of Redis is not redis://HOST:PORT or, with TLS, rediss://HOST:PORT; {_SAY}")
    if not _DATABASE.fullmatch(url.path):
        raise RedisUrlError(f"the URL of Redis ends with {url.path!r}; write the number of a database, or nothing")
    if url.username and not has_password:
        raise RedisUrlError("the URL of Redis names a user; give the password too, in a file")
    if tls_folder is not None and url.scheme != "rediss":
        raise RedisUrlError(
            "the URL of Redis is in plain text (redis://), where certificates have no use; say rediss://"
        )
