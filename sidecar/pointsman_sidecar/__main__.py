"""`python -m pointsman_sidecar`."""

from pointsman_sidecar.main import main

main()
