"""The operations, each written once as a generator of steps. No network, no clock."""
