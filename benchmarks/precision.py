"""What bfloat16 gives: test mAP and processor time of a fit, beside float32.

    OMP_NUM_THREADS=1 python benchmarks/precision.py ../shared/data [--methods posterior dscmr]
        [--seeds 3] [--epochs N]

Prints for each data set and method the mean and the deviation of the seeds for both precisions,
the mean difference of the same seed, and the ratio of the processor times; the fits alternate. The
gain depends on the processor, which the first line describes.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import commonspace as cs
from commonspace.registry import make_method
from commonspace.training import RunConfig

DATA = {"wikipedia": "wikipedia/wikipedia.npz", "flipkart": "flipkart/features.npz"}
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    """Measure and print a line for each data set and method."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with wikipedia/, flipkart/")
    parser.add_argument("--methods", nargs="+", default=["posterior", "dscmr"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, help="largest number of epochs; default: the method's"
    )
    options = parser.parse_args()
    able = [
        name
        for name, present in torch.cpu.get_capabilities().items()
        if name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") and present
    ]
    print(f"{torch.get_num_threads()} threads; {', '.join(able) or 'no extension'}")
    print("| data | method | float32 | bfloat16 | difference | processor time |")
    print("|---|---|---|---|---|---|")
    for name, file in DATA.items():
        data = cs.load_dataset(options.data / file)
        for method in options.methods:
            print(f"| {name} | {method} | {_row(data, method, options)} |", flush=True)


def _row(data: cs.Dataset, name: str, options: argparse.Namespace) -> str:
    found = np.zeros((len(PRECISIONS), options.seeds, 2))
    for seed in range(options.seeds):
        for place, precision in enumerate(PRECISIONS):
            method = make_method(name, seed=seed, precision=precision)
            assert isinstance(method, cs.GradientMethod)
            if options.epochs:
                method = replace(method, epochs=options.epochs)
            start = time.process_time()
            space = method.fit(data.split("train"), data.split("validation"), RunConfig())
            seconds = time.process_time() - start
            found[place, seed] = cs.evaluate(space, data.split("test")).map, seconds
    maps, times = found[..., 0], found[..., 1]
    cells = [f"{one.mean():.4f} ± {one.std():.4f}" for one in maps]
    difference = maps[1] - maps[0]
    cells.append(f"{difference.mean():+.4f} ± {difference.std():.4f}")
    cells.append(f"{times[1].sum() / times[0].sum():.2f}")
    return " | ".join(cells)


if __name__ == "__main__":
    main()
