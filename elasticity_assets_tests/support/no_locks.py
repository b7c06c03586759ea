"""A process whose files cannot be locked, as on some network file systems: Linux refuses it `fcntl`'s locks."""

import ctypes
import errno
import platform
from ctypes import c_ubyte, c_uint, c_ulong, c_ushort, c_void_p

NUMBERS = {"x86_64": 72, "aarch64": 25}
"""Of the system call `fcntl`, by machine."""

_F_GETLK, _F_SETLKW = 5, 7
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_LOAD, _EQUAL, _AT_LEAST, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Instruction(ctypes.Structure):
    _fields_ = (("code", c_ushort), ("if_true", c_ubyte), ("if_false", c_ubyte), ("value", c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", c_ushort), ("instructions", c_void_p))


def refuse_locks(error: str) -> None:
    """Let every lock of this process fail with an error, such as ENOLCK, from now on.

    Raises
    ------
    OSError
        If the system does not allow that.
    """
    lines = [
        (_LOAD, 0, 0, 0),  # number of the system call
        (_EQUAL, 0, 4, NUMBERS[platform.machine()]),
        (_LOAD, 0, 0, 24),  # its second argument
        (_AT_LEAST, 0, 2, _F_GETLK),
        (_ABOVE, 1, 0, _F_SETLKW),
        (_RETURN, 0, 0, _ERRNO | getattr(errno, error)),
        (_RETURN, 0, 0, _ALLOW),
    ]
    instructions = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(lines), ctypes.cast(instructions, c_void_p))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, c_ulong(1), c_ulong(0), c_ulong(0), c_ulong(0)),
        (_PR_SET_SECCOMP, c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program), c_ulong(0), c_ulong(0)),
    ):
        if prctl(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, errno.errorcode[number])
