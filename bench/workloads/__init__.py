"""What is measured: one module per group of workloads."""
