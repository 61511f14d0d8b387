"""An OpenAI-compatible proxy that asks a checkpoint the way it was trained, or votes over many."""
