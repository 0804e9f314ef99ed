"""Trains a small CLIP on what `curation run` made: a work folder with shards, or a set of shards.

    python examples/train_clip.py demo-output/run --steps 60
    python examples/train_clip.py shards --t 20000 --epochs 3 --batch 1024 --size 224 --width 512 --layers 8

An image tower (patches, a transformer) and a text tower (hashed words, a transformer) learn which picture belongs to
which text. The loss goes down, and in the end it is told how often the right text of held-out pictures is found. With
--checkpoint the same command goes on where it stopped, in the middle of an epoch, with the samples that are next.
"""

from __future__ import annotations

import argparse
import os
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from curation.errors import CurationError
from curation.training import Loader, ManifestDataset, NoSplitError, Reading, ShardDataset

WORDS = 32
"""Tokens of a text; more are cut off."""
VOCABULARY = 1 << 14
"""Numbers that words are hashed to; 0 is no word."""
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_WORD = re.compile(r"[a-z0-9]+|\w")  # words of Latin letters, and single letters of all other scripts


def tokenize(text: str) -> torch.Tensor:
    """(WORDS,) int64: a hash per word, zeros behind the last."""
    words = _WORD.findall(text.lower())[:WORDS]
    hashed = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words]
    return torch.tensor(hashed + [0] * (WORDS - len(hashed)))


