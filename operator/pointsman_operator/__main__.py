"""`python -m pointsman_operator`: the same as `pointsman-operator`."""

from pointsman_operator.main import main

main()
