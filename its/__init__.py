"""The core of Input-Time Scaling (Huang and Guo, arXiv 2508.13654).

No network and no clock; what is read once from the package is kept. Only `answers.algebra.worker`
starts processes, and only `cache` has a place of its own on the disk. Training and serving share
it, so a prompt that a checkpoint was trained on and the prompt it is asked with are composed by the
same code.
"""
