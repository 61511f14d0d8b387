"""Commands that are not the server."""
