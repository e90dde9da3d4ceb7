"""What a client can do that has no proto at hand: list the services, build a request, send it, look at the health."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from support.sidecars import Sidecar, running_sidecar

SERVICE = "pointsman_api.v1.Completions"
QUESTION = {
    "messages": [{"role": "ROLE_USER", "content": [{"text": "What is 2 + 2?"}]}],
    "hints": {"severity": "SEVERITY_HIGH"},
}


def _explore(address: str) -> tuple[list[str], list[str], dict[str, Any], list[dict[str, Any]]]:
    """The services, the methods of ours, and answers to one question: whole and streamed. Knows the address alone."""
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = sorted(database.get_services())
        service = DescriptorPool(database).FindServiceByName(SERVICE)
        complete, stream = service.methods_by_name["Complete"], service.methods_by_name["CompleteStream"]
        request = json_format.ParseDict(QUESTION, message_factory.GetMessageClass(complete.input_type)())

        def read_as(kind: Any) -> Any:
            return message_factory.GetMessageClass(kind).FromString

        call: Any = channel.unary_unary(
            f"/{SERVICE}/Complete",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=read_as(complete.output_type),
        )
        streamed: Any = channel.unary_stream(
            f"/{SERVICE}/CompleteStream",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=read_as(stream.output_type),
        )
        whole = json_format.MessageToDict(call(request, timeout=5))
        events = [json_format.MessageToDict(event) for event in streamed(request, timeout=5)]
        return services, sorted(service.methods_by_name), whole, events


async def test_a_client_without_a_proto_can_list_and_call_the_service(sidecar: Sidecar) -> None:
    services, methods, whole, events = await asyncio.to_thread(_explore, sidecar.address)

    assert services == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", SERVICE]
    assert methods == ["Complete", "CompleteStream", "Explain", "GetUsage", "GiveFeedback"]
    assert whole["choices"][0]["message"]["content"][0]["text"].startswith("[gpt-4o] ")
    assert whole["decision"]["reason"] == "REASON_ROUTE"
    assert [list(event) for event in (events[0], events[-1])] == [["started"], ["finished"]]


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_is_a_local_fact(service: str) -> None:
    """A sidecar that has heard nothing of the operator is healthy: its pod must start without the control plane."""
    async with running_sidecar() as sidecar:
        health: Any = health_pb2_grpc.HealthStub(sidecar.channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))

    assert answer.status == health_pb2.HealthCheckResponse.SERVING
