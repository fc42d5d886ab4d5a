"""Losses of the cost of moving one distribution to another."""
