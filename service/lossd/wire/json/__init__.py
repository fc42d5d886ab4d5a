"""JSON: one object of arrays and options, as text."""
