"""`python -m deploy`."""

# pyinfra speaks to boards in parallel through gevent, which must come before sockets and threads are used.
from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

from deploy.cli import main  # noqa: E402

sys.exit(main())
