"""Calls to the Kubernetes API, and the few errors that they end in.

The client's generated methods are left alone: they cover all of Kubernetes, cost start-up time and memory accordingly,
and would leave nothing shorter here.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from pointsman_operator.resources import Key, Kind
from pointsman_operator.resources.kinds import (
    GROUP,
    INJECT_LABEL,
    INJECTED_LABEL,
    INJECTED_SELECTOR,
    INJECTION_ANNOTATION,
    MIRROR_ANNOTATION,
    PLURALS,
    VERSION,
)
from pointsman_operator.status import EventError, StatusConflictError, StatusUnavailableError
from pointsman_operator.watch.connection import Connector, NoConnectionError
from pointsman_operator.world import Change

T = TypeVar("T")

_CALL_SECONDS = 30.0
_WATCH_SECONDS = 240  # of our asking: a stream that has silently died does not stay for ever
# Reading a page stops everything else for a moment, and holds it whole.
_PAGE = 200
_RUNS = "status.phase!=Succeeded,status.phase!=Failed"
_SELECTION = {
    # Helm keeps whole releases in Secrets, the operator's own among them.
    Kind.SECRET: {"fieldSelector": "type!=helm.sh/release.v1"},
    Kind.POD: {"labelSelector": INJECTED_SELECTOR, "fieldSelector": _RUNS},
}
_WITHOUT_SIDECAR = f"{INJECTED_LABEL}!=true"
_JSON = "application/json"
# Of a pod, which is large, only who it is.
METADATA_ONLY = f"{_JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{_JSON}"
_METADATA_LIST = f"{_JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{_JSON}"
_POD_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels", "ownerReferences", "deletionTimestamp")
_POD_ANNOTATIONS = (INJECTION_ANNOTATION, MIRROR_ANNOTATION)
_CONTENT = {"PATCH": "application/merge-patch+json", "POST": _JSON}
_CHANGES = {"BOOKMARK": None, "DELETED": Change.DELETED}


class ClusterError(Exception):
    """A call failed, and may succeed later; the message says why. `status` is the answer's, 0 where there was none."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Listing(Generic[T]):
    """All objects of a kind, as they stood at one version."""

    items: list[T]
    resource_version: str


