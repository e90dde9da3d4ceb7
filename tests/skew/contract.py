"""A version of the contract as it was recorded, without any of today's generated code: its messages and what was said.

`newer` gives a contract that does not exist yet: the recorded one with additions of every kind that is promised to be
harmless, or to be refused with a reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, message_factory, text_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

CONTRACTS = Path(__file__).parent / "contracts"
PACKAGE = "pointsman_api.v1"
# Beyond the numbers that real additions will take.
NEW = 1000
Field = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True)
class Contract:
    """The messages of one version, and the folder of what was recorded with them."""

    pool: DescriptorPool
    folder: Path

    def new(self, name: str, **fields: Any) -> Any:
        """A message by its name in the package."""
        return self._class(name)(**fields)

    def read(self, name: str, data: bytes) -> Any:
        """A message from the wire."""
        return self._class(name).FromString(data)

    def said(self, what: str, name: str) -> Any:
        """A message that was recorded."""
        text = (self.folder / "says" / f"{what}.txtpb").read_text(encoding="utf-8")
        return text_format.Parse(text, self.new(name))

    def _class(self, name: str) -> Callable[..., Any]:
        made: Callable[..., Any] = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        return made


def recorded(version: str) -> Contract:
    """The contract of a version."""
    return _contract(_descriptors(version), CONTRACTS / version)


def newer(version: str) -> Contract:
    """The contract that may follow a version."""
    files = _descriptors(version)
    messages = {each.name: each for file in files.file if file.package == PACKAGE for each in file.message_type}
    for name in ("Hello", "Token", "Ack", "Nack", "Snapshot", "SnapshotUpdate", "Route", "ProviderAccess", "NoPolicy"):
        _text_field(messages[name])
    for name in ("ConnectRequest", "ConnectResponse", "Matcher"):
        # A member of a type of its own, so that it looks like any other kind of message.
        _text_field(messages[name].nested_type.add(name="Novelty"))
        messages[name].field.add(
            name="novelty",
            number=NEW,
            label=Field.LABEL_OPTIONAL,
            type=Field.TYPE_MESSAGE,
            type_name=f".{PACKAGE}.{name}.Novelty",
            oneof_index=0,
        )
    enums = {each.name: each for file in files.file if file.package == PACKAGE for each in file.enum_type}
    for name in ("ProviderType", "StickyBy", "Severity", "Modality", "Feature"):
        enums[name].value.add(name=f"{name.upper()}_NOVELTY", number=NEW)
    return _contract(files, CONTRACTS / version)


def unknown_fields(message: Message) -> list[str]:
    """The messages within this one that hold fields which their contract does not know."""
    found = [message.DESCRIPTOR.name] if len(UnknownFieldSet(message)) else []
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE and not _is_map(field):
            each = value if field.is_repeated else [value]
            found += [name for part in each for name in unknown_fields(part)]
    return found


def _is_map(field: Any) -> bool:
    return bool(field.message_type.GetOptions().map_entry)


def _descriptors(version: str) -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString((CONTRACTS / version / "contract.binpb").read_bytes())


def _contract(files: descriptor_pb2.FileDescriptorSet, folder: Path) -> Contract:
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)  # type: ignore[no-untyped-call]
    return Contract(pool, folder)


def _text_field(message: descriptor_pb2.DescriptorProto) -> None:
    message.field.add(name="novel_text", number=NEW, label=Field.LABEL_OPTIONAL, type=Field.TYPE_STRING)
