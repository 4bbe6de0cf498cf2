"""A retailer's year through the whole service: simulated stores that sell, report, accept and receive."""

from vmi_demo.run import Options, run
from vmi_demo.screen import print_summary
from vmi_demo.stage import DemoError
from vmi_demo.summary import Summary

__all__ = ["DemoError", "Options", "Summary", "print_summary", "run"]
