"""The command line of `its-sft`."""