class Cluster:
    """The API server. To be used as a context manager, within one event loop."""

    def __init__(self, connector: Connector, *, secrets_namespace: str) -> None:
        self._connector = connector
        self._client: ApiClient | None = None
        self._closed = False
        group = f"/apis/{GROUP}/{VERSION}"
        self._collections = {
            Kind.POLICY: f"{group}/{PLURALS[Kind.POLICY]}",
            Kind.PROVIDER: f"{group}/{PLURALS[Kind.PROVIDER]}",
            Kind.QUOTA: f"{group}/{PLURALS[Kind.QUOTA]}",
            Kind.NAMESPACE: "/api/v1/namespaces",
            Kind.SECRET: f"/api/v1/namespaces/{secrets_namespace}/secrets",
            Kind.POD: "/api/v1/pods",
        }

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        await self._disconnect()

    async def list(self, kind: Kind, *, read: Callable[[dict[str, Any]], T]) -> Listing[T]:
        """List a kind: Secrets in the operator's namespace, running pods with a sidecar, all of whatever else.

        What `read` makes of each object is what is kept of it, so that no more than a page is held as it was sent.
        """
        selection = _SELECTION.get(kind, {})
        try:
            return await self._list(self._collections[kind], pods=kind is Kind.POD, read=read, **selection)
        except ClusterError as error:
            raise _unknown_kind(kind, error) from error

    async def list_without_sidecar(self, namespace: str = "", *, read: Callable[[dict[str, Any]], T]) -> Listing[T]:
        """List running pods without a sidecar: of a namespace those that do not decline, else all that ask for one."""
        wish = f"{INJECT_LABEL}!=false" if namespace else f"{INJECT_LABEL}=true"
        path = f"/api/v1/namespaces/{namespace}/pods" if namespace else self._collections[Kind.POD]
        selector = f"{wish},{_WITHOUT_SIDECAR}"
        return await self._list(path, pods=True, read=read, labelSelector=selector, fieldSelector=_RUNS)

    async def _list(
        self, path: str, *, pods: bool, read: Callable[[dict[str, Any]], T], **selection: str
    ) -> Listing[T]:
        query = {"limit": str(_PAGE), **selection}
        items: list[T] = []
        while True:
            page = await self.ask("GET", path, query=query, accept=_METADATA_LIST if pods else _JSON)
            with _reading():
                found = page["items"] or ()  # the API server writes an empty list of metadata as null
                items += map(read, map(_trimmed, found) if pods else found)
                if not (token := page["metadata"].get("continue")):
                    return Listing(items=items, resource_version=str(int(page["metadata"]["resourceVersion"])))
                query["continue"] = token

    async def watch_secrets(self, *, since: str) -> AsyncIterator[tuple[Change | None, dict[str, Any]]]:
        """Changes of Secrets after a version, until the server ends the stream.

        None in a change's place comes with a bookmark, which is no object but has a resourceVersion to go on from.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": since}
        query |= _SELECTION[Kind.SECRET]
        query["timeoutSeconds"] = str(_WATCH_SECONDS)
        path = self._collections[Kind.SECRET]
        response = await self._call("GET", path, query=query, seconds=_WATCH_SECONDS + _CALL_SECONDS)
        try:
            while line := await response.content.readline():
                with _reading():
                    event = json.loads(line)
                    kind, value = event["type"], event["object"]
                    if kind == "ERROR":
                        raise _refused(value["code"], value["message"])
                    int(value["metadata"]["resourceVersion"])
                yield _CHANGES.get(kind, Change.WRITTEN), value
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a line longer than any object is
            raise ClusterError(f"the watch of Secrets broke: {error}") from error
        finally:
            response.close()

    async def write_status(
        self, kind: Kind, key: Key, *, resource_version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Write a status, only if the object is still of this version; return the object as it is then."""
        where = f"namespaces/{key.namespace}/" if key.namespace else ""
        path = f"/apis/{GROUP}/{VERSION}/{where}{PLURALS[kind]}/{key.name}/status"
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        try:
            written: Mapping[str, Any] = await self.ask("PATCH", path, body=body)
        except ClusterError as error:
            if error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise StatusConflictError(str(error)) from error
            raise StatusUnavailableError(str(error)) from error
        return written

    async def create_event(self, value: Mapping[str, Any]) -> None:
        """Make an Event of events.k8s.io, unless there is one of that name."""
        path = f"/apis/events.k8s.io/v1/namespaces/{value['metadata']['namespace']}/events"
        try:
            await self.ask("POST", path, body=value)
        except ClusterError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise EventError(str(error)) from error

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        accept: str = _JSON,
        seconds: float = _CALL_SECONDS,
    ) -> Any:
        """Make a call that is answered with JSON: PATCH as a merge patch. Raise ClusterError if it fails."""
        response = await self._call(method, path, query=query or {}, body=body, accept=accept, seconds=seconds)
        return await _json(response)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        accept: str = _JSON,
        seconds: float = _CALL_SECONDS,
    ) -> aiohttp.ClientResponse:
        """Make a call; once more with fresh credentials where those that we had are no longer accepted."""
        try:
            headers = {"Accept": accept, **({} if body is None else {"Content-Type": _CONTENT[method]})}
            response = await self._request(method, path, query=query, headers=headers, body=body, seconds=seconds)
            if response.status == HTTPStatus.UNAUTHORIZED:
                response.close()
                await self._disconnect()
                response = await self._request(method, path, query=query, headers=headers, body=body, seconds=seconds)
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise _refused(response.status, await _message(response))
        except NoConnectionError as error:
            raise ClusterError(str(error)) from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise ClusterError(f"the API server cannot be reached: {error or type(error).__name__}") from error
        return response

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        seconds: float,
    ) -> aiohttp.ClientResponse:
        client = self._client or await self._connect()
        request = await client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=dict(headers),
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await client.call_api(*request, _request_timeout=seconds)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _connect(self) -> ApiClient:
        configuration = await self._connector.configuration()
        if self._closed:  # by then nobody would close another one
            raise NoConnectionError("the operator is stopping")
        self._client = ApiClient(configuration)
        return self._client

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Whatever stands between us and the API server may answer in its place, with anything."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise ClusterError(f"an answer of the API server cannot be read: {error!r}") from error


def _trimmed(pod: Mapping[str, Any]) -> dict[str, Any]:
    # Thousands are held at once: without their managed fields, and all annotations but those that are looked at.
    metadata = pod["metadata"]
    annotations = metadata.get("annotations") or {}
    kept = {name: metadata[name] for name in _POD_METADATA if name in metadata}
    return {
        "metadata": kept
        | {"annotations": {name: annotations[name] for name in _POD_ANNOTATIONS if name in annotations}}
    }


async def _json(response: aiohttp.ClientResponse) -> Any:
    try:
        with _reading():
            return await response.json()
    except (aiohttp.ClientError, OSError) as error:
        raise ClusterError(f"an answer of the API server broke off: {error}") from error


async def _message(response: aiohttp.ClientResponse) -> str:
    text = await response.text()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["message"])
    return text[:200]


def _refused(status: int, message: str) -> ClusterError:
    said = f"the API server answers {status}: {message.strip()}"
    if status == HTTPStatus.FORBIDDEN:
        said += "; give the operator's service account the permissions of its ClusterRole and Role"
    return ClusterError(said, status=status)


def _unknown_kind(kind: Kind, error: ClusterError) -> ClusterError:
    if error.status != HTTPStatus.NOT_FOUND or kind not in PLURALS:
        return error
    name = f"{PLURALS[kind]}.{GROUP}"
    return ClusterError(
        f"the API server does not know {VERSION} of {name}; install the CRDs of this operator's version",
        status=error.status,
    )
