# SPDX-License-Identifier: BSD-3-Clause
"""Client of tarnd's JSON-RPC socket, for control scripts. Standard library only.

    from tarn_rpc import Client, NoSuchDevice

    with Client("/var/tmp/tarn.sock") as tarn:
        tarn.bdev_malloc_create(name="ram0", num_blocks=1024)
        for bdev in tarn.bdev_get_bdevs():
            print(bdev["name"], bdev["num_blocks"] * bdev["block_size"])

Every method of the server is a method of the client; fields are keyword arguments, and those that are
None are left out. `tarnctl --help` and doc/rpc.md list them.
"""
import errno
import json
import os
import socket
import time

DEFAULT_SOCKET = "/var/tmp/tarn.sock"
RECEIVE_BYTES = 1 << 16


class TarnError(Exception):
    """Anything that went wrong between this client and the daemon."""


class ConnectionFailed(TarnError):
    """No daemon serves the socket, or it went away."""


class Timeout(TarnError):
    """No answer in time. The call may still be carried out; the connection is closed."""


class RpcError(TarnError):
    """The daemon refused or failed the call."""

    def __init__(self, method, code, message):
        super().__init__(f"{method}: {message} (code {code})")
        self.method = method
        self.code = code
        self.message = message


class InvalidParams(RpcError):
    """A field is unknown, missing, mistyped or out of range: the message names it."""


class NoSuchMethod(RpcError):
    """The daemon has no such method, or not in its present state."""


class NoSuchDevice(RpcError):
    """There is no object or file of that name."""


class AlreadyExists(RpcError):
    """The name is taken."""


class Busy(RpcError):
    """Somebody uses the object."""


_CLASS_OF_CODE = {
    -32602: InvalidParams,
    -32601: NoSuchMethod,
    -1: NoSuchMethod,
    -errno.ENODEV: NoSuchDevice,
    -errno.ENOENT: NoSuchDevice,
    -errno.EEXIST: AlreadyExists,
    -errno.EBUSY: Busy,
}


def _error(method, error):
    code, message = error.get("code", 0), error.get("message", "")
    return _CLASS_OF_CODE.get(code, RpcError)(method, code, message)


class Batch:
    """Calls that are sent together, with Client.batch(). Their results come in their order."""

    def __init__(self):
        self.calls = []

    def call(self, method, **params):
        self.calls.append((method, params))

    def __getattr__(self, method):
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda **params: self.call(method, **params)


class Client:
    """One connection. Not for several threads at once: give each its own."""

    def __init__(self, path=None, timeout_s=60.0, connect_s=0.0):
        """connect_s: for how long to try again while no daemon serves the socket."""
        self.path = path or os.environ.get("TARN_SOCKET", DEFAULT_SOCKET)
        self.timeout_s = timeout_s
        self._socket = self._connect(time.monotonic() + connect_s)
        self._received = b""
        self._next_id = 1

    def _connect(self, deadline):
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.path)
                return connection
            except OSError as error:
                connection.close()
                if time.monotonic() >= deadline:
                    raise ConnectionFailed(f"{self.path}: {error.strerror}; does tarnd run?") from error
            time.sleep(0.05)

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __getattr__(self, method):
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda **params: self.call(method, **params)

    def call(self, method, **params):
        """Call a method and return its result, or raise RpcError."""
        answer = self._exchange(self._request(method, params))
        if "error" in answer:
            raise _error(method, answer["error"])
        return answer["result"]

    def batch(self, batch):
        """Send a Batch's calls at once. Returns, in their order, each result, or its RpcError, not raised."""
        if not batch.calls:
            return []
        requests = [self._request(method, params) for method, params in batch.calls]
        answers = {answer["id"]: answer for answer in self._exchange(requests)}
        results = []
        for request in requests:
            answer = answers[request["id"]]
            failed = "error" in answer
            results.append(_error(request["method"], answer["error"]) if failed else answer["result"])
        return results

    def wait_ready(self):
        """Return when the daemon has loaded its configuration."""
        self.call("framework_wait_init")

    def _request(self, method, params):
        request = {"jsonrpc": "2.0", "id": self._next_id, "method": method}
        self._next_id += 1
        given = {name: value for name, value in params.items() if value is not None}
        if given:
            request["params"] = given
        return request

    def _exchange(self, request):
        if self._socket is None:
            raise ConnectionFailed(f"{self.path}: the connection is closed")
        deadline = time.monotonic() + self.timeout_s
        try:
            self._socket.settimeout(self.timeout_s)
            self._socket.sendall(json.dumps(request).encode())
            return self._receive(deadline)
        except (OSError, TarnError) as error:
            self.close()
            if isinstance(error, socket.timeout):
                raise Timeout(f"{self.path}: no answer in {self.timeout_s} s") from error
            if isinstance(error, TarnError):
                raise
            raise ConnectionFailed(f"{self.path}: {error.strerror}") from error

    def _receive(self, deadline):
        """The server ends each answer with a newline, and has none within one."""
        pieces = [self._received]
        while b"\n" not in pieces[-1]:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self._socket.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionFailed(f"{self.path}: the daemon closed the connection")
            pieces.append(data)
        line, _, self._received = b"".join(pieces).partition(b"\n")
        return json.loads(line)
