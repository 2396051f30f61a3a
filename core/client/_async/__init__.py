"""The shells that do the I/O of calls. For async code."""
