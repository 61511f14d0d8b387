"""What stands in front of every request: ids, time limits, hosts, keys."""
