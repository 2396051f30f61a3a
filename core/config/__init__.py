"""Configuration: the models, the reader of files, and the JSON Schema. Import from the modules."""
