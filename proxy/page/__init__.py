"""The page: what it shows of requests, and its own files."""
