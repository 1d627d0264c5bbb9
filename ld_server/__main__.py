"""`python -m ld_server` is `ld-server`."""

import sys

from ld_server.cli import main

if __name__ == "__main__":
    sys.exit(main())
