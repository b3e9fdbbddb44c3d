"""The one exception that reaches a user as a single line."""


class UserError(Exception):
    """Something the user can mend: the message names the file or key, and the remedy, in one line."""
