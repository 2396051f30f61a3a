"""When an endpoint is left out and how it comes back: decisions without I/O, clock or chance of their own."""
