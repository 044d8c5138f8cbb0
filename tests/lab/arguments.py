# SPDX-License-Identifier: MIT OR Apache-2.0
"""The arguments of a program of ours in Python: its help, and what is wrong with a call, as tests/lib/usage.sh has them."""

import argparse
import sys


class Arguments(argparse.ArgumentParser):
    """Takes the name of the program from the top of the tree, what it does, and examples."""

    def __init__(self, program, does, *examples):
        examples = "\n".join(f"  {program}{example and ' '}{example}" for example in examples)
        super().__init__(prog=program, description=does, epilog=f"Examples:\n{examples}", formatter_class=argparse.RawDescriptionHelpFormatter)

    def format_usage(self):
        return super().format_usage().replace("usage", "Usage", 1)

    def format_help(self):
        return super().format_help().replace("usage", "Usage", 1)

    def error(self, message):
        sys.stderr.write(f"{self.prog.rpartition('/')[2]}: {message}\n{self.format_usage()}")
        sys.exit(2)
