"""Time of a search from the command line beside that of importing torch.

    python benchmarks/search_start.py INDEX "WORDS" [--runs 5]

prints the medians of processor time (user and system) of `python -c "import torch"`,
`commonspace search INDEX WORDS`, a search with a wrong filter and `commonspace --help`, and the
ratio to the first. Processor time changes less with the load of the machine than wall time.
"""

import argparse
import resource
import statistics
import subprocess
import sys

__all__ = ["main"]


def main() -> None:
    """Measure each command in turn and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("index")
    parser.add_argument("words")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    search = ["-m", "commonspace", "search", options.index, options.words]
    commands = {
        "import torch": ["-c", "import torch"],
        "search": search,
        "search, wrong filter": [*search, "--where", "no_such_field = 1"],
        "--help": ["-m", "commonspace", "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, words in commands.items():
            seconds[name].append(_processor_time(words))
    base = statistics.median(seconds["import torch"])
    print("| command | seconds | ratio |\n|---|---|---|")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.2f} | {median / base:.2f} |")


def _processor_time(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
