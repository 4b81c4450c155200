"""`python -m mmspec_ds`: the command line, as the `deepspeed` launcher starts it."""

import sys

from mmspec_ds.cli import main

if __name__ == "__main__":
    sys.exit(main())
