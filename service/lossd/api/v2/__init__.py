"""The Open Inference Protocol over HTTP: every loss is a model, and clients of model servers need not change."""
