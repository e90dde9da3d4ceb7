"""The connection to the operator: in plain text, or with each side proving itself to the other."""

import asyncio

import grpc

from pointsman_sidecar.control.trust import OperatorTls

_OPTIONS = (
    # A peer that vanished without a word is found within 30 s, and not when somebody next writes.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Without this, a ping that stays without an answer is given a minute, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # gRPC's own waits between connections would come on top of ours.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


def open_channel(operator: str, tls: OperatorTls | None) -> grpc.aio.Channel:
    """A channel; to be closed by the caller."""
    if tls is None:
        return grpc.aio.insecure_channel(operator, options=_OPTIONS)
    # Made anew for each connection, since what is trusted may have changed.
    credentials = grpc.ssl_channel_credentials(root_certificates=tls.trust.bundle)
    options = (*_OPTIONS, ("grpc.ssl_target_name_override", tls.name))
    return grpc.aio.secure_channel(operator, credentials, options=options)


def reason(error: grpc.aio.AioRpcError, tls: OperatorTls | None) -> str:
    """Why there is no stream, in words where gRPC's own are none."""
    said = error.details() or ""
    if tls is not None and "CERTIFICATE_VERIFY_FAILED" in said:
        return "the operator's certificate is not from a CA that this sidecar was told to trust, or has expired"
    if tls is not None and "Hostname Verification" in said:
        return f"the operator's certificate is not for {tls.name}; name the host it is for with --operator-name"
    return f"{error.code().name}: {said}"


def end_if_cancelled() -> None:
    """End the task if it was cancelled; to be called after a stream has failed.

    A call that fails in the moment in which its task is cancelled reports its failure, and gRPC loses the cancellation.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
