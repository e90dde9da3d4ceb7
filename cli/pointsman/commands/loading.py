"""What commands have in common: files that must be good."""

from collections.abc import Sequence
from pathlib import Path

from pointsman.errors import Refusal
from pointsman.manifests import Manifests, judge, read
from pointsman_operator.schema import definitions

DEFAULT_NAMESPACE = "default"


def good(files: Sequence[Path], *, namespace: str | None) -> Manifests:
    """The resources of the files.

    Raises:
        ManifestError: the files cannot be read.
        Refusal: a cluster would refuse one of them.
    """
    manifests = judge(read(files), definitions=definitions(), namespace=namespace or DEFAULT_NAMESPACE)
    if manifests.refused:
        raise Refusal("\n".join(each.answer for each in manifests.refused))
    return manifests
