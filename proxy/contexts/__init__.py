"""Where contexts come from at run time: the bank, a model that writes them, a store."""
