"""From OpenAI's JSON to values and back; every 400 about a body is decided here."""
