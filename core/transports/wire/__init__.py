"""The wire: HTTP/1.1 straight to an address, and nothing else.

`head` makes the bytes of a request, `reader` makes sense of the bytes of an answer: both without I/O. The two channels
move bytes: one over blocking sockets, one over asyncio.
"""
