"""Import torchvision where its compiled operators do not load.

torchvision 0.28 from the package registry is compiled against torch's CUDA build. Beside torch's CPU build its
extension does not load; torchvision shrugs that off (the operators are optional), but then registers fake kernels for
``torchvision::nms`` and ``torchvision::qnms`` without asking whether they exist, and the import fails. Nothing here
needs these operators: `lpips`, and in the tests `piq`, want torchvision's plain network definitions. So, in that one
case, the two names are declared (a schema, no kernel: calling them still fails) and the import is made again.
"""

import importlib
import logging
import sys
from types import ModuleType

import torch

logger = logging.getLogger(__name__)

_ORPHANS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a Library's definitions live as long as the object


def import_torchvision() -> ModuleType:
    """Import and return torchvision; to be called before anything that imports it (lpips, piq).

    A healthy torchvision is imported as ever. Any failure other than the missing operators' is raised unchanged.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or "does not exist" not in str(error) or _declared:
            raise
    logger.debug("torchvision's compiled operators do not load with this torch: declaring %s", ", ".join(_ORPHANS))
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]  # what the failed import left behind
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _ORPHANS:
        library.define(name + _SCHEMA)
    _declared.append(library)
    return importlib.import_module("torchvision")
