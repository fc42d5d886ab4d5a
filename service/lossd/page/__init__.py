"""The pages: what people see of the catalogue, rendered from the declarations with numbers of the engine."""
