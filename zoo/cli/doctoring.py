"""`zoo doctor`: written with the standard library alone, because it is asked when something is broken."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import NoReturn

from zoo.doctor import CHECKS, examine
from zoo.errors import ConfigError

EXIT_FAILED = 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. List: {self.prog} --help")


def run(command: str, arguments: Sequence[str]) -> None:
    """Examine machine and installation; exit code 1 where something needed does not work.

    Args:
        command: What was typed to come here, for the help.
        arguments: Names of checks, and `--json`.

    Raises:
        ConfigError: an unknown flag.
        UnknownNameError: no such check.
        SystemExit: something failed, or the help was asked for.
    """
    parser = _Parser(
        prog=f"zoo {command}", description="Try what the zoo needs here, and say what to type where it fails."
    )
    parser.add_argument("checks", nargs="*", help=f"Only these; all where left out: {', '.join(CHECKS)}")
    parser.add_argument("--json", action="store_true", help="Print one JSON object instead of lines.")
    options = parser.parse_args(list(arguments))
    findings = []
    for finding in examine(options.checks):
        findings.append(finding)
        if not options.json:
            print(f"{finding.status:<4}  {finding.check:<12}  {finding.text}", flush=True)
            if finding.fix:
                print(f"{'':<4}  {'':<12}  fix: {finding.fix}", flush=True)
    failed = [finding for finding in findings if finding.status == "fail"]
    if options.json:
        print(json.dumps({"failed": len(failed), "findings": [asdict(finding) for finding in findings]}, indent=1))
    if failed:
        raise SystemExit(EXIT_FAILED)
