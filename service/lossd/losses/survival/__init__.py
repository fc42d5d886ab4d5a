"""Losses of the time until an event."""