def _transformer(width: int, layers: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(width, max(1, width // 64), 4 * width, 0.0, "gelu", batch_first=True,
                                       norm_first=True)  # fmt: skip
    return nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)


class Clip(nn.Module):
    """Pictures (N, 3, size, size) uint8 and texts (N, WORDS) to unit vectors of one space."""

    def __init__(self, size: int, width: int, layers: int) -> None:
        super().__init__()
        patch = size // 8
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.places = nn.Parameter(torch.randn(64, width) / width**0.5)
        self.image_tower = _transformer(width, layers)
        self.words = nn.Embedding(VOCABULARY, width, padding_idx=0)
        self.text_places = nn.Parameter(torch.randn(WORDS, width) / width**0.5)
        self.text_tower = _transformer(width, max(1, layers // 2))
        self.scale = nn.Parameter(torch.tensor(2.7))  # exp: 15; CLIP's temperature of 0.07

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        found = self.patches(pixels.float() / 127.5 - 1).flatten(2).transpose(1, 2) + self.places
        return functional.normalize(self.image_tower(found).mean(1), dim=-1)

    def texts(self, words: torch.Tensor) -> torch.Tensor:
        empty = words == 0
        empty[:, 0] = False
        found = self.text_tower(self.words(words) + self.text_places, src_key_padding_mask=empty)
        kept = (~empty).unsqueeze(-1)
        return functional.normalize((found * kept).sum(1) / kept.sum(1), dim=-1)

    def forward(self, pixels: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """The loss: which of the batch's texts belongs to a picture, and the other way."""
        scores = self.scale.clamp(max=4.6).exp() * self.images(pixels) @ self.texts(words).T
        right = torch.arange(len(scores), device=scores.device)
        return (functional.cross_entropy(scores, right) + functional.cross_entropy(scores.T, right)) / 2


class Training:
    """A model, its optimiser and where its data stand."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        # threads that share their cores with workers wait for each other
        torch.set_num_threads(max(1, min(torch.get_num_threads(), CORES - options.workers)))
        self.options, self.device, self.step = options, torch.device(options.device), 0
        self.model = Clip(options.size, options.width, options.layers).to(self.device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), options.rate, weight_decay=0.1)
        self.batches = _loader(options, "train", seed=options.seed, t=options.t, text=options.text)
        if options.checkpoint is not None and options.checkpoint.exists():
            self._load(torch.load(options.checkpoint, map_location=self.device))

    def _load(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.batches.load_state_dict(state["batches"])
        self.step = state["step"]
        print(f"goes on behind step {self.step:,}, in epoch {self.batches.epoch}")

    def save(self) -> None:
        if self.options.checkpoint is not None:
            scratch = self.options.checkpoint.with_suffix(".new")
            torch.save({"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict(),
                        "batches": self.batches.state_dict(), "step": self.step}, scratch)  # fmt: skip
            scratch.replace(self.options.checkpoint)

    def _forever(self) -> Iterator[dict[str, Any]]:
        while self.step < self.options.steps and self.batches.epoch < self.options.epochs:
            yield from self.batches

    def run(self) -> None:
        """Trains until it has done its steps or epochs; every --say steps it tells how it goes."""
        watch = _Watch(self.device)
        for batch in watch.waiting(self._forever()):
            for group in self.optimiser.param_groups:
                group["lr"] = self.options.rate * min(1, (self.step + 1) / self.options.warm_up)
            loss = self._learn(batch)
            self.step += 1
            watch.count(len(batch["key"]), loss)
            if self.step % self.options.say == 0:
                print(f"step {self.step:,}, epoch {self.batches.epoch}: {watch.told(self.options.say)}", flush=True)
                self.save()
            if self.step >= self.options.steps:
                break
        self.save()
        print(watch.summary())

    def _learn(self, batch: dict[str, Any]) -> torch.Tensor:
        pixels, words = (batch[name].to(self.device, non_blocking=True) for name in ("image", "text"))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            loss: torch.Tensor = self.model(pixels, words)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        return loss.detach()

    def examine(self) -> None:
        """Of up to 1,000 held-out pictures: how often their own text is the nearest, or among the nearest five."""
        try:
            batches, of = _loader(self.options, "val", shuffle=0), "val"
        except NoSplitError:
            batches, of = _loader(self.options, "train", shuffle=0), "train, which it has seen: there is no val"
        vectors: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.model.eval()
        with torch.inference_mode():
            for batch in batches:
                pixels, words = (batch[name].to(self.device) for name in ("image", "text"))
                vectors.append((self.model.images(pixels), self.model.texts(words)))
                if sum(len(each) for each, _ in vectors) >= 1000:
                    break
        images, texts = (torch.cat(each)[:1000] for each in zip(*vectors, strict=True))
        scores = images @ texts.T
        ranks = (scores > scores.diagonal()[:, None]).sum(1)
        first, five, count = (ranks == 0).float().mean(), (ranks < 5).float().mean(), len(ranks)
        print(f"{count:,} pictures of {of}: their text found first {first:.1%}, among five {five:.1%} "
              f"(by chance {1 / count:.1%} and {min(1, 5 / count):.1%})")  # fmt: skip


class _Watch:
    """How it goes: seconds in all and spent waiting for data, samples, losses."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begin = self._mark = time.perf_counter()
        self._waited, self._waited_before, self._samples, self._samples_before = 0.0, 0.0, 0, 0
        self._losses: list[torch.Tensor] = []

    def waiting(self, batches: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The batches. Waiting is what passes between the end of a step and the next batch."""
        while True:
            if self._device.type == "cuda":
                torch.cuda.synchronize()
            since = time.perf_counter()
            batch = next(batches, None)
            self._waited += time.perf_counter() - since
            if batch is None:
                return
            yield batch

    def count(self, samples: int, loss: torch.Tensor) -> None:
        self._samples += samples
        self._losses.append(loss)

    def told(self, steps: int) -> str:
        """Of the last steps."""
        now = time.perf_counter()
        took, samples = now - self._mark, self._samples - self._samples_before
        waited = self._waited - self._waited_before
        self._mark, self._waited_before, self._samples_before = now, self._waited, self._samples
        speed = f"{samples / took:,.0f} samples/s, {waited / took:.1%} waiting for data"
        return f"loss {self._mean(-steps, None):.3f}, {speed}"

    def summary(self) -> str:
        """Of all; nothing is said of losses where there are few."""
        took = time.perf_counter() - self._begin
        some = max(1, len(self._losses) // 10)
        fell = f"loss {self._mean(0, some):.3f} to {self._mean(-some, None):.3f}" if self._losses else "no step"
        return (f"{len(self._losses):,} steps in {took:.1f} s: {fell}, {self._samples / took:,.0f} samples/s, "
                f"{self._waited / took:.1%} waiting for data")  # fmt: skip

    def _mean(self, first: int, last: int | None) -> float:
        return float(torch.stack(self._losses[first:last]).mean())


def _loader(options: argparse.Namespace, split: str, **reading: Any) -> Loader:
    kind = ManifestDataset if options.manifest else ShardDataset
    read = Reading(size=options.size, tokenizer=tokenize, on_error="skip", **reading)
    return Loader(
        kind(options.data, split, read),
        options.batch,
        options.workers,
        drop_last=split == "train",
        pin_memory=options.device == "cuda",
        persistent_workers=options.workers > 0 and split == "train",
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="work folder of a run, or folder of a set of shards")
    parser.add_argument("--manifest", action="store_true", help="read the work folder's manifest instead of shards")
    parser.add_argument("--t", type=float, help="balance at this threshold: critical_threshold <= t")
    parser.add_argument("--text", default="chosen", help="chosen, weighted, or a captioner (default: chosen)")
    parser.add_argument("--steps", type=int, default=10**9, help="stop after so many steps")
    parser.add_argument("--epochs", type=int, help="stop after so many epochs (default: 1, or as the steps need)")
    parser.add_argument("--batch", type=int, default=64, help="samples of a step (default: 64)")
    parser.add_argument("--workers", type=int, default=2, help="processes that read and decode (default: 2)")
    parser.add_argument("--size", type=int, default=64, help="pixels of a side, a multiple of 8 (default: 64)")
    parser.add_argument("--width", type=int, default=128, help="of both towers (default: 128)")
    parser.add_argument("--layers", type=int, default=4, help="of the image tower; of texts half (default: 4)")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate (default: 0.001)")
    parser.add_argument("--warm-up", type=int, default=20, help="steps until the rate is reached (default: 20)")
    parser.add_argument("--say", type=int, default=10, help="tell, and save, every so many steps (default: 10)")
    parser.add_argument("--checkpoint", type=Path, help="file to save to, and to go on from where it is there")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and draws (default: 0)")
    options = parser.parse_args(arguments)
    if options.epochs is None:
        options.epochs = 1 if options.steps == 10**9 else 10**9
    if options.size % 8:
        parser.error(f"--size {options.size}: give a multiple of 8")
    if options.checkpoint is not None and not options.checkpoint.parent.is_dir():
        parser.error(f"--checkpoint {options.checkpoint}: there is no folder {options.checkpoint.parent}")
    return options


def main(arguments: list[str] | None = None) -> None:
    training = Training(_options(arguments))
    training.run()
    training.examine()


if __name__ == "__main__":
    try:
        main()
    except CurationError as error:
        raise SystemExit(f"train_clip: {error}") from None
