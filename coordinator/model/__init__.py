"""The values that requests, leases and jobs are made of. No I/O, no clock."""
