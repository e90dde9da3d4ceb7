"""A client of the API server that makes many calls at once."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

Json = dict[str, Any]
T = TypeVar("T")

_AT_ONCE = 16
_PLURALS = {"Pod": "pods", "ModelRoutingPolicy": "modelroutingpolicies", "TokenQuota": "tokenquotas"}


class ApiError(Exception):
    """The API server refused a call; the message says which."""


class Api:
    """Get one from `connected`."""

    def __init__(self, session: aiohttp.ClientSession, *, server: str) -> None:
        self._session = session
        self._server = server

    async def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """Make a call; PATCH is a merge patch."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        async with self._session.request(
            method, f"{self._server}{path}", data=json.dumps(body), headers={"Content-Type": kind}
        ) as response:
            answer: Json = await response.json()
            if response.status >= 400:  # noqa: PLR2004 - HTTP's own
                raise ApiError(f"{method} {path}: {answer.get('message', response.status)}")
            return answer

    async def create(self, value: Json) -> Json:
        """Create a pod, a policy or a quota."""
        return await self.ask("POST", collection(value["kind"], value["metadata"]["namespace"]), value)

    async def token(self, namespace: str, account: str, *, pod: Json, audience: str) -> str:
        """A token that is bound to a pod, as the kubelet asks for one."""
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        spec = {"audiences": [audience], "expirationSeconds": 3600, "boundObjectRef": bound}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return str((await self.ask("POST", path, body))["status"]["token"])


def collection(kind: str, namespace: str) -> str:
    """The path of a kind's objects in a namespace."""
    group = "/api/v1" if kind == "Pod" else "/apis/pointsman.dev/v1alpha1"
    return f"{group}/namespaces/{namespace}/{_PLURALS[kind]}"


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """A client with the rights of a kubeconfig that has a token and a CA's file."""
    config = json.loads(kubeconfig.read_text(encoding="utf-8"))  # noqa: ASYNC240 - once, before anything else runs
    cluster = config["clusters"][0]["cluster"]
    trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    connector = aiohttp.TCPConnector(ssl=trust, limit=_AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Api(session, server=cluster["server"])


async def all_of(work: Iterable[Callable[[], Awaitable[T]]], *, done: Callable[[], object]) -> list[T]:
    """Do all of it, as much at once as is good for the API server, in order of the results; `done` after each."""
    waiting = enumerate(work)
    results: dict[int, T] = {}

    async def worker() -> None:
        for number, each in waiting:
            results[number] = await each()
            done()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(worker())
    return [results[number] for number in sorted(results)]
