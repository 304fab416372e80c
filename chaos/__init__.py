"""Breaks a running Coordinator on purpose, records what everybody saw, and judges the record afterwards.

Not part of what is installed: `scripts/chaos` runs it from the checkout.
"""
