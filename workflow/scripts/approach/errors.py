"""The one exception that reaches a user as a single line, and how it is shown."""

import errno

LONGEST = 500  # characters of a line
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """Something the user can mend: the message names the file or key, and the remedy, in one line."""


def lacks_room(error: BaseException) -> bool:
    """Whether an error means that the disk, a quota or a file's size limit is full."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


def one_line(error: BaseException) -> str:
    """What an error says, in one line of at most 500 characters, with control characters escaped.

    The end of a long message stays, since the remedy is there.
    """
    text = str(error).strip()
    if lacks_room(error):
        named = f"{error.filename}: " if error.filename else ""
        text = f"{named}{error.strerror}; make room, and the same command goes on"
    elif not isinstance(error, UserError):
        text = f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
    text = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    half = (LONGEST - 5) // 2
    return text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}"
