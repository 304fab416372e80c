"""What runs the operations against a real Redis: the only package that imports it."""
