"""Talking to engines: connections, limits, retries, refusals, the embedded engine."""
