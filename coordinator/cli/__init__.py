"""The command line: each command parses, makes one call of the client, and renders. What it prints is made by pure
functions (`sentences`, `tables`, `details`, `frame` for people, `shapes` for programs)."""
