"""Which pod a token proves: what the API server says decides, and nothing that is read from the token."""

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.identity.cache import LONGEST_SECONDS, Proof, ProofCache
from pointsman_operator.identity.pacing import LONGEST_WAIT_SECONDS, Pacer
from pointsman_operator.identity.reviews import ProvenPod, judge
from pointsman_operator.identity.tokens import LONGEST, claimed_end
from pointsman_operator.push import IdentityUnavailableError, UnidentifiedError

AUDIENCE = "pointsman.dev"
BOUND = {
    "authentication.kubernetes.io/pod-name": ["app-1"],
    "authentication.kubernetes.io/pod-uid": ["uid-1"],
    "authentication.kubernetes.io/node-name": ["node-1"],
}
POD = ProvenPod(namespace="shop", name="app-1", uid="uid-1", service_account="shop:default")


def user(username: str = "system:serviceaccount:shop:default", extra: object = None) -> dict[str, Any]:
    return {"username": username, "groups": ["system:serviceaccounts"], "extra": BOUND if extra is None else extra}


def said(**more: Any) -> dict[str, Any]:
    return {"authenticated": True, "audiences": [AUDIENCE], "user": user(), **more}


def token(payload: object) -> str:
    """A token as a service account's looks, with this between its dots."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return f"e30.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.c2ln"


def test_a_token_that_is_accepted_proves_the_pod_that_it_is_bound_to() -> None:
    assert judge(said(), audience=AUDIENCE) == POD


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        pytest.param({}, "the API server does not accept the token: it gives no reason", id="nothing is said"),
        pytest.param(
            {"authenticated": False, "error": "[service account token has expired]"},
            "the API server does not accept the token: [service account token has expired]",
            id="expired",
        ),
        pytest.param(said(authenticated="true"), "does not accept the token", id="not quite true"),
        pytest.param(said(audiences=None), "not for the audience pointsman.dev", id="a server without audiences"),
        pytest.param(said(audiences=["vault"]), "not for the audience pointsman.dev", id="another audience"),
        pytest.param(said(user=None), "does not say whose the token is", id="nobody's"),
        pytest.param(said(user=user("alice")), "the token is no service account's", id="a person's"),
        pytest.param(
            said(user=user("system:serviceaccount:shop:")), "the token is no service account's", id="no account"
        ),
        pytest.param(
            said(user=user("system:serviceaccount::default")), "the token is no service account's", id="no namespace"
        ),
        pytest.param(said(user=user("xsystem:serviceaccount:shop:default")), "no service account's", id="almost one"),
        pytest.param(said(user=user(extra={})), "the token is bound to no pod", id="bound to nothing"),
        pytest.param(
            said(user=user(extra={"authentication.kubernetes.io/pod-name": ["app-1"]})),
            "the token is bound to no pod",
            id="a pod without uid",
        ),
        pytest.param(
            said(user=user(extra=BOUND | {"authentication.kubernetes.io/pod-uid": ["uid-1", "uid-2"]})),
            "the token is bound to no pod",
            id="two pods",
        ),
        pytest.param(
            said(user=user(extra=BOUND | {"authentication.kubernetes.io/pod-name": "app-1"})),
            "the token is bound to no pod",
            id="no list",
        ),
    ],
)
def test_whatever_else_the_api_server_says_proves_nothing(status: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnidentifiedError, match=sentence.replace("[", r"\[")):
        judge(status, audience=AUDIENCE)


def test_the_end_of_a_token_is_read_from_it() -> None:
    assert claimed_end(token({"exp": 2000}), now=1000) == 2000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the hello has no token; this operator believes no claim"),
        ("sk-live-1234", "the token is no service-account token"),
        ("a." * 2 + "b" * LONGEST, "the token is no service-account token"),
        (token({"exp": 1000}), "the token has expired"),
        (token({}), "it does not say when it ends"),
        (token({"exp": "soon"}), "it does not say when it ends"),
        (token({"exp": None}), "it does not say when it ends"),
        (token([1]), "it does not say when it ends"),
        (token(b'{"exp": NaN}'), "it does not say when it ends"),
        (token(b"[" * 5000), "it does not say when it ends"),
        ("a.%%%.c", "it does not say when it ends"),
    ],
)
def test_what_cannot_be_a_pods_token_is_refused_without_asking_anybody(text: str, sentence: str) -> None:
    with pytest.raises(UnidentifiedError) as caught:
        claimed_end(text, now=1000)

    assert sentence in str(caught.value)
    assert not text or text not in str(caught.value)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading_of_a_token(text: str) -> None:
    for candidate in (text, f"a.{text}.b"):
        try:
            assert claimed_end(candidate, now=0) > 0
        except UnidentifiedError:
            continue


@given(
    ends=st.floats(0, 300),
    put_at=st.floats(0, 100),
    later=st.floats(0, 300),
)
def test_an_answer_is_never_kept_beyond_a_minute_nor_beyond_its_token(ends: float, put_at: float, later: float) -> None:
    cache = ProofCache()
    proof = Proof(pod=POD, ends=ends)
    cache.put("digest", proof, now=put_at)

    found = cache.get("digest", now=put_at + later)

    good = later < LONGEST_SECONDS and put_at + later < ends
    assert (found is not None) == (good and put_at + later < put_at + LONGEST_SECONDS)


def test_what_is_no_longer_good_takes_no_room() -> None:
    cache = ProofCache()
    for second in range(1000):
        cache.put(str(second), Proof(pod=POD, ends=10_000), now=second)

    assert len(cache) == LONGEST_SECONDS


def test_a_pod_that_is_gone_takes_its_answers_with_it() -> None:
    cache = ProofCache()
    other = ProvenPod(namespace="shop", name="app-1", uid="uid-2", service_account="shop:app")
    cache.put("one", Proof(pod=POD, ends=100), now=0)
    cache.put("two", Proof(pod=other, ends=100), now=0)

    cache.drop("uid-1")

    assert cache.get("one", now=1) is None
    assert cache.get("two", now=1) is not None


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waited: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Note the wait, and let others run."""
        self.waited.append(seconds)
        await asyncio.sleep(0)


async def test_two_thousand_at_once_are_spread_and_those_that_would_wait_too_long_are_sent_away() -> None:
    time = Time()
    pacer = Pacer(clock=lambda: time.now, random=lambda: 0.0, sleep=time.sleep, per_second=200, at_once=20)

    async def come() -> bool:
        try:
            async with pacer.turn():
                return True
        except IdentityUnavailableError:
            return False

    served = await asyncio.gather(*(come() for _ in range(2000)))

    # A burst, and then as many as the rate lets through while the last of them waits.
    assert sum(served) == pytest.approx(20 + 200 * LONGEST_WAIT_SECONDS, abs=2)
    assert max(time.waited) <= LONGEST_WAIT_SECONDS
    assert time.waited == sorted(time.waited)


async def test_no_more_than_a_few_are_asked_for_at_the_same_time() -> None:
    time = Time()
    pacer = Pacer(clock=lambda: time.now, random=lambda: 0.0, sleep=time.sleep, per_second=1000, at_once=3)
    running, most = 0, 0

    async def come() -> None:
        nonlocal running, most
        async with pacer.turn():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(come() for _ in range(50)))

    assert most == 3
