"""`python -m leadlight.cli`."""

import sys

from leadlight.cli.main import main

sys.exit(main())
