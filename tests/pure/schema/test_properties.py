"""What holds for any object: the offline check answers, leaves what it was given alone, and agrees with itself."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cases.reading import cases
from pointsman_operator.schema import definitions, documents, rendered, validate

GOOD = [documents(case.text, source="x")[0].value for case in cases(verdict="valid") if case.kind != "probe"]
ON_A_BUSY_MACHINE = settings(deadline=None)
WORDS = st.sampled_from(
    ["name", "in", "model", "models", "spec", "kind", "Text", "High", "auto", "1s", "0.15", "x" * 64]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS | st.text()
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS | st.text(), inner), max_leaves=20)


@st.composite
def nearly_good(draw: st.DrawFn) -> dict[str, Any]:
    """A good object in which one to three values have been replaced, left out or repeated."""
    value: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        parent, key = draw(st.sampled_from(places(value)))
        match draw(st.sampled_from(["replace", "leave out", "repeat"])), parent:
            case "replace", _:
                parent[key] = draw(JSON)
            case "leave out", _:
                del parent[key]
            case _, list():
                parent.append(copy.deepcopy(parent[key]))
    return value


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value with each of its keys."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@ON_A_BUSY_MACHINE
@given(JSON | st.fixed_dictionaries({"apiVersion": JSON, "kind": JSON, "metadata": JSON, "spec": JSON}) | nearly_good())
def test_any_json_gets_an_answer_and_stays_as_it_was(document: Any) -> None:
    before = copy.deepcopy(document)
    answer = validate(document, definitions=definitions())
    assert document == before
    assert answer.accepted == (not answer.refusals) == (answer.stage is None) == (rendered(answer, source="x") == "")


@ON_A_BUSY_MACHINE
@given(nearly_good())
def test_a_stored_object_is_accepted_again_and_stored_as_it_is(document: Any) -> None:
    first = validate(document, definitions=definitions())
    if first.accepted:
        second = validate(first.object, definitions=definitions())
        assert (second.refusals, second.object) == ((), first.object)


@ON_A_BUSY_MACHINE
@given(nearly_good())
def test_a_refused_object_gets_the_same_refusals_once_its_defaults_stand_in_it(document: Any) -> None:
    """Unless it was refused before defaults were filled in, which the repaired copy would not be."""
    first = validate(document, definitions=definitions())
    if first.stage is not None and first.stage.name == "INVALID":
        second = validate(first.object, definitions=definitions())
        assert set(map(str, second.refusals)) == set(map(str, first.refusals))


def test_defaults_are_filled_in_also_below_other_defaults() -> None:
    [smallest] = [
        value for value in GOOD if value["metadata"]["name"] == "smallest" and "defaultModel" in value["spec"]
    ]
    spec = validate(smallest, definitions=definitions()).object["spec"]
    assert spec["resilience"] == {
        "timeouts": {
            "connect": "2s",
            "firstToken": "15s",
            "attempt": "60s",
            "betweenTokens": "30s",
            "total": "120s",
        },
        "retries": {"attempts": 2, "budgetPercent": 20},
        "circuitBreaker": {"errorPercent": 50, "minRequests": 10, "openFor": "10s"},
    }
    assert spec["limits"] == {"maxRequestBytes": "4Mi"}
    assert spec["models"][0]["providerRef"] == {"kind": "ModelProvider", "name": "openai"}


def test_one_objects_defaults_are_not_anothers() -> None:
    first, second = (validate(GOOD[0], definitions=definitions()).object for _ in range(2))
    first["spec"]["models"][0].clear()
    assert second["spec"]["models"][0] != {}
