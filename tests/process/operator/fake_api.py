"""As much of the Kubernetes API, over real HTTP, as the operator uses: discovery, lists, watches and status patches."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from pure.operator.objects import OPERATOR_NAMESPACE, Json

GROUP = "/apis/pointsman.dev/v1alpha1"
POLICIES = f"{GROUP}/modelroutingpolicies"
PROVIDERS = f"{GROUP}/modelproviders"
QUOTAS = f"{GROUP}/tokenquotas"
NAMESPACES = "/api/v1/namespaces"
PODS = "/api/v1/pods"
SECRETS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets"
CONFIG_MAPS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/configmaps"
EVENTS = "/apis/events.k8s.io/v1"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_VERBS = ["list", "watch", "patch"]


class FakeApi:
    """Objects by collection, to be changed through `write` and `delete`.

    `failing` answers a path with a status, `page` every list with something else.
    """

    def __init__(self) -> None:
        # Pods of one namespace stand apart from all pods, for whoever lists them so.
        self.objects: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        for path in (POLICIES, PROVIDERS, QUOTAS, NAMESPACES, PODS, SECRETS, CONFIG_MAPS):
            self.objects[path] = {}
        self.failing: dict[str, int] = {}
        self.refused: Counter[str] = Counter()
        # A path that is asked waits for this.
        self.held: dict[str, asyncio.Event] = {}
        self.token = "first"
        self.page_size: int | None = None
        self.page: Json | None = None
        self.lists: Counter[str] = Counter()
        # With which parameters each path was listed.
        self.queries: defaultdict[str, list[Json]] = defaultdict(list)
        self.patches: list[Json] = []
        # By name.
        self.events: dict[str, Json] = {}
        # What is said of a token, by the token; and of which tokens it was asked.
        self.tokens: dict[str, Json] = {}
        self.reviewed: list[str] = []
        self.looked_up: list[str] = []
        self.writes: list[str] = []
        self.url = ""
        self._version = 100
        self._watches: defaultdict[str, list[asyncio.Queue[Json | None]]] = defaultdict(list)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """The server, listening."""
        api = cls()
        app = web.Application(middlewares=[api._guard])
        app.router.add_get("/api", _answer({"versions": ["v1"]}))
        app.router.add_get("/apis", _answer({"groups": [_group()]}))
        core = [_resource("namespaces", "Namespace"), _resource("pods", "Pod", namespaced=True)]
        app.router.add_get("/api/v1", _answer({"resources": core}))
        app.router.add_get(
            GROUP,
            _answer(
                {
                    "resources": [
                        _resource("modelroutingpolicies", "ModelRoutingPolicy", namespaced=True),
                        _resource("modelproviders", "ModelProvider"),
                        _resource("tokenquotas", "TokenQuota", namespaced=True),
                    ]
                }
            ),
        )
        for path in api.objects:
            app.router.add_get(path, api._collection)
        app.router.add_patch("/{path:.*}/status", api._patch)
        app.router.add_post(REVIEWS, api._review)
        app.router.add_post(f"{EVENTS}/namespaces/{{namespace}}/events", api._create_event)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods/{name}", api._pod)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods", api._collection)
        app.router.add_post(SECRETS, api._create)
        app.router.add_post(CONFIG_MAPS, api._create)
        app.router.add_patch(f"{CONFIG_MAPS}/{{name}}", api._patch_data)
        app.router.add_get(f"{SECRETS}/{{name}}", api._secret)
        app.router.add_patch(f"{SECRETS}/{{name}}", api._patch_data)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield api
        finally:
            api.end_watches()
            await runner.cleanup()

    def kubeconfig(self, folder: Path) -> str:
        """Write a kubeconfig with the token that is good now, and return its path."""
        file = folder / "kubeconfig"
        config = {
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {"token": self.token}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }
        file.write_text(json.dumps(config))
        return str(file)

    def write(self, path: str, value: Mapping[str, Any], *, told: bool = True) -> None:
        """Write an object under a new version; watches are told unless they are to miss it."""
        written = self._stamped(value)
        change = "MODIFIED" if written["metadata"]["name"] in self.objects[path] else "ADDED"
        self.objects[path][written["metadata"]["name"]] = written
        self._tell(path, {"type": change, "object": written}, told=told)

    def delete(self, path: str, name: str, *, told: bool = True) -> None:
        """Delete an object; watches are told unless they are to miss it."""
        deleted = self._stamped(self.objects[path].pop(name))
        self._tell(path, {"type": "DELETED", "object": deleted}, told=told)

    def restore(self) -> None:
        """Go back to a time before anything was written."""
        self._version = 1
        for objects in self.objects.values():
            objects.clear()
        self.end_watches()

    def expire(self, path: str) -> None:
        """Tell watches that what they ask for lies too far back."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        self._tell(path, {"type": "ERROR", "object": status}, told=True)
        self.end_watches(path)

    def end_watches(self, *paths: str) -> None:
        """End the streams, of these collections or of all."""
        for path in paths or self._watches:
            for queue in self._watches[path]:
                queue.put_nowait(None)

    def watched(self, path: str) -> bool:
        """Whether somebody watches."""
        return bool(self._watches[path])

    def _stamped(self, value: Mapping[str, Any]) -> Json:
        self._version += 1
        return {**value, "metadata": {**value["metadata"], "resourceVersion": str(self._version)}}

    def _tell(self, path: str, event: Json, *, told: bool) -> None:
        for queue in self._watches[path] if told else ():
            queue.put_nowait(event)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        if request.method != "GET":
            self.writes.append(f"{request.method} {request.path}")
        if request.path in self.held:
            await self.held[request.path].wait()
        if request.path in self.failing:
            self.refused[request.path] += 1
            return _status(self.failing[request.path], "made to fail")
        response: web.StreamResponse = await handler(request)
        return response

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request)
        if self.page is not None:
            return web.json_response(self.page)
        self.queries[request.path].append(dict(request.query))
        start = int(request.query.get("continue", "0"))
        label, _, value = request.query.get("labelSelector", "").partition("=")
        items = list(self.objects[request.path].values())
        if request.path == CONFIG_MAPS:
            items = [item for item in items if item["metadata"].get("labels", {}).get(label) == value]
        end = len(items) if self.page_size is None else start + self.page_size
        if start == 0:
            self.lists[request.path] += 1
        metadata: Json = {"resourceVersion": str(self._version)}
        if end < len(items):
            metadata["continue"] = str(end)
        return web.json_response({"kind": "List", "metadata": metadata, "items": items[start:end]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self._watches[request.path].append(queue)
        try:
            while (event := await queue.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._watches[request.path].remove(queue)
        return response

    async def _review(self, request: web.Request) -> web.StreamResponse:
        spec = (await request.json())["spec"]
        self.reviewed.append(spec["token"])
        said = self.tokens.get(spec["token"], {"authenticated": False, "error": "[invalid bearer token]"})
        return web.json_response({"kind": "TokenReview", "spec": spec, "status": said}, status=201)

    async def _pod(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.looked_up.append(name)
        found = self.objects[PODS].get(name)
        if found is None or found["metadata"]["namespace"] != request.match_info["namespace"]:
            return _status(404, "not found")
        return web.json_response(found)

    async def _secret(self, request: web.Request) -> web.StreamResponse:
        found = self.objects[SECRETS].get(request.match_info["name"])
        return _status(404, "not found") if found is None else web.json_response(found)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if (name := body["metadata"]["name"]) in self.objects[request.path]:
            return _status(409, "already exists")
        self.write(request.path, body)
        return web.json_response(self.objects[request.path][name], status=201)

    async def _patch_data(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        path = request.path.rpartition("/")[0]
        if (there := self.objects[path].get(request.match_info["name"])) is None:
            return _status(404, "not found")
        if body["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified")
        data = {name: value for name, value in {**there["data"], **body["data"]}.items() if value is not None}
        self.write(path, {**there, "data": data})
        return web.json_response(self.objects[path][there["metadata"]["name"]])

    async def _create_event(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if (name := body["metadata"]["name"]) in self.events:
            return _status(409, "already exists")
        self.events[name] = body
        return web.json_response(body, status=201)

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        *_, plural, name, _ = request.path.split("/")
        path = f"{GROUP}/{plural}"
        body = await request.json()
        self.patches.append({"path": request.path, "type": request.content_type, **body})
        if (there := self.objects[path].get(name)) is None:
            return _status(404, "not found")
        if body["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified")
        self.write(path, {**there, "status": _merged(there.get("status"), body["status"])})
        return web.json_response(self.objects[path][name])


def _merged(there: Any, patch: Any) -> Any:
    """A merge patch, applied: null removes."""
    if not isinstance(patch, dict):
        return patch
    kept = there if isinstance(there, dict) else {}
    return {
        name: _merged(kept.get(name), patch[name]) if name in patch else kept[name]
        for name in {**kept, **patch}
        if patch.get(name, ...) is not None
    }


def _answer(value: Json) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(value)

    return answer


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)


def _group() -> Json:
    version = {"groupVersion": "pointsman.dev/v1alpha1", "version": "v1alpha1"}
    return {"name": "pointsman.dev", "versions": [version], "preferredVersion": version}


def _resource(plural: str, kind: str, *, namespaced: bool = False) -> Json:
    return {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": namespaced, "verbs": _VERBS}
