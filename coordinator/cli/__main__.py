"""`python -m coordinator.cli`, for where the console script is not on the PATH."""

from coordinator.cli.main import run

run()
