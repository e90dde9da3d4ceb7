"""What the forms of OpenAI's APIs share: a body that is read once, and whose mistakes are told when it is measured."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pointsman_sidecar.contract.hints import Hints, read_hints
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.routing.features import Features

_Request = TypeVar("_Request")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unread:
    """A body that is larger than it may be: its size is all that the plan needs to refuse it.

    `is_cut` where it was read so far and no further, and nobody knows how large it is.
    """

    size: int
    is_cut: bool = False


class JsonForm(ABC, Generic[_Request]):
    """A body and the headers beside it, by their names in lower case.

    What is wrong with them is raised when the request is measured, so that it is seen as every other refusal.
    """

    def __init__(self, body: bytes | Unread, headers: Mapping[str, str]) -> None:
        self._read: _Request | InvalidRequestError | Unread
        if isinstance(body, Unread):
            self._read = body
            return
        try:
            self._read = self._parsed(body, read_hints(headers))
        except InvalidRequestError as error:
            self._read = error

    def measure(self) -> Features:
        """See `Form`."""
        if isinstance(self._read, Unread):
            return Features(request_bytes=self._read.size, is_cut=self._read.is_cut, estimated_input_tokens=0)
        return self._features(self._request)

    @abstractmethod
    def _parsed(self, raw: bytes, hints: Hints) -> _Request:
        """Read the body, or raise InvalidRequestError."""

    @abstractmethod
    def _features(self, request: _Request) -> Features:
        """What the routing needs to know of it."""

    @property
    def _found(self) -> _Request | None:
        return None if isinstance(self._read, InvalidRequestError | Unread) else self._read

    @property
    def _request(self) -> _Request:
        if isinstance(self._read, InvalidRequestError):
            raise self._read
        if isinstance(self._read, Unread):
            raise RuntimeError(  # noqa: TRY004 - not a wrong type, but asked for what there cannot be
                "a request that was not read is to be refused by its size"
            )
        return self._read
