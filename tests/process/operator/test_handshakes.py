"""Sidecars that come back all at once, each with a handshake, end no operator."""

import asyncio
import ssl
import sys

from process.operator.proofs import authority, leaf

# In a process of its own: what this is about ends the process that it happens in.
SERVER = """
import asyncio, os, sys
import grpc
from pointsman_operator.logs import configure_logs
from pointsman_operator.tls import KeyPair, ServingCertificates

async def serve():
    configure_logs("error")
    serving = ServingCertificates()
    key, certificate, ca = (bytes.fromhex(each) for each in sys.stdin.readline().split())
    serving.put(KeyPair(key=key, certificate=certificate), ca_bundle=ca)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    print(server.add_secure_port("127.0.0.1:0", serving.grpc_credentials()), flush=True)
    await server.start()
    await asyncio.to_thread(sys.stdin.readline)

asyncio.run(serve())
"""
AT_ONCE = 100
ROUNDS = 20


async def test_many_handshakes_at_once_end_no_operator() -> None:
    ca = authority()
    pair = leaf(ca, "localhost")
    trust = ssl.create_default_context(cadata=ca.certificate.decode())
    trust.set_alpn_protocols(["h2"])

    async def shake(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="localhost")
        writer.transport.abort()

    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER), stdin=pipe, stdout=pipe, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{pair.key.hex()} {pair.certificate.hex()} {ca.certificate.hex()}\n".encode())
        port = int(await process.stdout.readline())
        for _ in range(ROUNDS):
            await asyncio.gather(*(shake(port) for _ in range(AT_ONCE)))
        process.stdin.write(b"\n")
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
