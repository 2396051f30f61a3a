"""A TCP instance, run as a program: answers each line with its process id and the line. Writes down what it ran.

    python tcp_instance.py LEDGER

Prints its port.
"""

from __future__ import annotations

import os
import socketserver
import sys
from pathlib import Path

LEDGER = Path(sys.argv[1])


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            with LEDGER.open("ab", buffering=0) as ledger:
                ledger.write(line)
            self.wfile.write(b"%d %b" % (os.getpid(), line))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
