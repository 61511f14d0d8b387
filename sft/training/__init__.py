"""Training files, what they need, running Axolotl, and what the trainer really saw."""
