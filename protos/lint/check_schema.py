#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold the schema to the subset that is safe to parse at a privilege boundary.

The whole file must match a small grammar; what is not named here (required, string, float, map,
oneof, groups, enums, options, extensions, imports, nested definitions) is refused by not being
in it.  Beyond the grammar: at most one level of nesting, repeated fields only where the codec
bounds their number, field numbers that fit one byte of tag, in ascending order, because
canonical bodies and the body limits in types.c and decode.c rely on them.

Prints one line per mistake and exits with status 1 when there is any.
"""
import re
import sys

SCALARS = {"uint32", "uint64", "bool"}
# bytes fields, each with a length that decode.c checks
BOUNDED_BYTES = {("PlugDeviceRequest", "name")}
# repeated fields, each with a number that decode.c checks
BOUNDED_REPEATED = {
    ("PlugDeviceReply", "reserved"),
    ("InvalidateRequest", "entries"),
    ("GetDeviceInfoReply", "regions"),
}
LARGEST_FIELD_NUMBER = 15

TOKEN = re.compile(r'\s+|//[^\n]*|(?P<token>"[^"\n]*"|[A-Za-z_][A-Za-z0-9_.]*|[0-9]+|[{}=;])')


class SchemaError(Exception):
    pass


def tokens(text):
    """Yield (token, line); the last is ("", line)."""
    position, line = 0, 1
    while position < len(text):
        match = TOKEN.match(text, position)
        if not match:
            raise SchemaError(f"{line}: {text[position]!r} is not in the safe subset")
        if match["token"]:
            yield match["token"], line
        line += match[0].count("\n")
        position = match.end()
    yield "", line


class Parser:
    def __init__(self, text):
        self.tokens = list(tokens(text))
        self.messages = {}

    def take(self, pattern, what):
        token, line = self.tokens[0]
        if not re.fullmatch(pattern, token):
            raise SchemaError(f"{line}: {token!r} where {what} must stand")
        del self.tokens[0]
        return token, line

    def skip(self, *literals):
        for literal in literals:
            self.take(re.escape(literal), repr(literal))

    def parse(self):
        self.skip("syntax", "=", '"proto2"', ";", "package", "vtd.broker.v1", ";")
        while self.tokens[0][0]:
            self.message()
        return self.messages

    def message(self):
        self.skip("message")
        name, line = self.take(r"[A-Z][A-Za-z0-9]*", "the name of a message")
        if name in self.messages:
            raise SchemaError(f"{line}: {name} is defined twice")
        self.skip("{")
        fields = []
        while self.tokens[0][0] != "}":
            fields.append(self.field())
        self.skip("}")
        self.messages[name] = fields

    def field(self):
        label, line = self.take("optional|repeated", "'optional', 'repeated' or '}'")
        kind, _ = self.take(r"[A-Za-z][A-Za-z0-9]*", "a type")
        name, _ = self.take(r"[a-z][a-z0-9_]*", "the name of a field")
        self.skip("=")
        number, _ = self.take(r"[1-9][0-9]*", "the number of a field")
        self.skip(";")
        return label, kind, name, int(number), line


def check_field(messages, message, field):
    label, kind, name, number, line = field
    where = f"{line}: {message}.{name}"
    if number > LARGEST_FIELD_NUMBER:
        yield f"{where}: number {number} does not fit one byte of tag, {LARGEST_FIELD_NUMBER} does"
    if label == "optional":
        if kind == "bytes":
            if (message, name) not in BOUNDED_BYTES:
                yield f"{where}: bytes whose length the codec is not known to bound"
        elif kind not in SCALARS:
            yield f"{where}: {kind} is not one of bytes, {', '.join(sorted(SCALARS))}"
        return
    if (message, name) not in BOUNDED_REPEATED:
        yield f"{where}: repeated, but the codec is not known to bound it"
    if kind not in messages:
        yield f"{where}: only messages of this file may be repeated, not {kind}"
    elif any(inner[0] == "repeated" for inner in messages[kind]):
        yield f"{where}: {kind} has repeated fields itself; one level of nesting is allowed"


def check(text):
    """The mistakes of a schema, as "LINE: message" strings."""
    try:
        messages = Parser(text).parse()
    except SchemaError as error:
        return [str(error)]
    errors = []
    for message, fields in messages.items():
        numbers = [field[3] for field in fields]
        if numbers != sorted(set(numbers)):
            errors.append(f"{fields[0][4]}: {message}: numbers are not in ascending order")
        names = [field[2] for field in fields]
        if len(names) != len(set(names)):
            errors.append(f"{fields[0][4]}: {message}: a field is defined twice")
        for field in fields:
            errors.extend(check_field(messages, message, field))
    found = {(message, field[2]) for message, fields in messages.items() for field in fields}
    for message, name in sorted((BOUNDED_REPEATED | BOUNDED_BYTES) - found):
        errors.append(f"1: {message}.{name} is on the lint's list but not in the schema")
    return errors


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} SCHEMA")
    with open(sys.argv[1], encoding="ascii") as schema:
        errors = check(schema.read())
    for error in errors:
        print(f"{sys.argv[1]}:{error}", file=sys.stderr)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
