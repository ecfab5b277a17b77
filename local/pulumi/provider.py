"""The provider through which the Pulumi engine deploys to the local stack's AWS, in place of pulumi-aws.

The engine finds it by PULUMI_DEBUG_PROVIDERS=aws:<port>. `local.pulumi.resources.registry` says what to do for each
type of resource.
"""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN, _special_secret_sig, _special_sig_key

from local.pulumi.invokes import invoke
from local.pulumi.program_values import missing_outputs, refuse_missing, unwrap
from local.pulumi.resources.registry import find_type
from local.pulumi.resources.resource_type import AwsClients, DeployError, Resource, ResourceType, Values

HOST = "127.0.0.1"

# Calls of the engine that run at once; further calls wait.
_WORKERS = 16


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one engine after another at `port` of 127.0.0.1 until `close`.

    `resources`, by URN, are those that engines created or updated through this provider. `on_change` is called after
    each change, in the thread that made it.
    """

    def __init__(self, aws: AwsClients) -> None:
        self.resources: dict[str, Resource] = {}
        self.on_change: Callable[[], None] = lambda: None
        self._aws = aws
        self._lock = threading.RLock()
        self._claims: dict[tuple[str, ...], str] = {}
        self._server = grpc.server(ThreadPoolExecutor(_WORKERS, thread_name_prefix="provider"))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(self, self._server)
        self.port: int = self._server.add_insecure_port(f"{HOST}:0")
        self._server.start()

    def close(self) -> None:
        self._server.stop(grace=None).wait()

    def resources_of(self, stack: str) -> list[Resource]:
        return [resource for urn, resource in self.resources.items() if urn.startswith(f"urn:pulumi:{stack}::")]

    # Set-up.

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        """Called first in each preview, update, refresh and destroy."""
        with self._lock:
            self._claims.clear()
            self._aws.trusts.clear()
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return Empty()

    # Resources.

    def Invoke(self, request: Any, context: Any) -> Any:
        try:
            with self._lock:
                answer = invoke(self._aws, request.tok, unwrap(_values(request.args)))
        except Exception as error:  # noqa: BLE001  the engine reports any error
            _refuse(context, request.tok, error)
        return provider_pb2.InvokeResponse(**{"return": _struct(answer)})

    def Check(self, request: Any, context: Any) -> Any:
        """Refuses in the preview, before any change, what AWS would refuse during the update."""
        news = _values(request.news)
        try:
            type_, inputs = find_type(request.type), unwrap(_known(news))
            refuse_missing("it", inputs)
            with self._lock:
                self._claim_identity(type_, request, inputs)
                type_.check(self._aws, inputs)
        except DeployError as error:
            return provider_pb2.CheckResponse(
                inputs=request.news, failures=[provider_pb2.CheckFailure(reason=f"{request.name}: {error}")]
            )
        return provider_pb2.CheckResponse(inputs=request.news)

    def _claim_identity(self, type_: ResourceType, request: Any, inputs: Values) -> None:
        """Refuses two resources with one name: `create` would adopt the first one for the second."""
        if type_.identity and all(name in inputs for name in type_.identity):
            identity = (request.type, *(str(inputs[name]) for name in type_.identity))
            if (owner := self._claims.setdefault(identity, request.urn)) != request.urn:
                raise DeployError(f"{owner.rpartition('::')[2]} is {'/'.join(identity[1:])} already")

    def Diff(self, request: Any, context: Any) -> Any:
        type_ = _find_type(request, context)
        old, new = unwrap(_values(request.old_inputs)), unwrap(_values(request.news))
        changed = {name for name in old | new if _content(old.get(name)) != _content(new.get(name))}
        replaces = changed & {*type_.identity, *type_.replaces}
        # Tags have no effect on one machine.
        if fixed := [name for name in sorted(changed - replaces - {"tags"}) if name not in type_.updatable]:
            _refuse(context, request.name, DeployError(f"the local stack cannot change {', '.join(fixed)}"))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(replaces),
            # A name cannot exist twice.
            deleteBeforeReplace=bool(type_.identity) and not changed & set(type_.identity),
        )

    def Create(self, request: Any, context: Any) -> Any:
        type_ = _find_type(request, context)
        inputs = _values(request.properties)
        if request.preview:
            computed = dict.fromkeys(type_.computed, UNKNOWN)
            return provider_pb2.CreateResponse(properties=_struct(_outputs(request.type, inputs, computed)))
        final = unwrap(inputs)

        def create() -> tuple[str, Values]:
            type_.check(self._aws, final)
            return type_.create(self._aws, final)

        id_, computed = self._apply(request, context, final, create)
        return provider_pb2.CreateResponse(id=id_, properties=_struct(_outputs(request.type, inputs, computed)))

    def Read(self, request: Any, context: Any) -> Any:
        type_ = _find_type(request, context)
        if not request.HasField("inputs"):
            _refuse(context, request.name, DeployError("the local stack cannot import"))
        inputs, outputs = _values(request.inputs), _values(request.properties)
        recorded = unwrap(inputs)
        try:
            with self._lock:
                live = type_.read(self._aws, request.id, recorded)
        except Exception as error:  # noqa: BLE001  the engine reports any error
            _refuse(context, request.name, error)
        if live is None:
            self.resources.pop(request.urn, None)
            return provider_pb2.ReadResponse()
        drift = {
            name: _secret(value) if _is_secret(inputs.get(name)) else value
            for name, value in live.items()
            if recorded.get(name) != value
        }
        return provider_pb2.ReadResponse(
            id=request.id, inputs=_struct({**inputs, **drift}), properties=_struct({**outputs, **drift})
        )

    def Update(self, request: Any, context: Any) -> Any:
        type_ = _find_type(request, context)
        inputs, outputs = _values(request.news), _values(request.olds)
        computed = {name: outputs[name] for name in type_.computed}
        if request.preview:
            computed |= dict.fromkeys(type_.recomputed, UNKNOWN)
        else:
            final, old = unwrap(inputs), unwrap(_values(request.old_inputs))

            def update() -> Values:
                type_.check(self._aws, final)
                return type_.update(self._aws, request.id, final, old)

            computed |= self._apply(request, context, final, update)
        return provider_pb2.UpdateResponse(properties=_struct(_outputs(request.type, inputs, computed)))

    def Delete(self, request: Any, context: Any) -> Any:
        type_ = _find_type(request, context)
        old = unwrap(_values(request.old_inputs if request.HasField("old_inputs") else request.properties))
        self._apply(request, context, None, lambda: type_.delete(self._aws, request.id, old))
        return Empty()

    def _apply[T](self, request: Any, context: Any, inputs: Values | None, change: Callable[[], T]) -> T:
        """Makes one change at a time, and records the resource's new inputs; None: it is deleted."""
        try:
            with self._lock:
                result = change()
                if inputs is None:
                    self.resources.pop(request.urn, None)
                else:
                    self.resources[request.urn] = Resource(request.type, request.name, inputs)
                self.on_change()
        except Exception as error:  # noqa: BLE001  the engine reports any error
            _refuse(context, request.name, error)
        return result


def _find_type(request: Any, context: Any) -> ResourceType:
    try:
        return find_type(request.type)
    except DeployError as error:
        _refuse(context, request.name, error)


def _refuse(context: Any, name: str, error: Exception) -> NoReturn:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{name}: {error}")
    raise AssertionError("abort raises")


def _values(struct: Struct) -> Values:
    values: Values = MessageToDict(struct)
    return values


def _struct(values: Values) -> Struct:
    struct = Struct()
    struct.update(values)
    return struct


def _known(values: Values) -> Values:
    """Without the values that are, or contain, the output of a resource that is yet to be created."""
    return {name: value for name, value in values.items() if UNKNOWN not in json.dumps(value)}


def _outputs(type_: str, inputs: Values, computed: Values) -> Values:
    return {**missing_outputs(type_), **inputs, **computed}


def _secret(value: Any) -> Values:
    return {_special_sig_key: _special_secret_sig, "value": value}


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_special_sig_key) == _special_secret_sig


def _content(value: Any) -> Any:
    """The value to compare: an archive counts by its hash, wherever it lies."""
    return value["hash"] if isinstance(value, dict) and _special_sig_key in value else value
