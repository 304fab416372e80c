"""Other people's interfaces on our engine."""
