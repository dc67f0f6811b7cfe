"""SECS-II by secsgem 0.3.0: reads commands from stdin, answers each with lines of JSON, and ends with its input.

decode HEX            one line: what secsgem decodes, and what it encodes of that
generate SEED COUNT   COUNT lines: random values, and what secsgem encodes of them

A line is ["OCTETS",ITEM], the octets in hexadecimal. An item is a list: its name in SML, then its elements or values. Numbers
and booleans are numbers, floats the hexadecimal octets of an F8, texts and binaries the hexadecimal octets. What secsgem
refuses is the line {"error":"..."}.
"""

from __future__ import annotations

import json
import random
import struct
import sys

from secsgem.secs import variables
from secsgem.secs.variables.dynamic import ANYVALUE

INTEGERS = {
    variables.I1: (-(2**7), 2**7 - 1),
    variables.I2: (-(2**15), 2**15 - 1),
    variables.I4: (-(2**31), 2**31 - 1),
    variables.I8: (-(2**63), 2**63 - 1),
    variables.U1: (0, 2**8 - 1),
    variables.U2: (0, 2**16 - 1),
    variables.U4: (0, 2**32 - 1),
    variables.U8: (0, 2**64 - 1),
}
FLOATS = (variables.F4, variables.F8)
DEEPEST = 5


def float_octets(value: float) -> str:
    return struct.pack(">d", value).hex()


def item(variable: variables.Base) -> list:
    """A secsgem variable as the item of a line."""
    if variable.is_dynamic:
        return item(variable.value)
    kind = type(variable)
    if kind is variables.Array:
        return ["L", *(item(element) for element in variable.data)]
    if kind is variables.String:
        return ["A", variable.value.encode("latin-1").hex()]
    if kind is variables.Binary:
        return ["B", bytes(variable.value).hex()]
    if kind is variables.Boolean:
        return ["BOOLEAN", *(int(value) for value in variable.value)]
    if kind in FLOATS:
        return [kind.text_code, *(float_octets(value) for value in variable.value)]
    if kind in INTEGERS:
        return [kind.text_code, *variable.value]
    raise TypeError(kind.__name__)


def decode(octets: bytes) -> list:
    variable = ANYVALUE()
    end = variable.decode(octets)
    if end != len(octets):
        raise ValueError(f"{end} of {len(octets)} octets decoded")
    return [bytes(variable.encode()).hex(), item(variable)]


def generate(source: random.Random, depth: int) -> tuple[list, variables.Base]:
    """Random values as the item of a line, and the secsgem variable that is given them; the item does not come from it."""
    count = source.choice((0, 1, 1, 2, 3, 300 if source.random() < 0.1 else 4))
    kinds = [variables.String, variables.Binary, variables.Boolean, *INTEGERS, *FLOATS]
    if depth < DEEPEST and source.random() < 0.4:
        elements = [generate(source, depth + 1) for _ in range(min(count, 4))]
        array = variables.Array(ANYVALUE, [variable for _, variable in elements])
        return ["L", *(line for line, _ in elements)], array
    kind = source.choice(kinds)
    if kind is variables.Boolean:
        booleans = [source.random() < 0.5 for _ in range(count)]
        return ["BOOLEAN", *map(int, booleans)], kind(booleans)
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        values = [source.choice((low, high, 0, source.randint(low, high))) for _ in range(count)]
        return [kind.text_code, *values], kind(values)
    if kind in FLOATS:
        values = [source.choice((0.0, -0.0, source.uniform(-1e9, 1e9), source.uniform(-1e-30, 1e-30))) for _ in range(count)]
        if kind is variables.F4:
            values = [struct.unpack(">f", struct.pack(">f", value))[0] for value in values]
        return [kind.text_code, *map(float_octets, values)], kind(values)
    octets = source.randbytes(count)
    return [kind.text_code, octets.hex()], kind(octets)


def say(line: object) -> None:
    print(json.dumps(line, separators=(",", ":")))


def main() -> None:
    for command in sys.stdin:
        match command.split():
            case ["decode", octets]:
                try:
                    say(decode(bytes.fromhex(octets)))
                except Exception as error:  # whatever secsgem raises is its answer
                    say({"error": repr(error)})
            case ["generate", seed, count]:
                source = random.Random(int(seed))
                for _ in range(int(count)):
                    line, variable = generate(source, 0)
                    say([bytes(variable.encode()).hex(), line])
            case _:
                raise SystemExit(f"no such command: {command!r}")


main()
