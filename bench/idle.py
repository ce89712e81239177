"""Holds connections open that have been used once. Says `ready`, and ends with its standard input.

usage: idle.py ADDRESS PORT CONNECTIONS
"""

import socket
import struct
import sys

address, port, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
for _ in range(connections):
    connection = socket.create_connection((address, port), timeout=10)
    # Ends without TIME_WAIT, or the next rounds would find no port left.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"connection {len(held)} was answered {answer[:60]!r}")
    held.append(connection)
print("ready", flush=True)
sys.stdin.read()
