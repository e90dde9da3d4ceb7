"""Authorities follow one another so that a client that heard anything within the overlap trusts what is served."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman_operator.tls import CertificateError, KeyPair, Plan, ServingCertificates
from pointsman_operator.tls.certificates import make_authority, make_leaf, validity
from pointsman_operator.tls.rotation import Authorities, Step, next_due, next_step, renewal_of, take
from pointsman_operator.tls.secrets import read, written

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
PLAN = Plan(lifetime=3650 * DAY, overlap=30 * DAY)


def authority(*, now: datetime = NOW, lifetime: timedelta = PLAN.lifetime) -> KeyPair:
    return make_authority(now=now, lifetime=lifetime)


def subject_names(pair: KeyPair) -> list[str]:
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def test_ten_years_in_the_life_of_an_authority() -> None:
    first = Authorities(signing=authority())
    eight_years = NOW + 2920 * DAY

    assert next_step(None, now=NOW, plan=PLAN) is Step.CREATE
    assert next_step(first, now=eight_years - DAY, plan=PLAN) is Step.KEEP
    assert next_step(first, now=eight_years, plan=PLAN) is Step.PREPARE
    both = take(Step.PREPARE, first, now=eight_years, make=lambda: authority(now=eight_years))
    assert both.signing == first.signing
    assert both.following is not None
    assert both.bundle == first.signing.certificate + both.following.certificate
    assert next_step(both, now=eight_years + 29 * DAY, plan=PLAN) is Step.KEEP
    assert next_step(both, now=eight_years + 30 * DAY, plan=PLAN) is Step.PROMOTE
    second = take(Step.PROMOTE, both, now=eight_years + 30 * DAY, make=authority)
    assert second == Authorities(signing=both.following, retired=(first.signing.certificate,))
    assert next_step(second, now=NOW + 3649 * DAY, plan=PLAN) is Step.KEEP
    assert next_step(second, now=NOW + 3650 * DAY, plan=PLAN) is Step.DROP
    assert take(Step.DROP, second, now=NOW + 3650 * DAY, make=authority) == Authorities(signing=second.signing)


def test_an_authority_that_ended_while_nobody_looked_is_replaced_at_once() -> None:
    known = Authorities(signing=authority(), retired=(authority().certificate,))

    assert next_step(known, now=NOW + 3650 * DAY, plan=PLAN) is Step.CREATE
    assert take(Step.CREATE, known, now=NOW, make=authority).retired == ()


def test_a_life_that_is_shorter_than_the_overlap_still_has_one() -> None:
    plan = Plan(lifetime=10 * DAY, overlap=30 * DAY)
    known = Authorities(signing=authority(lifetime=plan.lifetime))
    later = NOW + 8 * DAY
    both = take(Step.PREPARE, known, now=later, make=lambda: authority(now=later, lifetime=plan.lifetime))

    assert next_due(both, plan=plan) == (NOW + 9 * DAY, Step.PROMOTE)


def test_of_a_retired_authority_only_the_certificate_is_kept() -> None:
    following = authority()
    known = Authorities(signing=authority(), following=following)
    entries = written(take(Step.PROMOTE, known, now=NOW, make=authority))

    assert [name for name, value in entries.items() if value is None] == ["next.crt", "next.key"]
    assert read({"data": {name: value for name, value in entries.items() if value is not None}}) == Authorities(
        signing=following, retired=(known.signing.certificate,)
    )


@settings(deadline=None, max_examples=50)
@given(
    lifetime=st.integers(100, 4000),
    overlap=st.integers(1, 500),
    looks=st.lists(st.integers(1, 200), min_size=1, max_size=40),
)
def test_whenever_one_looks_what_signs_is_good_and_was_announced_before(
    lifetime: int, overlap: int, looks: list[int]
) -> None:
    plan = Plan(lifetime=timedelta(hours=lifetime), overlap=timedelta(hours=overlap))
    known: Authorities | None = None
    announced: dict[bytes, datetime] = {}
    for hours in itertools.accumulate(looks):
        now = NOW + timedelta(hours=hours)
        before = known
        steps = []
        while known is None or steps[-1:] != [Step.KEEP]:
            steps.append(step := next_step(known, now=now, plan=plan))
            known = take(step, known, now=now, make=lambda: authority(now=now, lifetime=plan.lifetime))  # noqa: B023 - used at once
            assert len(steps) < 10
        signing = known.signing.certificate
        assert now < validity(signing).ends
        assert all(now < validity(each).ends for each in known.retired)
        announced.setdefault(signing, now)
        if known.following is not None:
            announced.setdefault(known.following.certificate, now)
        if before is not None and signing != before.signing.certificate and Step.CREATE not in steps:
            # It was trusted for a while before it signed, and the one before it is trusted as long as it is good.
            ended = validity(before.signing.certificate).ends
            assert (before.signing.certificate in known.bundle) == (now < ended)
            assert now - announced[signing] >= min(plan.overlap, (ended - announced[signing]) / 2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ca.crt": None, "ca.key": None}, "ca.crt is missing"),
        ({"ca.key": None}, "ca.crt and ca.key: the key is not one in PEM form"),
        ({"ca.key": "%"}, "ca.key is not base64"),
        ({"ca.crt": "bm8="}, "ca.crt and ca.key: the certificate is not one in PEM form"),
        ({"next.crt": "bm8=", "next.key": "bm8="}, "next.crt and next.key"),
        ({"retired.crt": "bm8="}, "there is no certificate in PEM form"),
    ],
)
def test_a_secret_that_is_not_ours_is_said_to_be_so(change: dict[str, str | None], sentence: str) -> None:
    entries = written(Authorities(signing=authority())) | change

    with pytest.raises(CertificateError, match=sentence):
        read({"data": {name: value for name, value in entries.items() if value is not None}})


def test_a_server_certificate_is_for_its_names_and_ends_with_its_authority() -> None:
    signing = authority(lifetime=2 * DAY)

    short = make_leaf(signing, names=["pointsman", "10.0.0.1"], now=NOW, lifetime=DAY)
    late = make_leaf(signing, names=["pointsman"], now=NOW + 1.5 * DAY, lifetime=DAY)

    assert subject_names(short) == ["pointsman", "10.0.0.1"]
    assert renewal_of(short) == NOW + timedelta(hours=16)
    assert validity(late.certificate).ends == NOW + 2 * DAY


def test_keys_appear_in_no_representation() -> None:
    pair = authority()

    assert "PRIVATE" not in repr(Authorities(signing=pair, following=pair))


def test_a_certificate_and_a_key_of_another_are_not_served() -> None:
    serving = ServingCertificates()
    one, other = authority(), authority()

    with pytest.raises(CertificateError, match="the key is not the certificate's"):
        serving.put(KeyPair(certificate=one.certificate, key=other.key), ca_bundle=one.certificate)

    assert not serving.ready


def test_a_change_is_told_and_the_same_again_is_none() -> None:
    serving = ServingCertificates()
    told: list[bytes] = []
    serving.on_change(lambda: told.append(serving.ca_bundle))
    signing = authority()
    leaf = make_leaf(signing, names=["localhost"], now=NOW, lifetime=DAY)

    serving.put(leaf, ca_bundle=signing.certificate)
    serving.put(leaf, ca_bundle=signing.certificate)
    other = authority().certificate
    serving.put(leaf, ca_bundle=signing.certificate + other)

    assert told == [signing.certificate, signing.certificate + other]


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    assert ServingCertificates().ssl_context.minimum_version.name == "TLSv1_2"
