"""The demonstration: real Terraform pull requests, replayed against a real Redis by several processes.

Run from the checkout (`scripts/demo`); not part of the installed package.
"""
