"""The Open Inference Protocol (V2): requests and responses to infer, in JSON with optional raw bytes."""
