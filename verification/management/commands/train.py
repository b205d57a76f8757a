"""`manage.py train ARCHITECTURE DIR`: a named architecture trained on a folder of videos, as a file for `manage.py verify`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from verification.engine import EngineError
from verification.engine.errors import TrainingError
from verification.engine.network import ARCHITECTURES, InputSpecification, save_classifier
from verification.management.progress import ProgressLine
from verification.management.robust_options import add_robust_arguments, read_robust
from verification.services.command_line import read_size
from verification.services.devices import usable_device
from verification.training.augmentation import Augmentation
from verification.training.fit import Epoch
from verification.training.recipe import Recipe
from verification.training.setup import Design
from verification.training.train import Progress, Sources, Trained, train

_BAD_INPUT = 2
_LISTED = 10  # videos that could not be read are listed up to this number


class Command(BaseCommand):
    """Exit code 0 when the file is written; 2 on bad input, with one line on stderr and no file."""

    help = (
        "Train a named architecture on DIR, a folder with a folder of videos for each class, and write a safetensors "
        "file that manage.py verify reads without options."
    )
    requires_system_checks: list[str] = []
    _line: ProgressLine | None = None

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Without a usage text argparse's own complaints are one line as well.
        return super().create_parser(prog_name, subcommand, usage=argparse.SUPPRESS, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("architecture", metavar="ARCHITECTURE", help=f"one of {', '.join(ARCHITECTURES)}")
        parser.add_argument("folder", metavar="DIR", type=Path, help="a folder with a folder of videos for each class")
        parser.add_argument("--output", metavar="FILE", type=Path, help="default: ARCHITECTURE.safetensors")
        _add_data_arguments(parser)
        _add_recipe_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"] or Path(f"{options['architecture']}.safetensors")
        try:
            _check_output(output)
            device = usable_device(options["device"])
            sources, design, recipe = _sources(options), _design(options), _recipe(options)
            progress = Progress(self._reading, self._epoch)
            trained = train(sources, design, recipe, device=device, progress=progress)
            save_classifier(
                output,
                trained.network,
                architecture=design.architecture,
                config=design.config,
                labels=trained.labels,
                input=trained.input,
            )
        except (EngineError, OSError) as error:
            raise CommandError(" ".join(str(error).split()), returncode=_BAD_INPUT) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted; nothing was written", returncode=130) from None
        finally:
            if self._line is not None:
                self._line.close()
        self._report(trained, output)

    def _reading(self, done: int, total: int) -> None:
        self._advance(done, total, "videos read")

    def _epoch(self, epoch: Epoch) -> None:
        self._advance(epoch.number, epoch.most, f"loss {epoch.loss:.3f}, validation {epoch.validation:.1%}")

    def _advance(self, done: int, total: int, what: str) -> None:
        if self._line is None or done == 1:
            self._line = ProgressLine(sys.stderr, total)
        self._line.advance(what)
        if done == total:
            self._line.close()

    def _report(self, trained: Trained, output: Path) -> None:
        split, accuracy = trained.split, trained.accuracy
        self.stdout.write("")
        for sentence in trained.skipped[:_LISTED]:
            self.stdout.write(f"skipped {sentence}")
        if len(trained.skipped) > _LISTED:
            self.stdout.write(f"skipped {len(trained.skipped) - _LISTED} more")
        self.stdout.write(
            f"{len(split.training)} videos to learn from, {len(split.validation)} to validate on, "
            f"{len(split.testing)} to test on"
        )
        for line in accuracy.lines():
            self.stdout.write(line)
        part = "the testing videos" if trained.tested else "the validation videos, which chose the weights"
        self.stdout.write(f"accuracy on {part}: {accuracy.share:.1%} of {accuracy.clips}")
        self.stdout.write(f"written to {output}")


def _add_data_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--train-list", metavar="FILE", type=Path, help="videos to learn from, as UCF101's trainlist01.txt"
    )
    parser.add_argument("--test-list", metavar="FILE", type=Path, help="videos to test on, as UCF101's testlist01.txt")
    parser.add_argument("--class-list", metavar="FILE", type=Path, help="the classes to use, as UCF101's classInd.txt")
    parser.add_argument("--cache", metavar="DIR", type=Path, help="where sampled frames and features are kept")
    parser.add_argument("--frames", type=int, metavar="N", default=16, help="frames of a clip (default %(default)s)")
    parser.add_argument("--size", metavar="HxW", default="64x64", help="of its frames, pixels (default %(default)s)")
    parser.add_argument("--sampling", metavar="RULE", default="uniform", help="uniform, floor or fps:X")
    parser.add_argument(
        "--config", metavar="JSON", default="{}", help="the parameters of the architecture, such as '{\"hidden\": 16}'"
    )
    parser.add_argument("--vgg16", metavar="FILE", type=Path, help="torchvision's VGG16 as safetensors, for vgg16_lstm")


def _add_recipe_arguments(parser: CommandParser) -> None:
    default = Recipe()
    parser.add_argument(
        "--epochs", type=int, metavar="N", default=default.epochs, help="passes over the videos, at most"
    )
    parser.add_argument("--patience", type=int, metavar="N", default=default.patience, help="passes without progress")
    parser.add_argument("--batch", type=int, metavar="N", default=default.batch, help="clips in a step")
    parser.add_argument("--rate", type=float, metavar="X", default=default.rate, help="the learning rate")
    parser.add_argument("--decay", type=float, metavar="X", default=default.decay, help="the weight decay")
    parser.add_argument("--seed", type=int, metavar="N", default=default.seed, help="of all random choices")
    augmentation = default.augmentation
    parser.add_argument(
        "--crop", type=float, metavar="X", default=augmentation.crop, help="least share of a side that is kept"
    )
    parser.add_argument(
        "--brightness",
        type=float,
        metavar="X",
        default=augmentation.brightness,
        help="most change, as a share of white",
    )
    parser.add_argument("--no-jitter", action="store_true", help="clips always begin at the same frame")
    parser.add_argument("--flip", action="store_true", help="mirror clips at random: not for classes with a direction")
    add_robust_arguments(parser)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu")


def _check_output(output: Path) -> None:
    """Refuse at once what could not be written in the end."""
    if output.is_dir() or not output.parent.is_dir():
        raise TrainingError(
            f"{output} cannot be written: it is a folder or its folder does not exist; name another file"
        )
    if output.suffix != ".safetensors":
        raise TrainingError(f"the output must be a file that ends in .safetensors, not {output.name}")


def _sources(options: dict[str, Any]) -> Sources:
    cache = options["cache"] or settings.FLOWVERIFY_HOME / "training-cache"
    return Sources(options["folder"], cache, options["class_list"], options["train_list"], options["test_list"])


def _design(options: dict[str, Any]) -> Design:
    try:
        config = json.loads(options["config"])
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise TrainingError(f"--config must be a JSON object of parameters, not {options['config'][:60]}")
    height, width = read_size(options["size"])
    wanted = InputSpecification(options["frames"], height, width, sampling=options["sampling"])
    return Design(options["architecture"], config, wanted, options["vgg16"])


def _recipe(options: dict[str, Any]) -> Recipe:
    names = ("epochs", "batch", "rate", "decay", "patience", "seed")
    return Recipe(
        **{name: options[name] for name in names},
        augmentation=Augmentation(
            options["crop"], options["brightness"], jitter=not options["no_jitter"], flip=options["flip"]
        ),
        robust=read_robust(options),
    )
