"""Whether a pod gets the sidecar, and what is added to it then."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pointsman_operator.inject.names import (
    CONTAINER,
    GRPC_PORT_ANNOTATION,
    HTTP_PORT_ANNOTATION,
    INJECT_LABEL,
    INJECTED_LABEL,
    INJECTION_ANNOTATION,
    STATE_VOLUME,
    STATUS_PORT_ANNOTATION,
    TOKEN_VOLUME,
)
from pointsman_operator.inject.overrides import Overrides, OverridesError, read_overrides, unknown_annotations
from pointsman_operator.inject.patches import Op, added_entries, added_items
from pointsman_operator.inject.sidecar import (
    API_KEY,
    BASE_URL,
    SidecarSettings,
    app_env,
    container,
    fingerprint,
    volumes,
)
from pointsman_operator.resources.kinds import MIRROR_ANNOTATION

_OS_LABEL = "kubernetes.io/os"


@dataclass(frozen=True, kw_only=True)
class Injected:
    """The pod gets the sidecar by this patch; the warnings are for whoever creates it."""

    patch: tuple[Op, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class NotWanted:
    """The pod stays as it is."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The pod asks for the sidecar and cannot have it; the sentence says why, and what to do."""

    sentence: str


def patch(
    pod: Mapping[str, Any], *, namespace_labels: Mapping[str, str], settings: SidecarSettings
) -> Injected | NotWanted | Refused:
    """Decide on a pod that is about to be created."""
    metadata, spec = pod["metadata"], pod["spec"]
    if reason := _unwanted(metadata, spec, namespace_labels=namespace_labels):
        return NotWanted(reason)
    annotations = metadata.get("annotations") or {}
    try:
        overrides = read_overrides(annotations)
    except OverridesError as error:
        return Refused(str(error))
    if obstacles := [*_obstacles(spec), *_taken_ports(spec, overrides)]:
        return Refused("; ".join(obstacles))
    position = _position(spec, after=settings.after)
    return Injected(
        patch=(
            *added_entries(metadata, "labels", {INJECTED_LABEL: "true"}, at=("metadata",)),
            *added_entries(metadata, "annotations", {INJECTION_ANNOTATION: fingerprint(settings)}, at=("metadata",)),
            *_told(spec, overrides, position=position),
            *added_items(spec, "volumes", volumes(settings), index=len(spec.get("volumes") or ()), at=("spec",)),
            # Last, since it shifts the init containers that the steps above count.
            *added_items(spec, "initContainers", [container(settings, overrides)], index=position, at=("spec",)),
        ),
        warnings=(*unknown_annotations(annotations), *_kept(spec, overrides, position=position)),
    )


def asks(labels: Mapping[str, str], *, namespace_labels: Mapping[str, str]) -> bool:
    """Whether a pod with these labels, or else its namespace, asks for the sidecar."""
    wish = labels.get(INJECT_LABEL)
    return wish == "true" or (wish != "false" and namespace_labels.get(INJECT_LABEL) == "true")


def _unwanted(
    metadata: Mapping[str, Any], spec: Mapping[str, Any], *, namespace_labels: Mapping[str, str]
) -> str | None:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get(INJECT_LABEL) == "false":
        return "the pod declines"
    if not asks(labels, namespace_labels=namespace_labels):
        return "neither the pod nor its namespace asks for it"
    if MIRROR_ANNOTATION in annotations:
        return "the pod mirrors a file of its node, which runs as that file says"
    if INJECTION_ANNOTATION in annotations and any(
        each["name"] == CONTAINER and each.get("restartPolicy") == "Always" for each in spec.get("initContainers") or ()
    ):
        return "the pod has it already"
    return None


def _obstacles(spec: Mapping[str, Any]) -> Iterator[str]:
    decline = f'or decline the sidecar with the label {INJECT_LABEL}: "false"'
    if spec.get("hostNetwork"):
        yield (
            "the pod is on its node's network (hostNetwork), where its sidecar would serve all of the node; "
            f"leave hostNetwork out, {decline}"
        )
    system = (spec.get("os") or {}).get("name") or (spec.get("nodeSelector") or {}).get(_OS_LABEL)
    if system == "windows":
        yield f"the pod is for Windows, where the sidecar does not run; run it on Linux, {decline}"
    if any(each["name"] == CONTAINER for _, each in _containers(spec)):
        yield f"the pod has a container {CONTAINER} of its own; give it another name"
    for volume in spec.get("volumes") or ():
        if volume["name"] in {STATE_VOLUME, TOKEN_VOLUME}:
            yield f"the pod has a volume {volume['name']} of its own; give it another name"


def _taken_ports(spec: Mapping[str, Any], overrides: Overrides) -> Iterator[str]:
    wanted = {
        overrides.grpc_port: ("gRPC door", GRPC_PORT_ANNOTATION),
        overrides.http_port: ("HTTP door", HTTP_PORT_ANNOTATION),
        overrides.status_port: ("health and metrics", STATUS_PORT_ANNOTATION),
    }
    for _, each in _containers(spec):
        for port in each.get("ports") or ():
            number = port["containerPort"]
            if number in wanted and port.get("protocol", "TCP") == "TCP":
                use, annotation = wanted[number]
                yield (
                    f"container {each['name']} has port {number}, which the sidecar needs for its {use}; "
                    f"give the sidecar another by the annotation {annotation}"
                )


def _position(spec: Mapping[str, Any], *, after: tuple[str, ...]) -> int:
    names = [each["name"] for each in spec.get("initContainers") or ()]
    return max((index + 1 for index, name in enumerate(names) if name in after), default=0)


def _told(spec: Mapping[str, Any], overrides: Overrides, *, position: int) -> Iterator[Op]:
    """Tell the containers that start after the sidecar: to those before it, nothing would answer yet."""
    for at, each in _containers(spec, since=position):
        own = {variable["name"] for variable in each.get("env") or ()}
        if BASE_URL in own or each.get("envFrom"):
            # A key for another address, or one that comes with a whole Secret, which env would replace, stays its own.
            own.add(API_KEY)
        ours = [variable for variable in app_env(overrides) if variable["name"] not in own]
        # In front, so that the app's own values can refer to them.
        yield from added_items(each, "env", ours, index=0, at=at)


def _kept(spec: Mapping[str, Any], overrides: Overrides, *, position: int) -> Iterator[str]:
    ours = {variable["name"]: variable["value"] for variable in app_env(overrides)}
    for _, each in _containers(spec, since=position):
        for variable in each.get("env") or ():
            name = variable["name"]
            # The value stays unsaid: it may be a secret.
            if name in ours and variable.get("value") != ours[name]:
                instead = "it ends at the sidecar" if name == API_KEY else f"its sidecar's is {ours[name]}"
                yield f"container {each['name']} sets {name} itself, which is kept; {instead}"


def _containers(spec: Mapping[str, Any], *, since: int = 0) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The containers and where they stand, leaving out as many of the first init containers as `since` says."""
    for index, each in enumerate(spec.get("initContainers") or ()):
        if index >= since:
            yield ("spec", "initContainers", str(index)), each
    for index, each in enumerate(spec.get("containers") or ()):
        yield ("spec", "containers", str(index)), each
