"""How specs are read: strictly by type, and what to do with fields that this version does not know.

The API server has already refused what its CRD does not know, so an unknown field here means that the CRD is newer
than this operator. Most such fields are passed over: otherwise a CRD that merely gains a field with a default would
make every policy unreadable until the operator is upgraded too. Fields that narrow are not: half a route's condition,
half a selector or half a list of allowed namespaces would match more than was written, so an unknown field there is
refused.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

_NOT_KEPT: set[str] = set()


class Model(BaseModel):
    """Part of a resource. A field that it does not know is passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel)

    def model_post_init(self, _: Any, /) -> None:
        """Forget which of the fields were given: nobody asks, and the sets are a third of an object."""
        object.__setattr__(self, "__pydantic_fields_set__", _NOT_KEPT)


class NarrowingModel(Model):
    """Part of a resource that says what something applies to. A field that it does not know is refused."""

    model_config = ConfigDict(extra="forbid")
