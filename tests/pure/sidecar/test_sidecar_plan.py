"""From a policy and a request's features to the models to call."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.routing.plan import (
    AmbiguousModelError,
    Ejected,
    NoCapableModelError,
    PinningNotAllowedError,
    PlanError,
    Reason,
    RequestTooLargeError,
    Skipped,
    UnknownModelError,
    larger,
    plan,
)
from pointsman_sidecar.routing.policy import (
    Feature,
    MetadataExists,
    Modality,
    Policy,
    Severity,
    SeverityIn,
    StickyBy,
)
from support.policies import EVERY_MODALITY, features, model, policy, route

TEXT_ONLY = frozenset({Modality.TEXT})
HIGH = SeverityIn(severities=frozenset({Severity.HIGH}))
DISPUTED = MetadataExists(key="dispute", exists=True)


def names(made_of: Policy, **wants: object) -> list[str]:
    """The models of the plan, in order."""
    return [step.model.name for step in plan(made_of, features(**wants), request_id="r").steps]  # type: ignore[arg-type]


def test_without_routes_the_default_model_answers() -> None:
    planned = plan(policy(model("mini"), model("flagship")), features(), request_id="r")

    assert [step.model.name for step in planned.steps] == ["mini"]
    assert planned.steps[0].reason is Reason.DEFAULT
    assert planned.steps[0].message == "it is the default model"
    assert planned.route == ""


def test_where_no_route_matches_the_default_model_answers_and_says_so() -> None:
    planned = plan(
        policy(model("mini"), model("flagship"), routes=(route("risky", arms={"flagship": 1}, all_=(HIGH,)),)),
        features(),
        request_id="r",
    )

    assert planned.steps[0].model.name == "mini"
    assert planned.steps[0].message == "no route matched, so the default model answers"
    assert [(trial.route, trial.match.holds) for trial in planned.trials] == [("risky", False)]


def test_the_first_route_that_matches_decides_and_later_ones_are_not_tried() -> None:
    made_of = policy(
        model("mini"),
        model("a"),
        model("b"),
        routes=(
            route("never", arms={"mini": 1}, all_=(HIGH,)),
            route("first", arms={"a": 1}, all_=(DISPUTED,)),
            route("second", arms={"b": 1}),
        ),
    )

    planned = plan(made_of, features(metadata={"dispute": "1"}), request_id="r")

    assert planned.steps[0].model.name == "a"
    assert planned.steps[0].reason is Reason.ROUTE
    assert planned.steps[0].message == "route first matched: metadata dispute given"
    assert planned.route == "first"
    assert [(trial.route, trial.match.holds) for trial in planned.trials] == [("never", False), ("first", True)]


def test_fallbacks_of_the_policy_follow_in_their_order() -> None:
    planned = plan(policy(model("mini"), model("b"), model("a"), fallbacks=("b", "a")), features(), request_id="r")

    assert [(step.model.name, step.reason) for step in planned.steps] == [
        ("mini", Reason.DEFAULT),
        ("b", Reason.FALLBACK),
        ("a", Reason.FALLBACK),
    ]
    assert planned.steps[1].message == "it stands in for mini"


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(None, ["flagship", "mini"], id="none of its own, so the policy's"),
        pytest.param(("spare",), ["flagship", "spare"], id="its own"),
        pytest.param((), ["flagship"], id="its own, which are none"),
    ],
)
def test_fallbacks_of_a_route_replace_the_policys(own: tuple[str, ...] | None, expected: list[str]) -> None:
    made_of = policy(
        model("mini"),
        model("flagship"),
        model("spare"),
        routes=(route("all", arms={"flagship": 1}, fallbacks=own),),
        fallbacks=("mini",),
    )

    assert names(made_of) == expected


def test_a_model_that_is_chosen_and_a_fallback_is_called_once() -> None:
    assert names(policy(model("mini"), model("flagship"), fallbacks=("flagship", "mini", "flagship"))) == [
        "mini",
        "flagship",
    ]


def test_a_model_that_cannot_serve_the_request_is_passed_over_with_a_sentence() -> None:
    made_of = policy(model("mini", modalities=TEXT_ONLY), model("flagship"), fallbacks=("flagship",))

    planned = plan(made_of, features(modalities=frozenset({Modality.TEXT, Modality.AUDIO})), request_id="r")

    assert [(step.model.name, step.reason) for step in planned.steps] == [("flagship", Reason.CAPABILITY)]
    assert planned.steps[0].message == (
        "mini was chosen (it is the default model) but cannot serve the request: it does not take in audio"
    )
    assert [(each.model, each.message) for each in planned.skipped] == [("mini", "it does not take in audio")]


@pytest.mark.parametrize(
    ("weak", "wants", "sentence"),
    [
        pytest.param(
            {"modalities": TEXT_ONLY},
            {"modalities": frozenset({Modality.IMAGE, Modality.AUDIO})},
            "it does not take in audio or images",
            id="modalities",
        ),
        pytest.param(
            {"features": frozenset({Feature.LOGPROBS})},
            {"needs": frozenset({Feature.TOOLS, Feature.LOGPROBS})},
            "it does not support tools",
            id="features",
        ),
        pytest.param(
            {"context_window": 1000},
            {"tokens": 1000},
            "the request needs about 1,001 tokens and its context window is 1,000",
            id="input",
        ),
        pytest.param(
            {"context_window": 1000, "max_output_tokens": 400},
            {"tokens": 700, "max_output_tokens": 500},
            "the request needs about 1,100 tokens and its context window is 1,000",
            id="input and as much output as the model gives",
        ),
    ],
)
def test_what_a_model_lacks_is_said(weak: dict[str, object], wants: dict[str, object], sentence: str) -> None:
    made_of = policy(model("weak", **weak), model("strong"), fallbacks=("strong",))  # type: ignore[arg-type]

    planned = plan(made_of, features(**wants), request_id="r")  # type: ignore[arg-type]

    assert [(each.model, each.message) for each in planned.skipped] == [("weak", sentence)]


def test_a_request_that_just_fits_the_context_window_is_served() -> None:
    assert names(policy(model("tight", context_window=1000)), tokens=900, max_output_tokens=100) == ["tight"]


def test_where_no_named_model_can_serve_the_capable_others_do_the_cheapest_first() -> None:
    made_of = policy(
        model("mini", modalities=TEXT_ONLY, costs="1"),
        model("dear", costs="9"),
        model("deaf", modalities=TEXT_ONLY, costs="2"),
        model("cheap", costs="3"),
        fallbacks=("deaf",),
    )

    planned = plan(made_of, features(modalities=frozenset({Modality.AUDIO})), request_id="r")

    assert [(step.model.name, step.reason) for step in planned.steps] == [
        ("cheap", Reason.CAPABILITY),
        ("dear", Reason.FALLBACK),
    ]
    assert [each.model for each in planned.skipped] == ["mini", "deaf"]


def test_models_that_the_policy_does_not_name_are_left_alone_while_a_named_one_can_serve() -> None:
    made_of = policy(model("mini", modalities=TEXT_ONLY), model("named"), model("other"), fallbacks=("named",))

    assert names(made_of, modalities=frozenset({Modality.AUDIO})) == ["named"]


def test_where_no_model_can_serve_the_error_names_each_and_why() -> None:
    made_of = policy(model("mini", modalities=TEXT_ONLY), model("other", modalities=TEXT_ONLY))

    with pytest.raises(NoCapableModelError) as caught:
        plan(made_of, features(modalities=frozenset({Modality.AUDIO})), request_id="r")

    assert str(caught.value) == (
        "no model of policy shop/support can serve the request: "
        "mini: it does not take in audio; other: it does not take in audio"
    )
    assert caught.value.reason == "NO_CAPABLE_MODEL"


def test_a_pinned_model_stands_alone() -> None:
    made_of = policy(
        model("mini"),
        model("flagship"),
        routes=(route("all", arms={"mini": 1}),),
        fallbacks=("mini",),
        allow_pinning=True,
    )

    planned = plan(made_of, features(model="flagship"), request_id="r")

    assert [(step.model.name, step.reason) for step in planned.steps] == [("flagship", Reason.PINNED)]
    assert planned.steps[0].message == "the request names it"
    assert planned.route == ""
    assert planned.trials == ()


def test_a_pinned_model_that_cannot_serve_is_not_replaced() -> None:
    made_of = policy(model("mini", modalities=TEXT_ONLY), model("flagship"), allow_pinning=True)

    with pytest.raises(NoCapableModelError) as caught:
        plan(made_of, features(model="mini", modalities=frozenset({Modality.AUDIO})), request_id="r")

    assert str(caught.value) == (
        "no model of policy shop/support can serve the request: mini: it does not take in audio"
    )


def test_pinning_is_refused_where_the_policy_decides_even_for_a_model_that_it_has() -> None:
    with pytest.raises(PinningNotAllowedError) as caught:
        plan(policy(model("mini")), features(model="mini"), request_id="r")

    assert str(caught.value) == (
        "policy shop/support chooses the model itself (allowPinning is false): leave model empty or send auto"
    )


def test_a_pinned_model_that_the_policy_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(UnknownModelError) as caught:
        plan(policy(model("mini"), model("flagship"), allow_pinning=True), features(model="gpt-9"), request_id="r")

    assert str(caught.value) == (
        "model gpt-9 is not in policy shop/support, which has mini, flagship; "
        "leave model empty or send auto to let the policy choose"
    )


def test_a_providers_name_pins_too_and_means_the_cheapest_that_is_called_so() -> None:
    made_of = policy(
        model("mini"),
        model("eu", provider_model="gpt-4o", costs="3"),
        model("us", provider_model="gpt-4o", costs="2"),
        allow_pinning=True,
    )

    assert names(made_of, model="gpt-4o") == ["us"]


def test_a_name_that_is_a_wish_is_passed_over_where_the_policy_decides() -> None:
    made_of = policy(model("mini"), model("flagship"), routes=(route("risky", arms={"flagship": 1}, all_=(HIGH,)),))

    for wish in ("gpt-4o", "mini", "flagship"):
        assert names(made_of, model=wish, is_wish=True) == ["mini"]
        assert names(made_of, model=wish, is_wish=True, severity=Severity.HIGH) == ["flagship"]


def test_a_wish_pins_where_the_policy_lets_it_and_is_refused_where_there_is_no_such_model() -> None:
    made_of = policy(model("mini"), model("flagship"), allow_pinning=True)

    assert names(made_of, model="flagship", is_wish=True) == ["flagship"]
    with pytest.raises(UnknownModelError):
        names(made_of, model="gpt-9", is_wish=True)


EMBEDDINGS = frozenset({Feature.EMBEDDINGS})
EMBED = model("embed", provider_model="text-embedding-3-small", features=EMBEDDINGS, costs="0")


def test_embeddings_come_from_the_model_that_is_named_whatever_the_policy_says_of_pinning() -> None:
    made_of = policy(model("mini"), EMBED, model("embed-large", features=EMBEDDINGS), fallbacks=("mini",))

    for name in ("embed", "text-embedding-3-small"):
        assert names(made_of, model=name, needs=EMBEDDINGS) == ["embed"]


def test_embeddings_need_no_name_where_one_model_gives_them() -> None:
    assert names(policy(model("mini"), EMBED), needs=EMBEDDINGS) == ["embed"]


def test_embeddings_need_a_name_where_several_models_give_them() -> None:
    with pytest.raises(AmbiguousModelError, match=r"cannot be compared .*: name one of embed, large"):
        names(policy(model("mini"), EMBED, model("large", features=EMBEDDINGS)), needs=EMBEDDINGS)


def test_embeddings_cannot_come_from_a_model_that_answers() -> None:
    with pytest.raises(NoCapableModelError, match="mini: it does not support embeddings"):
        names(policy(model("mini"), EMBED), model="mini", needs=EMBEDDINGS)
    with pytest.raises(NoCapableModelError, match="no model of policy shop/support gives embeddings"):
        names(policy(model("mini")), model="mini", needs=EMBEDDINGS)
    with pytest.raises(UnknownModelError, match=r"those that give embeddings: embed"):
        names(policy(model("mini"), EMBED), model="gpt-9", needs=EMBEDDINGS)


def test_a_model_that_gives_embeddings_answers_nothing_however_cheap_it_is() -> None:
    """The cheapest that can stands in for those that cannot, and this one never can."""
    made_of = policy(model("mini", modalities=TEXT_ONLY), EMBED, model("ears", costs="9"))

    assert names(made_of, modalities=frozenset({Modality.AUDIO})) == ["ears"]


def test_a_request_that_is_too_long_for_every_model_is_told_from_one_that_none_can_serve() -> None:
    made_of = policy(model("mini", context_window=100, modalities=TEXT_ONLY))

    with pytest.raises(NoCapableModelError) as long:
        names(made_of, tokens=200)
    with pytest.raises(NoCapableModelError) as deaf:
        names(made_of, modalities=frozenset({Modality.AUDIO}))

    assert (long.value.too_long, deaf.value.too_long) == (True, False)


def test_a_request_may_be_as_large_as_the_policy_says_and_no_byte_larger() -> None:
    made_of = policy(model("mini"), max_request_bytes=1000)

    assert names(made_of, request_bytes=1000) == ["mini"]
    with pytest.raises(RequestTooLargeError) as caught:
        plan(made_of, features(request_bytes=1001), request_id="r")

    assert str(caught.value) == "the request has 1,001 bytes and policy shop/support allows 1,000"


def test_a_split_says_what_it_drew_by_what() -> None:
    made_of = policy(
        model("mini"), model("next"), routes=(route("new", arms={"mini": 0, "next": 5}, sticky_by=StickyBy.USER),)
    )

    planned = plan(made_of, features(user="ada"), request_id="r")

    assert planned.steps[0].model.name == "next"
    assert planned.steps[0].reason is Reason.SPLIT
    assert planned.steps[0].message == (
        "route new matched: nothing excludes it; its split by user gave the arm of weight 5 of 5"
    )


def test_the_other_arm_of_a_split_is_no_fallback() -> None:
    assert len(names(policy(model("mini"), model("next"), routes=(route("new", arms={"mini": 1, "next": 1}),)))) == 1


POLICY_MODELS = ["a", "b", "c", "d"]
some_models = st.lists(st.sampled_from(POLICY_MODELS), max_size=6).map(tuple)
modalities = st.frozensets(st.sampled_from(list(Modality)))
policies = st.builds(
    lambda models, routes, fallbacks, pin: policy(*models, routes=routes, fallbacks=fallbacks, allow_pinning=pin),
    st.tuples(
        *(
            st.builds(
                model,
                st.just(name),
                costs=st.sampled_from(["1", "2", "3"]),
                context_window=st.sampled_from([50, 500]),
                modalities=modalities,
                features=st.frozensets(st.sampled_from(list(Feature))),
            )
            for name in POLICY_MODELS
        )
    ),
    st.lists(
        st.builds(
            route,
            st.sampled_from(["one", "two"]),
            arms=st.dictionaries(st.sampled_from(POLICY_MODELS), st.integers(1, 9), min_size=1),
            all_=st.sampled_from([(), (HIGH,), (DISPUTED,)]),
            sticky_by=st.sampled_from(list(StickyBy)),
            fallbacks=st.none() | some_models,
        ),
        max_size=3,
    ).map(tuple),
    some_models,
    st.booleans(),
)
requests = st.builds(
    features,
    tokens=st.integers(0, 600),
    modalities=modalities.map(lambda some: some | {Modality.TEXT}),
    needs=st.frozensets(st.sampled_from(list(Feature))),
    max_output_tokens=st.none() | st.integers(1, 600),
    model=st.sampled_from(["", "", "a", "zz"]),
    user=st.sampled_from(["", "ada", "bob"]),
    severity=st.none() | st.sampled_from(list(Severity)),
    metadata=st.sampled_from([{}, {"dispute": "1"}]),
)


def outcome(made_of: Policy, request: object, *, request_id: str) -> object:
    """All that can be told of a plan, or of why there is none."""
    try:
        planned = plan(made_of, request, request_id=request_id)  # type: ignore[arg-type]
    except PlanError as error:
        return type(error), str(error)
    trials = [(trial.route, trial.match.holds, trial.match.why()) for trial in planned.trials]
    return planned.steps, planned.route, planned.skipped, trials


@given(policies, requests, st.sampled_from(["r1", "r2"]))
def test_a_plan_names_each_model_once_and_only_those_that_can_serve(
    made_of: Policy, request: object, request_id: str
) -> None:
    try:
        planned = plan(made_of, request, request_id=request_id)  # type: ignore[arg-type]
    except PlanError:
        return
    planned_names = [step.model.name for step in planned.steps]

    assert planned_names
    assert len(planned_names) == len(set(planned_names))
    for step in planned.steps:
        assert request.modalities <= step.model.input_modalities  # type: ignore[attr-defined]
        assert request.needs <= step.model.features  # type: ignore[attr-defined]
        assert request.estimated_input_tokens < step.model.context_window  # type: ignore[attr-defined]
    assert not set(planned_names) & {each.model for each in planned.skipped}


@given(policies, requests, st.sampled_from(["r1", "r2"]), st.randoms(use_true_random=False))
def test_the_same_request_gets_the_same_plan_whatever_the_order_of_the_models(
    made_of: Policy, request: object, request_id: str, random: object
) -> None:
    shuffled = list(made_of.models.values())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = dataclasses.replace(made_of, models={each.name: each for each in shuffled})

    first, again = (outcome(made_of, request, request_id=request_id) for _ in range(2))
    reordered = outcome(other, request, request_id=request_id)

    assert first == again
    # The sentence on an unknown model lists the models in the policy's own order.
    if not (isinstance(first, tuple) and first[0] is UnknownModelError):
        assert first == reordered


def _ejected(*names: str) -> dict[str, Ejected]:
    return {name: Ejected(message="it fails", badness=(float(place), 0.0)) for place, name in enumerate(names)}


def test_an_ejected_model_is_passed_over_and_the_decision_says_why() -> None:
    two = policy(model("mini"), model("flagship"), fallbacks=("flagship",))

    planned = plan(two, features(), request_id="r", ejected=_ejected("mini"))

    assert [(step.model.name, step.reason) for step in planned.steps] == [("flagship", Reason.EJECTED)]
    assert planned.steps[0].message == "mini was chosen (it is the default model) but is left alone for now: it fails"
    assert planned.skipped == (Skipped(model="mini", message="it fails"),)
    assert not planned.panic


def test_an_ejected_fallback_is_passed_over() -> None:
    three = policy(model("mini"), model("flagship"), model("spare"), fallbacks=("flagship", "spare"))

    planned = plan(three, features(), request_id="r", ejected=_ejected("flagship"))

    assert [(step.model.name, step.reason) for step in planned.steps] == [
        ("mini", Reason.DEFAULT),
        ("spare", Reason.FALLBACK),
    ]


def test_where_all_are_ejected_the_least_bad_is_tried() -> None:
    two = policy(model("mini"), model("flagship"), fallbacks=("flagship",))

    planned = plan(two, features(), request_id="r", ejected=_ejected("flagship", "mini"))

    assert [step.model.name for step in planned.steps] == ["flagship"]
    assert planned.panic
    assert planned.steps[0].message.endswith("it fails, and none is better")


def test_a_pinned_model_is_tried_even_where_it_is_ejected() -> None:
    two = policy(model("mini"), model("flagship"), allow_pinning=True)

    planned = plan(two, features(model="mini"), request_id="r", ejected=_ejected("mini"))

    assert [(step.model.name, step.reason) for step in planned.steps] == [("mini", Reason.PINNED)]
    assert planned.panic


def test_an_ejected_model_makes_no_other_one_capable() -> None:
    """Who cannot see is not asked about a picture because the one who can is ill."""
    deaf = frozenset({Modality.TEXT})
    two = policy(model("mini", modalities=deaf), model("flagship"), fallbacks=("flagship",))

    planned = plan(two, features(modalities=EVERY_MODALITY), request_id="r", ejected=_ejected("flagship"))

    assert [step.model.name for step in planned.steps] == ["flagship"]
    assert [each.model for each in planned.skipped] == ["mini"]


@given(data=st.data())
def test_no_ejected_model_is_planned_beside_one_that_is_well(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
    ill = data.draw(st.lists(st.sampled_from(names), unique=True))
    some = policy(*(model(name) for name in names), fallbacks=tuple(names[1:]))

    planned = plan(some, features(), request_id="r", ejected=_ejected(*ill))

    chosen = [step.model.name for step in planned.steps]
    assert chosen == ([name for name in names if name not in ill] or [ill[0]])
    assert planned.panic is (set(names) == set(ill))
    assert planned == plan(some, features(), request_id="r", ejected=_ejected(*ill))


def test_what_is_too_large_by_the_providers_word_goes_to_the_cheapest_with_a_larger_window() -> None:
    four = policy(
        model("mini", context_window=1000),
        model("dear", costs="9", context_window=9000),
        model("huge", costs="5", context_window=9000),
        model("same", context_window=1000),
    )
    planned = plan(four, features(), request_id="r")

    steps = larger(four, features(), planned, ejected={})

    assert [(step.model.name, step.reason) for step in steps] == [
        ("huge", Reason.CAPABILITY),
        ("dear", Reason.CAPABILITY),
    ]
    assert "too large for mini, as the provider says" in steps[0].message
    assert [step.model.name for step in larger(four, features(), planned, ejected=_ejected("huge"))] == ["dear"]


def test_who_named_a_model_gets_no_larger_one() -> None:
    two = policy(model("mini", context_window=1000), model("huge", context_window=9000), allow_pinning=True)
    planned = plan(two, features(model="mini"), request_id="r")

    assert larger(two, features(model="mini"), planned, ejected={}) == ()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(None, ["flagship"], id="the policy's are no choice of its own"),
        pytest.param(("spare",), ["flagship", "spare"], id="its own"),
    ],
)
def test_a_protected_route_has_no_fallbacks_but_its_own(own: tuple[str, ...] | None, expected: list[str]) -> None:
    made_of = policy(
        model("mini"),
        model("flagship"),
        model("spare"),
        routes=(route("all", arms={"flagship": 1}, fallbacks=own, protected=True),),
        fallbacks=("mini",),
    )

    planned = plan(made_of, features(), request_id="r")

    assert [step.model.name for step in planned.steps] == expected
    assert planned.protected


def test_a_protected_request_that_its_models_cannot_serve_is_refused_and_goes_to_no_other() -> None:
    made_of = policy(
        model("mini", modalities=EVERY_MODALITY),
        model("flagship", modalities=TEXT_ONLY),
        routes=(route("all", arms={"flagship": 1}, protected=True),),
    )

    with pytest.raises(NoCapableModelError, match="no model of the protected route all can serve the request"):
        plan(made_of, features(modalities=EVERY_MODALITY), request_id="r")


def test_no_larger_model_takes_the_place_of_a_protected_routes() -> None:
    made_of = policy(
        model("mini", context_window=1_000_000),
        model("flagship", context_window=1_000),
        routes=(route("all", arms={"flagship": 1}, protected=True),),
    )

    assert larger(made_of, features(), plan(made_of, features(), request_id="r"), ejected={}) == ()
