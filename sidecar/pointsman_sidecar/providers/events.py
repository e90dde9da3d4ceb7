"""Server-sent events out of a body that comes in pieces: the data of each, byte for byte. Pure."""

from collections.abc import Iterator

_LINE_FEED, _RETURN = b"\n", b"\r"


class EventSplitter:
    """Splits one body. Fields other than `data` say nothing that a completion needs, and are passed over.

    A line ends with a line feed, a carriage return, or both.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of the events that this piece of the body completes."""
        text = self._rest + piece if self._rest else piece
        if _RETURN in text:
            # One at the very end may be half of a pair.
            half = text.endswith(_RETURN)
            text = text.replace(b"\r\n", _LINE_FEED)
            text = text[:-1].replace(_RETURN, _LINE_FEED) + _RETURN if half else text.replace(_RETURN, _LINE_FEED)
        *lines, self._rest = text.split(_LINE_FEED)
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line and self._data:
                data, self._data = _LINE_FEED.join(self._data), []
                yield data
