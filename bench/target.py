"""The HTTP target of all subjects: as little work as possible. `python -m bench.target PORT`."""

import asyncio
import sys

BODY = b'{"id": 7, "total": 1250.5, "currency": "EUR"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
HEAD_END = b"\r\n\r\n"


class Target(asyncio.Protocol):
    """Answers every GET of a kept-alive connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        while HEAD_END in self._held:
            _, _, self._held = self._held.partition(HEAD_END)
            self._transport.write(ANSWER)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Target, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
