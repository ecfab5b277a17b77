"""The Pulumi engine's provider of AWS: what pulumi-aws is to an account, this is to the AWS of the local stack.

The engine finds it by PULUMI_DEBUG_PROVIDERS=aws:<port>. What there is to do for a type of resource says the table in
`local.resources`.
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

from local.pulumi.resources import (
    Aws,
    DeployError,
    Resource,
    Type,
    Values,
    known,
    look_up,
    missing_outputs,
    plain,
    refuse_missing,
)

HOST = "127.0.0.1"

# What the engine asks at once; more wait in line.
_WORKERS = 16


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one engine after another at `port` of 127.0.0.1 until `close`.

    `resources`, by URN, is what engines have made or changed through this provider; `on_change` is called after each
    such step, in the thread that made it.
    """

    def __init__(self, aws: Aws) -> None:
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

    def of_stack(self, stack: str) -> list[Resource]:
        return [resource for urn, resource in self.resources.items() if urn.startswith(f"urn:pulumi:{stack}::")]

    # The engine and the provider get to know each other.

    def Handshake(self, request: Any, context: Any) -> Any:
        del request, context
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        del request, context
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        del request, context
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        del context
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        del request, context
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        """The first call of each preview, update, refresh or destroy."""
        del request, context
        with self._lock:
            self._claims.clear()
            self._aws.trusts.clear()
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        del request, context
        return Empty()

    # What it is asked.

    def Invoke(self, request: Any, context: Any) -> Any:
        try:
            with self._lock:
                answer = look_up(self._aws, request.tok, plain(_values(request.args)))
        except Exception as error:  # noqa: BLE001  whatever it is, the engine is told
            _refuse(context, request.tok, error)
        return provider_pb2.InvokeResponse(**{"return": _struct(answer)})

    def Check(self, request: Any, context: Any) -> Any:
        """Refuses, before anything is touched, what AWS would refuse on the way."""
        del context
        news = _values(request.news)
        try:
            kind, given = known(request.type), plain(_told(news))
            refuse_missing("it", given)
            with self._lock:
                self._claim(kind, request, given)
                kind.check(self._aws, given)
        except DeployError as error:
            return provider_pb2.CheckResponse(
                inputs=request.news, failures=[provider_pb2.CheckFailure(reason=f"{request.name}: {error}")]
            )
        return provider_pb2.CheckResponse(inputs=request.news)

    def _claim(self, kind: Type, request: Any, given: Values) -> None:
        """Making takes what there is under a name, so two resources of one name must be refused here."""
        if kind.identity and all(name in given for name in kind.identity):
            identity = (request.type, *(str(given[name]) for name in kind.identity))
            if (owner := self._claims.setdefault(identity, request.urn)) != request.urn:
                raise DeployError(f"{owner.rpartition('::')[2]} is {'/'.join(identity[1:])} already")

    def Diff(self, request: Any, context: Any) -> Any:
        kind = _kind(request, context)
        old, new = plain(_values(request.old_inputs)), plain(_values(request.news))
        changed = {name for name in old | new if _content(old.get(name)) != _content(new.get(name))}
        replaces = changed & {*kind.identity, *kind.replaces}
        # Nothing on one machine looks at tags.
        if fixed := [name for name in sorted(changed - replaces - {"tags"}) if name not in kind.changes]:
            _refuse(context, request.name, DeployError(f"the local stack cannot change {', '.join(fixed)}"))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(replaces),
            # Two cannot have one name.
            deleteBeforeReplace=bool(kind.identity) and not changed & set(kind.identity),
        )

    def Create(self, request: Any, context: Any) -> Any:
        kind = _kind(request, context)
        inputs = _values(request.properties)
        if request.preview:
            computed = dict.fromkeys(kind.computed, UNKNOWN)
            return provider_pb2.CreateResponse(properties=_struct(_outputs(request.type, inputs, computed)))
        given = plain(inputs)

        def create() -> tuple[str, Values]:
            kind.check(self._aws, given)
            return kind.create(self._aws, given)

        id_, computed = self._do(request, context, given, create)
        return provider_pb2.CreateResponse(id=id_, properties=_struct(_outputs(request.type, inputs, computed)))

    def Read(self, request: Any, context: Any) -> Any:
        kind = _kind(request, context)
        if not request.HasField("inputs"):
            _refuse(context, request.name, DeployError("the local stack cannot import"))
        inputs, outputs = _values(request.inputs), _values(request.properties)
        given = plain(inputs)
        try:
            with self._lock:
                live = kind.read(self._aws, request.id, given)
        except Exception as error:  # noqa: BLE001  whatever it is, the engine is told
            _refuse(context, request.name, error)
        if live is None:
            self.resources.pop(request.urn, None)
            return provider_pb2.ReadResponse()
        drift = {
            name: _secret(value) if _is_secret(inputs.get(name)) else value
            for name, value in live.items()
            if given.get(name) != value
        }
        return provider_pb2.ReadResponse(
            id=request.id, inputs=_struct({**inputs, **drift}), properties=_struct({**outputs, **drift})
        )

    def Update(self, request: Any, context: Any) -> Any:
        kind = _kind(request, context)
        inputs, outputs = _values(request.news), _values(request.olds)
        computed = {name: outputs[name] for name in kind.computed}
        if request.preview:
            computed |= dict.fromkeys(kind.renewed, UNKNOWN)
        else:
            given, old = plain(inputs), plain(_values(request.old_inputs))

            def update() -> Values:
                kind.check(self._aws, given)
                return kind.update(self._aws, request.id, given, old)

            computed |= self._do(request, context, given, update)
        return provider_pb2.UpdateResponse(properties=_struct(_outputs(request.type, inputs, computed)))

    def Delete(self, request: Any, context: Any) -> Any:
        kind = _kind(request, context)
        given = plain(_values(request.old_inputs if request.HasField("old_inputs") else request.properties))
        self._do(request, context, None, lambda: kind.delete(self._aws, request.id, given))
        return Empty()

    def _do[T](self, request: Any, context: Any, given: Values | None, change: Callable[[], T]) -> T:
        """Changes the AWS, one change at a time, and keeps what there is now."""
        try:
            with self._lock:
                done = change()
                if given is None:
                    self.resources.pop(request.urn, None)
                else:
                    self.resources[request.urn] = Resource(request.type, request.name, given)
                self.on_change()
        except Exception as error:  # noqa: BLE001  whatever it is, the engine is told
            _refuse(context, request.name, error)
        return done


def _kind(request: Any, context: Any) -> Type:
    try:
        return known(request.type)
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


def _told(values: Values) -> Values:
    """Without what is, or holds something, not known before it is made."""
    return {name: value for name, value in values.items() if UNKNOWN not in json.dumps(value)}


def _outputs(type_: str, inputs: Values, computed: Values) -> Values:
    return {**missing_outputs(type_), **inputs, **computed}


def _secret(value: Any) -> Values:
    return {_special_sig_key: _special_secret_sig, "value": value}


def _is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_special_sig_key) == _special_secret_sig


def _content(value: Any) -> Any:
    """Of an archive, its hash: where it lies makes no difference."""
    return value["hash"] if isinstance(value, dict) and _special_sig_key in value else value
