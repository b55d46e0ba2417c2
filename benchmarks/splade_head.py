"""SPLADE's head with its gradients: ours, which takes the terms in pieces, beside the plain one, and their memory.

The plain head is what SPLADE's released code writes down: max over tokens of log(1 + relu(h E' + b)) * mask. It holds
texts x tokens x terms several times. Each is measured in a process of its own: seconds of the median of --repeats,
memory as the peak resident size less that before the first call. `--active` is the share of scores above zero: about
half at the start of training, a few in a thousand after it, which is what the gradient of ours costs by.

    python benchmarks/splade_head.py [--texts 64] [--tokens 128] [--terms 30522] [--dimension 384] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch

from pairspace.encoders.max_pool_head import max_pool_head


def plain(hidden: torch.Tensor, mask: torch.Tensor, head: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    scores = torch.log1p(torch.relu(hidden @ head.T + bias)) * mask[:, :, None]
    return scores.max(1).values


HEADS = {"ours": max_pool_head, "plain": plain}


def peak() -> float:
    """Highest resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))


def measure(kind: str, texts: int, tokens: int, terms: int, dimension: int, active: float, repeats: int) -> dict:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(texts, tokens, dimension, generator=generator).requires_grad_()
    head = (torch.randn(terms, dimension, generator=generator) * dimension**-0.5).requires_grad_()
    highest = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - active) ** (1 / tokens))
    bias = torch.full((terms,), -float(highest)).requires_grad_()  # so many texts have a term, as their best token does
    lengths = torch.randint(tokens // 2, tokens + 1, (texts,), generator=generator)
    mask = (torch.arange(tokens) < lengths[:, None]).float()
    gradient = torch.randn(texts, terms, generator=generator)
    seconds, before, memory, share = [], peak(), 0.0, 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        weights = HEADS[kind](hidden, mask, head, bias)
        torch.autograd.grad(weights, (hidden, head, bias), gradient)
        seconds.append(time.perf_counter() - began)
        memory, share = memory or peak() - before, float((weights > 0).float().mean())
        del weights
    return {"kind": kind, "active": share, "seconds": statistics.median(seconds), "gib": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("texts", 64), ("tokens", 128), ("terms", 30_522), ("dimension", 384), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--active", type=float, nargs="*", default=[0.5, 0.005])
    parser.add_argument("--kind", choices=HEADS)
    arguments = vars(parser.parse_args())
    kind, shares = arguments.pop("kind"), arguments.pop("active")
    if kind is not None:
        print(json.dumps(measure(kind, active=shares[0], **arguments)))
        return
    sizes = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    for share in shares:
        found = {}
        for one in HEADS:
            command = [sys.executable, __file__, *sizes, "--kind", one, "--active", str(share)]
            found[one] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        ours, theirs = found["ours"], found["plain"]
        print(
            f"{ours['active']:.1%} of the scores active: ours {ours['seconds']:.2f} s and {ours['gib']:.2f} GiB, plain "
            f"{theirs['seconds']:.2f} s and {theirs['gib']:.2f} GiB: memory 1/{theirs['gib'] / ours['gib']:.1f}, speed "
            f"{theirs['seconds'] / ours['seconds']:.2f} times"
        )


if __name__ == "__main__":
    main()
