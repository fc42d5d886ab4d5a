"""safetensors: a JSON header and the bytes of the arrays."""
