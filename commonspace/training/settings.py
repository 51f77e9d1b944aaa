"""Settings of one training, and the sizes of its network. Importing this loads no torch."""

from typing import Literal, get_args

from commonspace.settings import Precision, Settings, setting

__all__ = ["NetworkSettings", "Schedule", "TrainingSettings"]

Schedule = Literal["constant", "one cycle"]


class TrainingSettings(Settings):
    """The settings that the training loop takes.

    "one cycle" lets the learning rates rise over the first tenth of all steps and then fall to 0
    along half a cosine (Smith and Topin: Super-convergence, 2018).

    Raises:
        SettingError: If a value is out of range.
    """

    epochs: int = setting(help="Maximum number of epochs.", low=1)
    batch_size: int = setting(help="Samples in a batch.", low=1)
    learning_rate: float = setting(help="Learning rate of Adam.", above=0)
    betas: tuple[float, float] = setting(
        (0.9, 0.999), help="Decay rates of the two moments of Adam.", low=0, below=1
    )
    shuffle: bool = setting(True, help="Draw a new order of the samples in each epoch.")
    patience: int | None = setting(
        None, help="Epochs without a better validation score before training stops.", low=1
    )
    seed: int = setting(
        0, help="Random seed of initial weights, batches and dropout.", low=0, below=2**63
    )
    device: str = setting("auto", help='Device: "auto", "cpu", "cuda", "cuda:1" or "mps".')
    precision: Precision = setting(
        "float32",
        help="Precision of matrix multiplications; weights stay float32.",
        choices=get_args(Precision),
    )
    backbone_learning_rate: float | None = setting(
        None, help="Learning rate of pretrained backbones; None: that of the rest.", above=0
    )
    schedule: Schedule = setting(
        "constant", help="Course of the learning rates.", choices=get_args(Schedule)
    )
    average: int = setting(1, help="Last epochs of a cycle whose weights are averaged.", low=1)
    accumulate: int = setting(
        1, help="Batches whose gradients are added before each step of the optimizer.", low=1
    )
    minutes: float | None = setting(
        None, help="Minutes after which training ends with the best weights so far.", above=0
    )


class NetworkSettings(Settings):
    """The sizes of a network.

    Raises:
        SettingError: If a value is out of range.
    """

    hidden_dim: int = setting(1024, help="Size of each hidden layer.", low=1)
    embedding_dim: int = setting(256, help="Size of the embeddings.", low=1)
