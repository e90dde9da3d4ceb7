"""What the forms of OpenAI's APIs share: a body that is read once, and whose mistakes are told when it is measured."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from pointsman_sidecar.contract.hints import Hints, read_hints
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.routing.features import Features

_Request = TypeVar("_Request")


class JsonForm(ABC, Generic[_Request]):
    """A body and the headers beside it, by their names in lower case.

    What is wrong with them is raised when the request is measured, so that it is seen as every other refusal. A body of
    more than `most_bytes` is not read at all: its size is all that the plan needs to refuse it, and to read it would
    hold up others.
    """

    def __init__(self, raw: bytes, headers: Mapping[str, str], *, most_bytes: int | None = None) -> None:
        self._read: _Request | InvalidRequestError | None = None
        self._size = len(raw)
        if most_bytes is None or self._size <= most_bytes:
            try:
                self._read = self._parsed(raw, read_hints(headers))
            except InvalidRequestError as error:
                self._read = error

    def measure(self) -> Features:
        """See `Form`."""
        if self._read is None:
            return Features(request_bytes=self._size, estimated_input_tokens=0)
        return self._features(self._request)

    @abstractmethod
    def _parsed(self, raw: bytes, hints: Hints) -> _Request:
        """Read the body, or raise InvalidRequestError."""

    @abstractmethod
    def _features(self, request: _Request) -> Features:
        """What the routing needs to know of it."""

    @property
    def _found(self) -> _Request | None:
        return None if isinstance(self._read, InvalidRequestError) else self._read

    @property
    def _request(self) -> _Request:
        if isinstance(self._read, InvalidRequestError):
            raise self._read
        if self._read is None:
            raise RuntimeError("a request that was not read is to be refused by its size")
        return self._read
