"""Answers that can be labelled: the last ones, for a while."""

from pointsman_sidecar.completing.feedback import Given, Label, Labels

ANSWER = Given(policy="shop/support", route="legal", model="mini")


def test_an_answer_is_labelled_and_the_same_label_again_is_not_new() -> None:
    labels = Labels()
    labels.gave("a", ANSWER, 0)

    assert labels.label("a", Label.BAD, 1) == (ANSWER, True)
    assert labels.label("a", Label.BAD, 2) == (ANSWER, False)
    assert labels.label("a", Label.GOOD, 3) == (ANSWER, True)
    assert labels.label("b", Label.GOOD, 3) is None


def test_the_oldest_and_those_of_an_hour_ago_are_forgotten() -> None:
    labels = Labels(most=2)
    for at, name in enumerate("abc"):
        labels.gave(name, ANSWER, at)

    assert labels.label("a", Label.BAD, 3) is None
    assert labels.label("b", Label.BAD, 3) == (ANSWER, True)
    assert labels.label("b", Label.GOOD, 3602) is None
    assert labels.label("c", Label.GOOD, 3602) == (ANSWER, True)
