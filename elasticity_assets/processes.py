"""Whether a process of this machine is still there."""

import os


def has_gone(pid: int) -> bool:
    """Whether no process of this machine has this number any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False
