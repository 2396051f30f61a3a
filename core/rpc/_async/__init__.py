"""The I/O of the built-in transports. For async code."""
