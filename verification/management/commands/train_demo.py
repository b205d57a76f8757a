"""`manage.py train_demo`: train the demo classifier again and test it on footage that training did not see."""

import math
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from torch import nn

from verification.demo.footage import FootageError, fetch_footage
from verification.demo.train import WEIGHTS, Recipe, measure, save, train
from verification.engine.errors import TrainingError
from verification.engine.network import load_classifier
from verification.management.robust_options import add_robust_arguments, read_robust


class Command(BaseCommand):
    help = "Train the demo classifier with a fixed seed and report its accuracy on footage that training did not see."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, default=0, help="of all random choices (default 0)")
        parser.add_argument("--steps", type=int, default=Recipe().steps, help="of training (default %(default)s)")
        parser.add_argument("--batch", type=int, default=Recipe().batch, help="clips in a step (default %(default)s)")
        parser.add_argument(
            "--output", type=Path, help="the file to write (default: the demo's own, unless it is robust)"
        )
        parser.add_argument(
            "--decay", type=float, help="of all weights but the head's (default: the demo's own, which is strong)"
        )
        parser.add_argument("--fine-tune", action="store_true", help="start from the demo's own weights")
        add_robust_arguments(parser)

    def handle(self, *args: Any, seed: int, steps: int, batch: int, output: Path | None, **options: Any) -> None:
        start = load_classifier(WEIGHTS).module if options["fine_tune"] else None
        try:
            robust = read_robust(options)
        except TrainingError as error:
            raise CommandError(str(error)) from error
        recipe = replace(Recipe(), steps=steps, batch=batch, robust=robust)
        decay = options["decay"]
        if decay is not None:
            if not 0 <= decay < math.inf:
                raise CommandError(f"the decay must be a number of at least 0, not {decay}")
            recipe = replace(recipe, stem_decay=decay, memory_decay=decay)
        if output is None and (robust is not None or start is not None or decay is not None):
            raise CommandError("name the file to write with --output: the demo's own holds weights of the usual recipe")
        self._train(recipe, seed, start, output or WEIGHTS)

    def _train(self, recipe: Recipe, seed: int, start: nn.Module | None, output: Path) -> None:
        steps = recipe.steps
        if steps < 1:
            raise CommandError(f"training needs at least one step, not {steps}")
        if recipe.batch < 1:
            raise CommandError(f"a step needs at least one clip, not {recipe.batch}")
        if not output.parent.is_dir():
            raise CommandError(f"there is no folder {output.parent} to write into; create it first")
        try:
            footage = fetch_footage(settings.FLOWVERIFY_HOME / "footage")
        except FootageError as error:
            raise CommandError(str(error)) from error
        network = train(footage, recipe=recipe, seed=seed, start=start, progress=self._progress(steps))
        self.stdout.write("")
        accuracy = measure(network, footage)
        for label, share in accuracy.by_label.items():
            self.stdout.write(f"  {label:10} {share:7.1%}")
        self.stdout.write(f"accuracy on the third video: {accuracy.share:.1%} of {accuracy.clips} clips")
        save(network, output)
        self.stdout.write(f"written to {output}")

    def _progress(self, steps: int) -> Any:
        def show(step: int, loss: float, seconds: float) -> None:
            if step % 10 == 0 or step == steps:
                left = seconds / step * (steps - step)
                line = f"step {step} of {steps}, loss {loss:.3f}, {left:.0f} s left"
                self.stdout.write(f"\r{line:60}", ending="")
                self.stdout.flush()

        return show
