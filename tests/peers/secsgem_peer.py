"""Drives secsgem 0.3.0 over lines on stdin and stdout; the line protocol is in README.md beside this file.

Everything on the wire is secsgem's own work: HsmsSettings makes the connection and the protocol object, and bodies go
through secsgem's SECS-II classes both ways. Attributes with a leading underscore are touched only where a comment beside
it says why; the one change of behaviour is PassiveConnection.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import time
import traceback

import secsgem.common
import secsgem.hsms
from secsgem.hsms.connection_state_machine import ConnectionState
from secsgem.secs.functions import SecsStreamFunction, StreamsFunctions
from secsgem.secs.variables.dynamic import ANYVALUE

OPEN_REQUESTS_MAX = 1000
HALF_BODY = 1024
NEVER = 1_000_000.0

_stdout_lock = threading.Lock()


def say(*fields: object) -> None:
    """Writes one line and flushes it; a reader that has gone away ends the process."""
    line = " ".join(" ".join(str(field).split()) for field in fields) + "\n"
    with _stdout_lock:
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except OSError:
            os._exit(1)


def leave(code: int) -> None:
    """Ends the process at once: secsgem's socket threads are not daemons and would hold it."""
    with _stdout_lock:
        os._exit(code)


class AnyFunction(SecsStreamFunction):
    """A stream and function with any single SECS-II item as its body, or none."""

    _data_format = ANYVALUE

    def decode(self, data: bytes) -> None:
        if data:
            super().decode(bytes(data))
        else:
            self.__dict__["data"] = None


class AnyStreamsFunctions(StreamsFunctions):
    """secsgem drops data messages whose stream and function it has no class for; here every pair has one."""

    def __init__(self) -> None:
        super().__init__([])
        self._classes: dict[tuple[int, int, bool], type[AnyFunction]] = {}

    def function(self, stream: int, function: int, reply_required: bool = False) -> type[AnyFunction]:
        key = (stream, function, reply_required)
        if key not in self._classes:
            members = {"_stream": stream, "_function": function, "_is_reply_required": reply_required}
            self._classes[key] = type(f"S{stream}F{function}", (AnyFunction,), members)
        return self._classes[key]

    def encode(self, stream: int, function: int, reply_required: bool, octets: bytes) -> AnyFunction:
        """The body as secsgem's own items, refused where secsgem would change an octet of it."""
        message = self.function(stream, function, reply_required)()
        message.decode(octets)
        again = bytes(message.encode())
        if again != octets:
            raise ValueError(f"secsgem encodes these {len(octets)} octets as {len(again)} others")
        return message


class PassiveConnection(secsgem.common.TcpServerConnection):
    """secsgem's own, but reading begins when the protocol knows that it is connected.

    Without this a Select.req that arrives at once is answered with status 0 while the state machine is not yet connected,
    and data is rejected for ever after (README.md has the rate).
    """

    def _start_receiver(self) -> None:
        pass

    def start_reading(self, _: dict) -> None:
        super()._start_receiver()


class Settings(secsgem.hsms.HsmsSettings):
    def create_connection(self) -> secsgem.common.Connection:
        return super().create_connection() if self.is_active else PassiveConnection(self)


def settings_of(args: argparse.Namespace, **more: object) -> Settings:
    modes = secsgem.hsms.HsmsConnectMode
    types = secsgem.common.DeviceType
    return Settings(
        connect_mode=modes.PASSIVE if args.connect == "passive" else modes.ACTIVE,
        device_type=types.HOST if args.role == "host" else types.EQUIPMENT,
        address=args.address,
        port=args.port,
        session_id=args.session,
        t3=args.t3,
        t5=args.t5,
        t6=args.t6,
        t7=args.t7,
        t8=args.t8,
        **more,
    )


