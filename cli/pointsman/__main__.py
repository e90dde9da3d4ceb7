"""`python -m pointsman`."""

from pointsman.main import app

app()
