"""The commands of the command line, one module each: its help, its options, and `run`."""
