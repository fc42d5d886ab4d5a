"""Who may call, and how much: keys, tokens and rates, without HTTP."""
