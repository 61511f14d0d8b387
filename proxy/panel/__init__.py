"""The driver of methods: asks the members of a panel and settles on one answer."""
