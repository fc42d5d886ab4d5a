"""Over HTTP/1.1: what a connection may cost before, between and after its requests."""
