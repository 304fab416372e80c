"""What each process measures, how it gets onto the metrics stream, and how it is read there."""
