"""Services as Python on secsgem 0.3.0 has them, and secsgem's own GEM handlers; driven by lines as secsgem_peer.py is.

    secsgem_services.py --gem ...       secsgem's GemHostHandler or GemEquipmentHandler, which says `communicating`
    secsgem_services.py --secret HEX    a server where it listens, a client where it dials, which does all of it when it is told `dialogue`

Texts go through secsgem's SECS-II classes. What a service message is, and the proofs, are written here a second time, after the
documentation of hsms-core alone.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import sys
import threading

import secsgem.gem
from secsgem.secs.variables import U1, U2, U4, Binary, String
from secsgem_peer import LinesFromLog, Peer, arguments_parser, leave, on_thread_exception, say, settings_of

STREAM = 64
LABEL = b"HSMS trusted connection1"
NO_DATA = b"\x01\x00"
OKAY, BUFFERING, CALLBACK_ERROR, AUTHENTICATION_REQUIRED, UNKNOWN, CHECKSUM, NOT_PERMITTED = range(7)


def service_text(data_id: int, status: int, data: bytes = NO_DATA) -> bytes:
    return b"\x01\x03" + U4(data_id).encode() + U1(status).encode() + data


def octets_of(value: object) -> bytes:
    """secsgem gives a binary item of one octet as a number."""
    return value if isinstance(value, bytes) else bytes([value]) if isinstance(value, int) else bytes(value)


class Services(Peer):
    def __init__(self, args) -> None:
        self.secret = bytes.fromhex(args.secret) if args.secret else None
        self.challenges: tuple[bytes, bytes] | None = None
        self.trusted = self.secret is None
        self.name: str | None = None
        super().__init__(args)

    def on_disconnected(self, data: dict) -> None:
        self.challenges, self.trusted = None, self.secret is None
        super().on_disconnected(data)

    def proof(self, who: bytes, challenges: tuple[bytes, bytes]) -> bytes:
        said = LABEL + who + self.args.session.to_bytes(2, "big") + challenges[0] + challenges[1]
        return hmac.new(self.secret, said, hashlib.sha256).digest()

    # The server.

    def on_message(self, data: dict) -> None:
        message = data["message"]
        header = message.header
        if header.stream != STREAM or header.function % 2 == 0:
            super().on_message(data)
            return
        service = header.function - 1
        function = self.functions.decode(message)
        say("service", service, bytes(function.encode()).hex())
        try:
            data_id, _, value = function.get()
            answer = self.serve(service, data_id, value)
        except Exception as exc:  # noqa: BLE001 - what cannot be taken apart
            say("error", repr(exc))
            answer = service_text(0, CHECKSUM)
        if header.require_response:
            reply = self.functions.function(STREAM, header.function + 1)()
            reply.decode(answer)
            self.protocol.send_response(reply, header.system)

    def serve(self, service: int, data_id: int, value: object) -> bytes:
        if service == 0:
            return self.authenticate(data_id, value)
        if service == 8:
            self.name = value if isinstance(value, str) else None
            return service_text(data_id, OKAY, String("python").encode())
        if not self.trusted:
            return service_text(data_id, AUTHENTICATION_REQUIRED)
        if data_id != 7 or service not in (10, 20, 30):
            return service_text(data_id, UNKNOWN)
        if service == 10:
            return service_text(data_id, OKAY, U2(300).encode())
        if service == 20:
            return service_text(data_id, OKAY if value == 301 else CALLBACK_ERROR)
        return service_text(data_id, BUFFERING)

    def authenticate(self, data_id: int, value: object) -> bytes:
        if self.secret is None:
            return service_text(data_id, UNKNOWN)
        if data_id == 0:
            self.trusted = False
            self.challenges = (octets_of(value), secrets.token_bytes(32))
            return service_text(0, OKAY, Binary(self.challenges[1]).encode())
        challenges, self.challenges = self.challenges, None
        if challenges is None or not hmac.compare_digest(self.proof(b"C", challenges), octets_of(value)):
            return service_text(data_id, NOT_PERMITTED)
        self.trusted = True
        say("trusted")
        return service_text(1, OKAY, Binary(self.proof(b"S", challenges)).encode())

    # The client.

    def ask(self, service: int, data_id: int, data: bytes = NO_DATA) -> tuple[int, object]:
        message = self.functions.encode(STREAM, service + 1, True, service_text(data_id, OKAY, data))
        answer = self.protocol.send_and_waitfor_response(message)
        _, status, value = self.functions.decode(answer).get()
        return status, value

    def dialogue(self) -> None:
        status, name = self.ask(8, 0, String("python").encode())
        say("named", status, name)
        say("untrusted", self.ask(10, 7)[0])
        if self.secret is not None:
            own = secrets.token_bytes(32)
            status, other = self.ask(0, 0, Binary(own).encode())
            challenges = (own, octets_of(other))
            status, proof = self.ask(0, 1, Binary(self.proof(b"C", challenges)).encode())
            good = status == OKAY and hmac.compare_digest(self.proof(b"S", challenges), octets_of(proof))
            say("trusted", status, good)
        say("read", *self.ask(10, 7))
        say("write", self.ask(20, 7, U2(301).encode())[0])
        say("write", self.ask(20, 7, String("hot").encode())[0])
        say("write", self.ask(20, 8, U2(301).encode())[0])
        say("execute", self.ask(30, 7)[0])
        say("end")

    def command(self, line: str) -> None:
        if line == "dialogue":
            threading.Thread(target=self.dialogue, daemon=True).start()
        else:
            super().command(line)


def gem(args) -> None:
    passive = args.connect == "passive"
    host = args.role == "host"
    settings = settings_of(args, establish_communication_timeout=2)
    handler = (secsgem.gem.GemHostHandler if host else secsgem.gem.GemEquipmentHandler)(settings)
    handler.events.handler_communicating.register(lambda _: say("communicating"))
    if passive:
        # As secsgem_peer.py has it: reading begins when the protocol knows that it is connected.
        handler.protocol.events.connected.register(handler.protocol._connection.start_reading)
    handler.enable()
    if passive:
        Peer.tell_listening(type("Listening", (), {"protocol": handler.protocol, "args": args})())
    for line in sys.stdin:
        if line.strip() == "are-you-there":
            answer = handler.are_you_there() if host else handler.send_and_waitfor_response(handler.stream_function(1, 1)())
            say("there", answer is not None)
        elif line.strip() == "quit":
            say("bye")
            break
    leave(0)


def main() -> None:
    parser = arguments_parser()
    parser.add_argument("--gem", action="store_true")
    parser.add_argument("--secret", default="")
    args = parser.parse_args()
    logging.getLogger().addHandler(LinesFromLog(logging.WARNING))
    threading.excepthook = on_thread_exception
    if args.gem:
        gem(args)
        return
    peer = Services(args)
    peer.start()
    for line in sys.stdin:
        if line.strip():
            peer.command(line.strip())
    leave(0)


if __name__ == "__main__":
    main()
