"""The echo server on Python's threads: one for each connection, with blocking calls.

Fairness: what the standard library's socketserver.ThreadingTCPServer does, without its layers. One
buffer for each connection, filled in place, so nothing is allocated for a message. Threads get 256 KiB
of stack, so that thousands fit.
"""

import resource
import socket
import sys
import threading

BUFFER_BYTES = 16 * 1024


def echo(client: socket.socket) -> None:
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with client:
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while count := client.recv_into(buffer):
                client.sendall(buffer[:count])
        except OSError:
            pass  # the peer broke off


if len(sys.argv) != 2 or not sys.argv[1].isdigit():
    sys.exit("usage: threads_echo.py PORT")
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
threading.stack_size(256 * 1024)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
print(f"listening on tcp://127.0.0.1:{listener.getsockname()[1]}", flush=True)
while True:
    client, _ = listener.accept()
    threading.Thread(target=echo, args=(client,), daemon=True).start()
