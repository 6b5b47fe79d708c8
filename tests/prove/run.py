#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py CHECKER [--self-test] [NAME...]: bounded model checking of the harnesses of this folder,
or of those that are named, with the cbmc that is unpacked below CHECKER.

Prints one line for each harness; the exit status is 0 if every proof holds.  With --self-test it
seeds the faults that proofs.py lists, one at a time, and each must be refuted by its proof.
"""
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is written beside the sources
from proofs import FAULTS, PROOFS  # pylint: disable=wrong-import-position

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = os.path.join(ROOT, "build", "prove")
SEEDED = os.path.join(WORK, "seeded")
SECONDS_MAX = 3600

CHECKS = ["--unwinding-assertions", "--bounds-check", "--pointer-check",
          "--pointer-overflow-check", "--pointer-primitive-check", "--signed-overflow-check",
          "--undefined-shift-check", "--div-by-zero-check", "--malloc-may-fail",
          "--malloc-fail-null", "--drop-unused-functions", "--slice-formula"]
PROPERTY = re.compile(r"^\[(\S+)\] (.*): (SUCCESS|FAILURE|UNKNOWN|ERROR)$", re.MULTILINE)
NO_BODY = re.compile(r"no body for function '?([A-Za-z0-9_]+)")


class Mistake(Exception):
    """The check itself could not be made."""


def program(checker, name):
    """The command that runs a program of CHECKER with the loader and libraries that lie with it."""
    library = os.path.join(checker, "usr", "lib")
    private = os.path.join(library, "x86_64-linux-gnu")
    return [os.path.join(private, "ld-linux-x86-64.so.2"), "--library-path",
            f"{private}:{library}", os.path.join(checker, "usr", "bin", name)]


def generate(source, target):
    """Generates the codec's descriptors from the schema in @source."""
    os.makedirs(target, exist_ok=True)
    subprocess.run(["protoc-c", f"--proto_path={source}", f"--c_out={target}",
                    os.path.join(source, "vtd-broker.proto")], check=True)


def prepare(checker):
    """Generates what the harnesses include, and what cbmc calls as its other solver."""
    generate(os.path.join(ROOT, "protos"), os.path.join(WORK, "protos"))
    solver = os.path.join(WORK, "solver")
    with open(solver, "w", encoding="utf-8") as file:
        command = " ".join(f"'{word}'" for word in program(checker, "cadical"))
        file.write(f"#!/bin/sh\nexec {command} -q \"$@\"\n")
    os.chmod(solver, 0o755)


def check(checker, proof, include=()):
    """Runs one proof: (number of properties, [those that do not hold])."""
    command = program(checker, "cbmc") + [
        os.path.join(ROOT, "tests", "prove", f"prove-{proof.harness}.c"),
        "--function", f"prove_{proof.name}", "--unwind", str(proof.unwind), "-D_GNU_SOURCE"]
    for folder in [*include, ROOT, WORK]:
        command += ["-I", folder]
    if proof.other_solver:
        command += ["--external-sat-solver", os.path.join(WORK, "solver")]
    try:
        ran = subprocess.run(command + CHECKS + list(proof.options), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False, cwd=WORK,
                             timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        raise Mistake(f"{proof.name}: not decided after {SECONDS_MAX} s") from None
    unknown = {name for name in NO_BODY.findall(ran.stdout) if not name.startswith("nondet_")}
    if unknown:
        raise Mistake(f"{proof.name}: undefined: {', '.join(sorted(unknown))}")
    results = PROPERTY.findall(ran.stdout)
    failed = [f"{name} {text}" for name, text, result in results if result != "SUCCESS"]
    # 0: all hold, 10: some do not; anything else is no verdict.
    if not results or ran.returncode != (10 if failed else 0):
        raise Mistake(f"{proof.name}: cbmc gives no verdict:\n{ran.stdout[-2000:]}")
    return len(results), failed


def prove(checker, harness):
    """Checks one harness and prints its line; True if every proof holds."""
    proofs = [proof for proof in PROOFS if proof.harness == harness]
    properties, failures = 0, []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for proof in proofs:
        try:
            count, failed = check(checker, proof)
        except Mistake as mistake:
            count, failed = 0, [str(mistake)]
        properties += count
        failures += [f"{proof.name}: {text}" for text in failed]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{'FAILED' if failures else 'proved'}  {harness}: {len(proofs)} proofs of {properties} "
          f"properties, {seconds:.1f} s", flush=True)
    for failure in failures:
        print(f"        {failure}", flush=True)
    return not failures


def seed(fault):
    """Writes the faulty file into SEEDED, which goes in front of the sources."""
    with open(os.path.join(ROOT, fault.path), encoding="utf-8") as file:
        original = file.read()
    if original.count(fault.text) != 1:
        raise Mistake(f"its text stands {original.count(fault.text)} times in {fault.path}")
    target = os.path.join(SEEDED, fault.path)
    shutil.rmtree(SEEDED, ignore_errors=True)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        file.write(original.replace(fault.text, fault.replacement))
    if fault.path.endswith(".proto"):
        generate(os.path.dirname(target), os.path.dirname(target))


def refute(checker, fault):
    """Prints whether the proof that is to notice a fault does; True if so."""
    proof = next(p for p in PROOFS if (p.harness, p.name) == (fault.harness, fault.proof))
    try:
        seed(fault)
        failed = check(checker, proof, [SEEDED])[1]
        failed.sort(key=lambda name: not name.startswith("prove_"))
        how = failed[0] if failed else "every property holds all the same"
    except Mistake as mistake:
        failed, how = [], str(mistake)
    print(f"{'refuted' if failed else 'NOT SEEN'}  {fault.harness}/{fault.proof}: {fault.what}\n"
          f"         {how}", flush=True)
    return bool(failed)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    checker, names = sys.argv[1], sys.argv[2:]
    self_test = "--self-test" in names
    names = [name for name in names if name != "--self-test"]
    harnesses = list(dict.fromkeys(proof.harness for proof in PROOFS))
    for name in names:
        if name not in harnesses:
            sys.exit(f"prove: there is no harness '{name}': {', '.join(harnesses)}")
    harnesses = [harness for harness in harnesses if not names or harness in names]
    prepare(checker)
    if not self_test:
        proved = [prove(checker, harness) for harness in harnesses]
        return 0 if all(proved) else 1
    unseen = {(p.harness, p.name) for p in PROOFS if p.harness in harnesses}
    unseen -= {(f.harness, f.proof) for f in FAULTS}
    for harness, proof in sorted(unseen):
        print(f"NO FAULT  {harness}/{proof}: nothing shows that it can fail")
    refuted = [refute(checker, fault) for fault in FAULTS if fault.harness in harnesses]
    print(f"{sum(refuted)} of {len(refuted)} seeded faults are refuted")
    return 0 if all(refuted) and not unseen else 1


if __name__ == "__main__":
    os.makedirs(WORK, exist_ok=True)
    try:
        # cbmc, which is killed then, leaves its files.
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            os.environ["TMPDIR"] = folder
            sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("prove: interrupted; the rest was not checked")
