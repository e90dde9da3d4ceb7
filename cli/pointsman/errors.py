"""What may end a command, said to its user in a sentence."""

USAGE = 2


class UserError(Exception):
    """The command cannot be carried out as given. The text says what is wrong and what to do instead."""


class Refusal(UserError):  # noqa: N818 - what was asked is refused; nothing is broken
    """What the files or the request say is refused, as a cluster or a sidecar would refuse it."""

    exit_code = 1
