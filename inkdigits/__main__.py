"""`python -m inkdigits` is the command `inkdigits`."""

import sys

from inkdigits.cli import main

sys.exit(main())
