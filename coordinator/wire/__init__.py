"""What goes over the wire: steps, scripts, calls and replies. No network."""
