"""Losses of a number against the true one."""
