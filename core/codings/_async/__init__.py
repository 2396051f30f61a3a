"""Bodies of streamed replies. For async code."""
