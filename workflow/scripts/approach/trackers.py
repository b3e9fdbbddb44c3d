"""Which trackers there are, and whether their packages are installed."""

import importlib.util

from approach.errors import UserError

# the word after track= -> the package, by the name that Python and pip share
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "trackio": "trackio"}


def check_installed(tracker: str) -> None:
    """Ask for a tracker's package where it is absent.

    Raises:
        UserError: it is.
    """
    package = PACKAGES.get(tracker)
    if package and importlib.util.find_spec(package) is None:
        raise UserError(f"track={tracker} needs a package that is not installed: pip install {package}")
