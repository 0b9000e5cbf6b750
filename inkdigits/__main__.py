"""`python -m inkdigits` is the command `inkdigits`."""

import sys

from inkdigits.command.cli import main

sys.exit(main())
