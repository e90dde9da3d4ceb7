"""What holds for the patch of every pod."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.inject import Injected, NotWanted, patch
from pure.operator.pods import SETTINGS, Json, patched, pod

NAMES = st.sampled_from(["web", "worker", "migrate", "istio-proxy", "istio-init", "proxy", "cache"])
VARIABLES = st.sampled_from(["POINTSMAN_ADDRESS", "A", "B", "PATH"])
UNKNOWN = st.dictionaries(
    st.sampled_from(["fieldOfTomorrow", "x~y/z", ""]), st.one_of(st.none(), st.integers(), st.text())
)


@st.composite
def containers(draw: st.DrawFn, *, least: int) -> list[Json]:
    """Containers with names of their own, and what the patch has nothing to do with."""
    made = []
    for name in draw(st.lists(NAMES, min_size=least, max_size=4, unique=True)):
        made.append({"name": name, "image": "web", **draw(UNKNOWN)})
        if draw(st.booleans()):
            variables = draw(st.lists(VARIABLES, max_size=3, unique=True))
            made[-1]["env"] = [{"name": variable, "value": draw(st.text(max_size=3))} for variable in variables]
        if draw(st.booleans()):
            made[-1]["ports"] = [{"containerPort": draw(st.integers(1, 8000))}]
    return made


@st.composite
def pods(draw: st.DrawFn) -> Json:
    """Pods that the sidecar can come into."""
    every = draw(containers(least=1))
    cut = draw(st.integers(0, len(every) - 1))
    spec: dict[str, Any] = draw(UNKNOWN)
    if cut or draw(st.booleans()):
        spec["initContainers"] = every[:cut]
    if draw(st.booleans()):
        spec["volumes"] = [{"name": name, "emptyDir": {}} for name in draw(st.lists(NAMES, max_size=2, unique=True))]
    annotations = draw(st.none() | st.dictionaries(st.sampled_from(["a", "example.com/b~c"]), st.text(), max_size=2))
    labels = {"pointsman.dev/inject": "true", **draw(st.dictionaries(st.sampled_from(["app", "x/y"]), st.text()))}
    return pod(labels=labels, annotations=annotations, containers=every[cut:], **spec)


def after_injection(value: Json) -> Json:
    """The pod with its sidecar."""
    result = patch(value, namespace_labels={}, settings=SETTINGS)
    assert isinstance(result, Injected), result
    return patched(value, result.patch)


@given(value=pods())
def test_a_pod_that_has_the_sidecar_gets_no_other(value: Json) -> None:
    again = patch(after_injection(value), namespace_labels={}, settings=SETTINGS)

    assert again == NotWanted("the pod has it already")


@given(value=pods())
def test_without_what_was_added_the_pod_is_what_it_was(value: Json) -> None:
    after = after_injection(value)

    metadata, spec = after["metadata"], after["spec"]
    del metadata["labels"]["pointsman.dev/injected"], metadata["annotations"]["pointsman.dev/injection"]
    spec["initContainers"] = [each for each in spec["initContainers"] if each["name"] != "pointsman-sidecar"]
    spec["volumes"] = [each for each in spec["volumes"] if not each["name"].startswith("pointsman-")]
    before = [*value["spec"].get("initContainers", []), *value["spec"]["containers"]]
    for each, original in zip([*spec["initContainers"], *spec["containers"]], before, strict=True):
        own = {variable["name"] for variable in original.get("env", [])}
        each["env"] = [variable for variable in each.get("env", []) if variable["name"] in own]
    assert without_empty(after) == without_empty(value)


@given(value=pods())
def test_no_name_is_there_twice(value: Json) -> None:
    spec = after_injection(value)["spec"]

    every = [*spec["initContainers"], *spec["containers"]]
    for named in (every, spec["volumes"], *(each.get("env", []) for each in every)):
        names = [each["name"] for each in named]
        assert len(names) == len(set(names))


@given(value=pods())
def test_the_patch_leaves_the_pod_that_it_was_made_from_alone(value: Json) -> None:
    before = repr(value)

    after_injection(value)

    assert repr(value) == before


def without_empty(value: Json) -> Json:
    """The pod without lists and mappings that are as good as absent."""
    metadata = {key: each for key, each in value["metadata"].items() if each != {}}
    spec: Json = {key: each for key, each in value["spec"].items() if each != []}
    for field in {"initContainers", "containers"} & spec.keys():
        spec[field] = [{key: inner for key, inner in each.items() if inner != []} for each in spec[field]]
    return {"metadata": metadata, "spec": spec}
