"""Co-design, measured end to end: data, training, serving, every cell, the vote - by commands.

The parts of the project are run as their users run them, as child processes; none is imported.
"""
