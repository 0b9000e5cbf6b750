"""The commands that train: options come in, the folder of a run or of many is left."""

import argparse
import contextlib
import json
import sys

from inkdigits.command.arguments import NOTHING_DONE
from inkdigits.command.display import (
    follow,
    follow_page_reader,
    follow_reproduction,
    follow_sweep,
    show_progress,
)
from inkdigits.command.results import OK, SOME_FAILED, print_while_read
from inkdigits.command.text import (
    format_final,
    format_page_reader,
    print_message,
    print_result,
    wrap_for,
)
from inkdigits.core.errors import BadValue, needs_extra

PAGE_RECIPE = "page"  # trains two networks, and is no recipe of one network like all others
# Options of `train` that it has no use for, and why.
NOT_FOR_PAGES = {
    "data": "draws its own pages to learn from; leave out --data",
    "data_dir": "takes MNIST's digits from $INKDIGITS_DATA; set that instead of giving --data-dir",
    "epochs": "counts steps and shards, not epochs; change them with --set steps=N --set shards=N",
    "strict": "draws its own pages to learn from; leave out --strict",
    "tensorboard": "writes nothing for TensorBoard; its curves are in report.html",
}


def train(options: argparse.Namespace) -> int:
    """Run `inkdigits train`: print a line for each epoch, then the final figures."""
    if options.recipe == PAGE_RECIPE:
        return _train_page_reader(options)

    from inkdigits.training.recipe import load_recipe, parse_settings

    with needs_extra("training", "train"):
        from inkdigits.runs.artifacts import UNUSABLE_FILE, FinalFigures, to_record
        from inkdigits.runs.resume import Interval
        from inkdigits.runs.run import iter_train
    from inkdigits.data.datasets import load_dataset

    settings = parse_settings(options.set)
    if options.epochs is not None:
        settings["epochs"] = options.epochs
    recipe = load_recipe(options.recipe, settings)
    with show_progress() as progress:
        dataset = load_dataset(
            options.data or recipe.data,
            data_dir=options.data_dir,
            progress=progress,
            strict=options.strict,
        )

    running = iter_train(
        recipe,
        options.out,
        data=dataset,
        seed=options.seed,
        device=options.device,
        init=options.init,
        data_dir=options.data_dir,
        resume=options.resume,
        tensorboard=options.tensorboard,
        interval=Interval.parse(options.checkpoint_every),
    )
    images = len(dataset.splits.get("train", ()))
    title = f"{recipe.name} on {dataset.name}, seed {options.seed}: {images:,} images to learn from"
    followed = follow(running, recipe.total_epochs, title)
    with contextlib.closing(running), contextlib.closing(followed) as records:
        for record in records:
            if options.json:
                print_while_read(json.dumps(to_record(record)))
            elif isinstance(record, FinalFigures):
                print_while_read(format_final(record, dataset.name, options.out))

    if not dataset.unusable:
        return OK

    count = len(dataset.unusable)
    what = "1 picture was" if count == 1 else f"{count:,} pictures were"
    print_message(f"{what} left out, as {options.out / UNUSABLE_FILE} says")
    return SOME_FAILED


def _train_page_reader(options: argparse.Namespace) -> int:
    """Run `inkdigits train page`: print a line for each record, then the final figures."""
    with needs_extra("training", "train"):
        from inkdigits.runs.page_reader.records import PageReaderFigures, to_page_record
        from inkdigits.runs.page_reader.run import train_page_reader
        from inkdigits.runs.resume import Interval
    from inkdigits.data.store import fetch_dataset
    from inkdigits.training.page.recipe import load_page_recipe, parse_page_settings

    _refuse_for_pages(options)
    settings = parse_page_settings(options.set)
    recipe = load_page_recipe(settings)
    interval = Interval.parse(options.checkpoint_every)
    with show_progress() as progress:
        fetch_dataset("mnist", progress=progress)  # whose digits are written on the pages

    running = train_page_reader(
        options.out,
        seed=options.seed,
        device=options.device,
        settings=settings,
        init=options.init,
        resume=options.resume,
        interval=interval,
    )
    titles = {
        "page": f"page, seed {options.seed}: {recipe.steps:,} steps of {recipe.batch:,} pages",
        "look": f"a second look: {recipe.shards:,} shards of {recipe.pages:,} pages",
    }
    followed = follow_page_reader(running, titles)
    with contextlib.closing(running), contextlib.closing(followed) as records:
        for record in records:
            if options.json:
                print_while_read(json.dumps(to_page_record(record)))
            elif isinstance(record, PageReaderFigures):
                print_while_read(format_page_reader(record, options.out))

    return OK


def _refuse_for_pages(options: argparse.Namespace) -> None:
    """Raise BadValue for an option that `train page` has no use for."""
    for option, why in NOT_FOR_PAGES.items():
        given = getattr(options, option)
        if given is not None and given is not False:  # 0 is given, too
            raise BadValue(f"the recipe {PAGE_RECIPE!r} {why}")


def reproduce(options: argparse.Namespace) -> int:
    """Run `inkdigits reproduce`: print published figures beside those that were measured."""
    with needs_extra("training", "train"):
        from inkdigits.runs import reproduction, results

    running = reproduction.reproduce(
        options.recipes,
        options.seeds,
        options.out,
        jobs=options.jobs,
        engine=options.engine,
        data_dir=options.data_dir,
        write=options.write,
    )
    with contextlib.closing(running):
        recipes_measured = follow_reproduction(running)
    print_result(results.as_markdown(recipes_measured))
    return OK


def challenge(options: argparse.Namespace) -> int:
    """Run `inkdigits challenge`: print where a recipe stands by size and by seconds."""
    with needs_extra("training", "train"):
        from inkdigits.runs import challenge as challenges

    running = challenges.challenge(
        options.recipe, options.seeds, options.out, data_dir=options.data_dir
    )
    with contextlib.closing(running):
        (recipe,) = follow_reproduction(running)

    standings = challenges.standings(recipe)
    record = challenges.write_challenge(standings, recipe, options.out)
    if options.json:
        print_result(json.dumps(record))
    else:
        print_result("\n".join(map(challenges.describe_standing, standings)))
    return OK


def sweep(options: argparse.Namespace) -> int:
    """Run `inkdigits sweep`: print each trial when it ends, then a table of the best."""
    with needs_extra("sweeping", "sweep"):
        from inkdigits.runs.sweep import workers
    from inkdigits.data.datasets import load_dataset
    from inkdigits.runs.sweep.space import load_space
    from inkdigits.runs.sweep.trials import describe_sweep, rank_results

    space = load_space(options.space, data=options.data, trials=options.trials)
    with show_progress() as progress:
        dataset = load_dataset(space.recipe.data, data_dir=options.data_dir, progress=progress)

    running = workers.sweep(
        space,
        options.out,
        dataset,
        device=options.device,
        jobs=options.jobs,
        engine=options.engine,
        data_dir=options.data_dir,
    )
    results = []
    with contextlib.closing(running), contextlib.closing(follow_sweep(running, space)) as records:
        for result in records:
            results.append(result)
            if options.json:
                print_while_read(json.dumps(result.to_record()))

    if not options.json:
        for row in describe_sweep(results, space, options.out):
            print_result(wrap_for(sys.stdout, row, indent=44 if row.startswith(" ") else 2))
    return OK if rank_results(results, space.metric) else NOTHING_DONE
