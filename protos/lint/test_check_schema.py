#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lint must see each way out of the safe subset: one planted mistake at a time."""
import sys
import unittest

import check_schema

SCHEMA_PATH = sys.argv.pop(1)

# (what, where in the schema it goes in, what goes there, what the lint must say)
ANCHOR = "message HelloRequest {\n"
MISTAKES = [
    ("required", ANCHOR, ANCHOR + "  required uint32 x = 9;\n", "'required' where"),
    ("no label", ANCHOR, ANCHOR + "  uint32 x = 9;\n", "'uint32' where"),
    ("string", ANCHOR, ANCHOR + "  optional string x = 9;\n", "string is not one of"),
    ("float", ANCHOR, ANCHOR + "  optional float x = 9;\n", "float is not one of"),
    ("double", ANCHOR, ANCHOR + "  optional double x = 9;\n", "double is not one of"),
    ("signed", ANCHOR, ANCHOR + "  optional int32 x = 9;\n", "int32 is not one of"),
    ("fixed", ANCHOR, ANCHOR + "  optional fixed64 x = 9;\n", "fixed64 is not one of"),
    ("single submessage", ANCHOR, ANCHOR + "  optional AddressRange x = 9;\n",
     "AddressRange is not one of"),
    ("recursion", ANCHOR, ANCHOR + "  repeated HelloRequest x = 9;\n", "one level of nesting"),
    ("two levels", ANCHOR, ANCHOR + "  repeated InvalidateRequest x = 9;\n",
     "one level of nesting"),
    ("unbounded repeated", ANCHOR, ANCHOR + "  repeated AddressRange x = 9;\n",
     "not known to bound it"),
    ("repeated scalar", ANCHOR, ANCHOR + "  repeated uint32 x = 9;\n", "only messages"),
    ("unbounded bytes", ANCHOR, ANCHOR + "  optional bytes x = 9;\n", "not known to bound"),
    ("map", ANCHOR, ANCHOR + "  map<uint32, uint32> x = 9;\n", "'<' is not in the safe subset"),
    ("group", ANCHOR, ANCHOR + "  optional group X = 9 {\n}\n", "'X' where"),
    ("oneof", ANCHOR, ANCHOR + "  oneof x {\n}\n", "'oneof' where"),
    ("extension range", ANCHOR, ANCHOR + "  extensions 100 to 199;\n", "'extensions' where"),
    ("extend", ANCHOR, "extend HelloReply {\n}\n" + ANCHOR, "'extend' where"),
    ("nested message", ANCHOR, ANCHOR + "  message X {\n}\n", "'message' where"),
    ("enum", ANCHOR, "enum X {\n A = 0;\n}\n" + ANCHOR, "'enum' where"),
    ("import", ANCHOR, 'import "x.proto";\n' + ANCHOR, "'import' where"),
    ("option", ANCHOR, "option optimize_for = SPEED;\n" + ANCHOR, "'option' where"),
    ("field option", ANCHOR, ANCHOR + "  optional uint32 x = 9 [default = 1];\n",
     "'[' is not in the safe subset"),
    ("service", ANCHOR, "service X {\n}\n" + ANCHOR, "'service' where"),
    ("block comment", ANCHOR, "/* */" + ANCHOR, "'/' is not in the safe subset"),
    ("proto3", '"proto2"', '"proto3"', '"proto3"'),
    ("large number", ANCHOR + "  optional uint32 major = 1;\n  optional uint32 minor = 2;\n"
     "  optional uint64 features = 3;",
     ANCHOR + "  optional uint32 major = 1;\n  optional uint32 minor = 2;\n"
     "  optional uint64 features = 16;", "one byte of tag"),
    ("descending numbers", ANCHOR, ANCHOR + "  optional uint32 x = 9;\n", "ascending order"),
    ("number used twice", ANCHOR, ANCHOR + "  optional uint32 x = 1;\n", "ascending order"),
    ("message twice", ANCHOR, "message HelloReply {\n}\n" + ANCHOR, "is defined twice"),
    ("missing end", "// Body of a reply whose", "message X {\n//", "where 'optional'"),
    ("bounded field gone", "  repeated InvalidateEntry entries = 2;", "", "not in the schema"),
]


class Schema(unittest.TestCase):
    def setUp(self):
        with open(SCHEMA_PATH, encoding="ascii") as schema:
            self.text = schema.read()

    def test_the_schema_is_in_the_safe_subset(self):
        self.assertEqual(check_schema.check(self.text), [])

    def test_each_planted_mistake_is_seen(self):
        for what, old, new, expected in MISTAKES:
            with self.subTest(what):
                self.assertEqual(self.text.count(old), 1)
                errors = check_schema.check(self.text.replace(old, new))
                self.assertTrue(any(expected in error for error in errors), errors)


if __name__ == "__main__":
    unittest.main()