class LinesFromLog(logging.Handler):
    """What secsgem logs as a warning or worse becomes an error line."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        say("error", text)


class Peer:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.passive = args.connect == "passive"
        self.functions = AnyStreamsFunctions()
        self.settings = settings_of(args, streams_functions=self.functions)
        self.protocol = self.settings.create_protocol()
        # No public setting exists for the linktest period (30 s in secsgem) and the first system bytes (random).
        self.protocol._linktest_timeout = args.linktest or NEVER
        if args.system is not None:
            self.protocol._system_counter = args.system - 1
        self.silent = False
        self.connected = False
        self.open: dict[object, str] = {}
        self.open_lock = threading.Lock()
        states = self.protocol.connection_state
        # Not secsgem's "connected" event: that one is fired after the thread that selects was started.
        states.connected_not_selected.events.enter.register(self.on_not_selected)
        states.connected_selected.events.enter.register(lambda _: say("selected"))
        if self.passive:
            self.protocol.events.connected.register(self.protocol._connection.start_reading)
        self.protocol.events.disconnected.register(self.on_disconnected)
        self.protocol.events.message_received.register(self.on_message)

    # What secsgem reports.

    def on_not_selected(self, _: dict) -> None:
        say("deselected" if self.connected else "connected")
        self.connected = True

    def on_disconnected(self, _: dict) -> None:
        self.connected = False
        with self.open_lock:
            lost, self.open = list(self.open.values()), {}
        for what in lost:
            say(what, "closed")
        say("closed")
        if self.passive:
            threading.Thread(target=self.tell_listening, daemon=True).start()

    def on_message(self, data: dict) -> None:
        message = data["message"]
        header = message.header
        try:
            decoded = self.functions.decode(message)
            octets = bytes(decoded.encode())
        except Exception as exc:  # noqa: BLE001 - whatever the library raises is the finding
            say("error", f"body of S{header.stream}F{header.function} cannot be decoded: {exc!r}")
            return
        if octets != bytes(message.data):
            say("error", f"body of S{header.stream}F{header.function} changed: secsgem encodes it otherwise")
        primary = header.function % 2 == 1
        say(
            "primary" if primary else "stray",
            header.stream,
            header.function,
            f"{header.system:08x}",
            int(header.require_response),
            octets.hex() or "-",
        )
        if primary and header.require_response and not self.silent:
            reply = self.functions.function(header.stream, header.function + 1)()
            reply.decode(octets)
            if not self.protocol.send_response(reply, header.system):
                say("error", f"reply to {header.system:08x} was not sent")

    # What the lines on stdin ask for.

    def is_selected(self) -> bool:
        return self.protocol.connection_state.current == ConnectionState.CONNECTED_SELECTED

    def begin(self, failure: str) -> object | None:
        """Opens an entry that ends in exactly one line: a result, or `failure` with a reason."""
        with self.open_lock:
            if len(self.open) < OPEN_REQUESTS_MAX and self.connected:
                entry = object()
                self.open[entry] = failure
                return entry
        say(failure, "invalid too many requests are open" if self.connected else "closed")
        return None

    def finish(self, entry: object, *fields: object) -> None:
        with self.open_lock:
            failure = self.open.pop(entry, None)
        if failure is not None:
            say(*(fields if fields[0] != "failed" else (failure, *fields[1:])))

    def request(self, name: str, stream: int, function: int, octets: bytes, reply: bool) -> None:
        failure = f"failed {name}"
        if not self.is_selected():
            say(failure, "not-selected")
            return
        try:
            message = self.functions.encode(stream, function, reply, octets)
        except Exception as exc:  # noqa: BLE001 - whatever the library raises is the reason
            say(failure, "invalid", exc)
            return
        entry = self.begin(failure)
        if entry is not None:
            work = self.wait_for_reply if reply else self.send_only
            threading.Thread(target=work, args=(entry, name, message), daemon=True).start()

    def wait_for_reply(self, entry: object, name: str, message: AnyFunction) -> None:
        started = time.monotonic()
        try:
            answer = self.protocol.send_and_waitfor_response(message)
        except Exception as exc:  # noqa: BLE001
            self.finish(entry, "failed", "other", repr(exc))
            return
        if answer is None:
            waited = time.monotonic() - started >= self.args.t3
            self.finish(entry, "failed", "t3" if waited else "other not sent")
        elif answer.header.s_type == secsgem.hsms.HsmsSType.REJECT_REQ:
            self.finish(entry, "failed", "rejected", answer.header.function)
        elif answer.header.s_type != secsgem.hsms.HsmsSType.DATA_MESSAGE:
            self.finish(entry, "failed", "other answered by", answer.header.s_type.text)
        else:
            body = bytes(answer.data).hex() or "-"
            self.finish(entry, "reply", name, answer.header.stream, answer.header.function, body)

    def send_only(self, entry: object, name: str, message: AnyFunction) -> None:
        if self.protocol.send_stream_function(message):
            self.finish(entry, "sent", name)
        else:
            self.finish(entry, "failed", "other not sent")

    def linktest(self) -> None:
        entry = self.begin("linktest failed")
        if entry is not None:
            threading.Thread(target=self.wait_for_linktest, args=(entry,), daemon=True).start()

    def wait_for_linktest(self, entry: object) -> None:
        answer = self.protocol.send_linktest_req()
        if answer is None:
            self.finish(entry, "failed", "t6")
        elif answer.header.s_type != secsgem.hsms.HsmsSType.LINKTEST_RSP:
            self.finish(entry, "failed", "answered by", answer.header.s_type.text)
        else:
            self.finish(entry, "linktest", "ok")

    def half(self) -> None:
        if not self.connected:
            say("half", 0, 0)
            return
        body = self.functions.encode(1, 1, True, b"\x22" + HALF_BODY.to_bytes(2, "big") + bytes(HALF_BODY))
        system = self.protocol.get_next_system_counter()
        header = secsgem.hsms.HsmsStreamFunctionHeader(system, 1, 1, True, self.args.session)
        frame = secsgem.hsms.HsmsMessage(header, body.encode()).blocks[0].encode()
        count = len(frame) // 2
        # The connection object has no public name; its send_data is the call secsgem itself sends with.
        if self.protocol._connection.send_data(frame[:count]):
            say("half", count, len(frame))
        else:
            say("half", 0, len(frame))

    def separate(self, back: bool) -> None:
        """secsgem's way to end a session: disable sends Separate.req and closes; then it is enabled again after T5."""
        # Disabling one that is not connected never returns when it listens: secsgem waits for a thread that has died.
        if self.connected:
            self.protocol.disable()
        else:
            back = False
        say("separated")
        if back:
            time.sleep(self.args.t5)
            self.protocol.enable()

    def tell_listening(self) -> None:
        # secsgem does not report that it listens, and hides the socket that says so.
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            listener = getattr(self.protocol._connection, "_server_sock", None)
            try:
                if listener is not None and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    say("listening", self.args.port)
                    return
            except OSError:
                pass  # the one of the last connection, closed
            time.sleep(0.005)
        say("error", "not listening after 10 s")

    def start(self) -> None:
        self.protocol.enable()
        if self.passive:
            self.tell_listening()

    def command(self, line: str) -> None:
        word, *rest = line.split()
        if word in ("request", "send") and len(rest) == 4:
            stream, function = int(rest[1]), int(rest[2])
            octets = b"" if rest[3] == "-" else bytes.fromhex(rest[3])
            self.request(rest[0], stream, function, octets, word == "request")
        elif word == "linktest" and not rest:
            self.linktest()
        elif word == "separate" and not rest:
            threading.Thread(target=self.separate, args=(True,), daemon=True).start()
        elif word == "silent" and rest in (["on"], ["off"]):
            self.silent = rest == ["on"]
            say("silent", rest[0])
        elif word == "half" and not rest:
            self.half()
        elif word == "quit" and not rest:
            goodbye = threading.Thread(target=self.separate, args=(False,), daemon=True)
            goodbye.start()
            goodbye.join(5)
            say("bye")
            leave(0)
        else:
            say("error", "not a command:", line[:80])


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", choices=("active", "passive"), required=True)
    parser.add_argument("--role", choices=("host", "equipment"), required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--session", type=int, default=0)
    for timer, default in (("t3", 45), ("t5", 10), ("t6", 5), ("t7", 10), ("t8", 5), ("linktest", 0)):
        parser.add_argument(f"--{timer}", type=float, default=default)
    parser.add_argument("--system", type=int)
    return parser


def on_thread_exception(args: threading.ExceptHookArgs) -> None:
    where = traceback.extract_tb(args.exc_traceback)[-1].name if args.exc_traceback else "?"
    say("error", f"{args.exc_value!r} in {where}")
    if isinstance(args.exc_value, OSError) and "server_thread" in where:
        leave(3)  # the port is taken


def main() -> None:
    args = arguments_parser().parse_args()
    logging.getLogger().addHandler(LinesFromLog(logging.WARNING))
    threading.excepthook = on_thread_exception
    peer = Peer(args)
    peer.start()
    for line in sys.stdin:
        if line.strip():
            try:
                peer.command(line.strip())
            except Exception as exc:  # noqa: BLE001 - a bad line must not end the driver
                say("error", f"{exc!r} in command", line[:80])
    leave(0)


if __name__ == "__main__":
    main()
