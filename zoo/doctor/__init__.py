"""`zoo doctor`: what of this machine and this installation works, and what to type where something does not.

Whatever may crash or be broken (torch, a GL library, a codec, a plug-in) is tried in a process of its own.
"""

from zoo.doctor.examination import CHECKS, examine
from zoo.doctor.findings import Finding, Status

__all__ = ["CHECKS", "Finding", "Status", "examine"]
