"""What is scored of a conversation: what is asked now, and what it leans on."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.complexity import Turn, prompt_text

_LONG = (
    "Which of the two contracts binds the seller, if the first was signed under duress and the second in error? " * 2
)


def test_a_long_turn_stands_for_itself() -> None:
    turns = [Turn("system", "You are kind."), Turn("user", "Hi"), Turn("assistant", "Hello!"), Turn("user", _LONG)]

    assert prompt_text(turns) == _LONG


def test_a_short_turn_leans_on_the_one_before_and_on_the_system() -> None:
    turns = [
        Turn("system", "You are kind."),
        Turn("user", _LONG),
        Turn("assistant", "The first."),
        Turn("user", "Why?"),
    ]

    assert prompt_text(turns) == f"You are kind.\n{_LONG}\nWhy?"


def test_what_a_tool_answered_is_not_asked() -> None:
    turns = [Turn("user", _LONG), Turn("assistant", ""), Turn("tool", "42")]

    assert prompt_text(turns) == _LONG


def test_the_names_of_tools_stand_at_the_end() -> None:
    assert prompt_text([Turn("user", _LONG)], tools=["search", "buy"]) == f"{_LONG}\nsearch buy"


def test_without_a_user_the_last_that_was_said_is_scored() -> None:
    assert prompt_text([Turn("system", "Tell a joke."), Turn("assistant", "")]) == "Tell a joke."


def test_nothing_said_is_an_empty_text() -> None:
    assert not prompt_text([])
    assert not prompt_text([Turn("user", "")])


@given(
    turns=st.lists(st.builds(Turn, st.sampled_from(["system", "user", "assistant", "tool"]), st.text(max_size=900))),
    tools=st.lists(st.text()),
)
def test_what_surrounds_the_turn_has_a_bound(turns: list[Turn], tools: list[str]) -> None:
    longest = max((len(each.text) for each in turns), default=0)

    assert len(prompt_text(turns, tools=tools)) <= longest + 160 + 400 + 160 + 3
