"""Decisions as values: time and chance come in as numbers, and nothing is done here."""
