"""Losses of boxes: how far a predicted box is from covering the true one."""
