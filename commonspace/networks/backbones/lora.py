"""Low-rank updates of linear layers (LoRA) for fine-tuning, by the library peft.

Source: Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.
"""

from torch import nn

from commonspace.errors import SettingError
from commonspace.extras import optional

__all__ = ["add_lora", "merge_lora"]

RANK = 8
SCALE = 16
"""Factor of an update is ``SCALE / RANK``, as in the paper's code."""


def add_lora(module: nn.Module) -> None:
    """Add an update of low rank to each linear layer, in place; only the updates are trainable.

    A new update is zero, so that the output does not change.

    Args:
        module: A backbone with pretrained weights.

    Raises:
        SettingError: If it has no linear layer.
        MissingExtraError: If peft is not installed.

    Example:
        >>> import torch
        >>> layers = nn.Sequential(nn.Linear(3, 2, bias=False))
        >>> x, before = torch.ones(1, 3), layers(torch.ones(1, 3))
        >>> add_lora(layers)
        >>> bool((layers(x) == before).all()), sum(p.requires_grad for p in layers.parameters())
        (True, 2)
        >>> merge_lora(layers)
        >>> layers
        Sequential(
          (0): Linear(in_features=3, out_features=2, bias=False)
        )
    """
    names = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not names:
        raise SettingError(
            f"`fine_tune` 'lora' is not supported by {type(module).__name__}",
            expected="a backbone with linear layers, such as a transformer",
            found="none",
            advice="use 'top' or 'all'",
        )
    peft = optional("peft", "fine-tuning with updates of low rank", "lora")
    settings = peft.LoraConfig(r=RANK, lora_alpha=SCALE, target_modules=names)
    peft.inject_adapter_in_model(settings, module)


def merge_lora(module: nn.Module) -> None:
    """Make the updates part of the weights and remove them, in place; without any, do nothing.

    Args:
        module: A network that may contain backbones with updates.
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "lora_A") and hasattr(child, "get_base_layer"):
                child.merge()  # type: ignore[operator]
                plain: nn.Module = child.get_base_layer()  # type: ignore[operator]
                setattr(parent, name, plain.requires_grad_(True))
