"""The pure core of Input-Time Scaling (Huang and Guo, arXiv 2508.13654).

No network, no clock, no global state. Training and serving share it, so a prompt that a
checkpoint was trained on and the prompt it is asked with are composed by the same code.
"""
