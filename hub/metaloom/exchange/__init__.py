"""Ways in from other formats, and out to them.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom.exchange.exporting import FORMATS as FORMATS
    from metaloom.exchange.exporting import export_block as export_block
    from metaloom.exchange.huggingface import HUGGINGFACE as HUGGINGFACE
    from metaloom.exchange.importing import import_block as import_block
    from metaloom.exchange.mlflow_registry import MLFLOW as MLFLOW
    from metaloom.exchange.mlflow_registry import register_model as register_model
    from metaloom.exchange.pretrained import from_pretrained as from_pretrained
    from metaloom.exchange.pretrained import push_to_hub as push_to_hub
    from metaloom.exchange.pretrained import save_pretrained as save_pretrained
    from metaloom.exchange.programs import load_program as load_program
    from metaloom.exchange.programs import portable_of as portable_of
    from metaloom.exchange.pt2 import PT2 as PT2
    from metaloom.exchange.repositories import Remote as Remote
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "exporting": ("FORMATS", "export_block"),
            "huggingface": ("HUGGINGFACE",),
            "importing": ("import_block",),
            "mlflow_registry": ("MLFLOW", "register_model"),
            "pretrained": ("from_pretrained", "push_to_hub", "save_pretrained"),
            "programs": ("load_program", "portable_of"),
            "pt2": ("PT2",),
            "repositories": ("Remote",),
        },
    )
