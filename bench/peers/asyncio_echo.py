"""The echo server on Python's asyncio.

Fairness: a BufferedProtocol, which its documentation offers to those who want speed: what arrives is
read into one buffer of all connections, where an ordinary protocol has 256 KiB allocated for each
message. transport.write sends at once what the kernel takes. A slow reader pauses its own reading by
asyncio's flow control. TCP_NODELAY is asyncio's own default. uvloop would be libuv, which is measured
by itself.
"""

import asyncio
import resource
import sys

buffer = memoryview(bytearray(64 * 1024))


class Echo(asyncio.BufferedProtocol):
    __slots__ = ("_transport",)

    def connection_made(self, transport):
        self._transport = transport

    def get_buffer(self, size_hint):
        return buffer

    def buffer_updated(self, count):
        self._transport.write(bytes(buffer[:count]))  # a copy: it may have to wait

    def pause_writing(self):
        self._transport.pause_reading()

    def resume_writing(self):
        self._transport.resume_reading()


async def main(port: int):
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=4096)
    print(f"listening on tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if len(sys.argv) != 2 or not sys.argv[1].isdigit():
    sys.exit("usage: asyncio_echo.py PORT")
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
asyncio.run(main(int(sys.argv[1])))
