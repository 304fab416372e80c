"""`python -m chaos`, which is what `scripts/chaos` runs."""

from chaos.cli import app

app(prog_name="scripts/chaos")
