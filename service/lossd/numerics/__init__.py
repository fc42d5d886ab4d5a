"""Numerical building blocks that know nothing of losses, calls or bytes."""
