#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""format_to_man.py FORMAT.md: writes the manual page vtd-policy(5) to standard output.

FORMAT.md is the one description of policy files, and a test holds it to the table of keys; the manual
page is the same text as roff.  Of Markdown it knows what FORMAT.md uses, and refuses the rest: titles,
paragraphs, code blocks, lists of one level, and tables.
"""
import re
import sys

HEAD = '''.\\" Made from policy/FORMAT.md: change that.
.TH VTD\\-POLICY 5 "" vtd\\-broker "File formats"
.SH NAME
vtd\\-policy \\- policy files of vtd\\-brokerd(8), one for each tenant
.SH DESCRIPTION
'''


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha")
    return text.replace("~", "\\(ti")


def inline(text):
    """Code spans become bold; a line must not begin as a request does."""
    parts = re.split(r"`([^`]*)`", text)
    out = "".join(f"\\fB{escape(p)}\\fR" if i % 2 else escape(p) for i, p in enumerate(parts))
    return "\\&" + out if out[:1] in (".", "'") else out


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def table(lines):
    """Each row of a table of keys is a tagged paragraph; other tables have two columns."""
    titles = cells(lines[0])
    if not re.fullmatch(r"\|( -+ \|)+", lines[1].strip()):
        sys.exit(f"a table without a line of dashes: {lines[1]}")
    for line in lines[2:]:
        row = cells(line)
        if len(row) != len(titles):
            sys.exit(f"{len(row)} cells, {len(titles)} titles: {line}")
        print(f".TP\n{inline(row[0])}")
        if titles[0] == "key":
            facts = [f"{title}: {cell}" for title, cell in zip(titles[1:-1], row[1:-1]) if cell != "-"]
            print(inline("; ".join(facts)) + ".")
            print(".br")
        print(inline(row[-1][:1].upper() + row[-1][1:] + ("" if row[-1].endswith(".") else ".")))
    print(".PP")


def block(lines):
    first = lines[0]
    if first.startswith("## "):
        print(f'.SH "{escape(first[3:].upper())}"')
    elif first.startswith("|"):
        table(lines)
    elif first.startswith("- "):
        for item in re.split(r"\n(?=- )", "\n".join(lines)):
            print(".IP \\(bu 2")
            print(inline(" ".join(item[2:].split())))
        print(".PP")
    elif re.match(r"[#>*+]|\d+\.|!\[", first):
        sys.exit(f"cannot be made into a manual page: {first}")
    else:
        print(".PP\n" + inline(" ".join(" ".join(lines).split())))


def main():
    text = open(sys.argv[1], encoding="ascii").read()
    if not text.startswith("# Policy files\n"):
        sys.exit("FORMAT.md has another title")
    sys.stdout.write(HEAD)
    for i, part in enumerate(re.split(r"^```\n", text.partition("\n")[2], flags=re.M)):
        if i % 2:
            print(".PP\n.RS 4\n.EX\n" + "\n".join("\\&" + escape(line) for line in part.splitlines()))
            print(".EE\n.RE")
            continue
        for lines in re.split(r"\n\s*\n", part.strip("\n")):
            if lines.strip():
                block(lines.strip("\n").split("\n"))
    print('.SH "SEE ALSO"\nvtd\\-brokerd(8), vtd\\-policy(1)')


main()
