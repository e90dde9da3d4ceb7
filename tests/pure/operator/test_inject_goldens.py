"""Each pod becomes what its golden file says."""

import pytest

from pure.operator.golden_pods import GOLDENS, NAMES, case, golden, outcome


@pytest.mark.parametrize("name", NAMES)
def test_a_pod_becomes_what_its_golden_file_says(name: str) -> None:
    assert outcome(case(name)) == golden(name)


def test_no_golden_file_is_left_over() -> None:
    assert sorted(file.name.removesuffix(".out.yaml") for file in GOLDENS.glob("*.out.yaml")) == NAMES
