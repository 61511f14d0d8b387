"""Which method, for how much: methods driven from stored answers, and compared."""
