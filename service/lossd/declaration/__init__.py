"""The language in which a loss is declared."""
