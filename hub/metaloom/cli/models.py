"""`metaloom solve`, `run` and `adapt`: models for new tasks, found, used and fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import metaloom
import metaloom_metalearn
from metaloom.blocks import is_term_text
from metaloom.cli import ranking
from metaloom.cli.files import write_text
from metaloom.cli.learners import learner_named, search_named
from metaloom.cli.listing import advised, describe
from metaloom.cli.options import AsJson, Budget, Device, Home, License, Seed
from metaloom.cli.output import counted, note, show, show_json
from metaloom.cli.overdue import overdue
from metaloom.cli.progress import search_bar, waiting
from metaloom_registry import ParseError, load_strict

if TYPE_CHECKING:
    from metaloom import Block, Hub
    from metaloom_metalearn import Score, Solution

TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        help="The type of the task, as 'list\\[int] -> int'; else it is read off the examples.",
        metavar="TYPE",
    ),
]
Publish = Annotated[
    str | None,
    typer.Option("--publish", help="Publish the solution under this name.", metavar="NAME"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="A setting of the search or the learner; may be repeated.", metavar="X=1"
    ),
]


def solve(
    file: Annotated[
        Path,
        typer.Argument(
            help="Examples: .jsonl, .json, .csv, .npz, or a folder of pictures.", metavar="FILE"
        ),
    ],
    type_: TypeOption = None,
    budget: Budget = "60s",
    seed: Seed = 0,
    publish: Publish = None,
    license: License = None,  # noqa: A002 - the word people look for
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell what was tried, and why the winner won.")
    ] = False,
    candidates: Annotated[
        int,
        typer.Option("--candidates", min=1, max=20, help="Show so many programs.", metavar="N"),
    ] = 1,
    search: Annotated[
        str | None,
        typer.Option("--search", help="One search alone: beam, anneal, evolve ...", metavar="NAME"),
    ] = None,
    settings: Settings = None,
    python: Annotated[
        Path | None,
        typer.Option("--python", help="Write the program as a Python file.", metavar="FILE"),
    ] = None,
    home: Home = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Search the library for a program that does what the examples show.

    Each line of a .jsonl file is one example: {"i": [3, 1, 2], "o": 3}. Lines without an output,
    and rows of a .csv whose last cell is empty, are filled in. Ctrl-C ends the search and keeps the
    best program found so far.

    [bold]Examples[/bold]

      metaloom solve evens.jsonl --budget 10s
      metaloom solve evens.jsonl --publish me/evens --explain
      metaloom solve names.csv --candidates 5 --python names.py
      metaloom solve evens.jsonl --search beam --set width=8
      metaloom solve digits.npz --budget 2min --device cpu --json
    """
    if settings and search is None:
        raise ParseError("--set is for a search; choose one with --search")
    seconds = metaloom_metalearn.parse_budget(budget)
    chosen = None if search is None else [search_named(search, settings or ())]
    with metaloom.Hub.open(home) as hub:
        if publish is not None:
            hub.require_free(publish)
        with waiting(f"reading {file}"):
            task = metaloom.read_task(file, type_)
            asked = metaloom.read_questions(file, task.type)
        searches = chosen or metaloom_metalearn.default_searches(task, max(candidates, 5))
        with search_bar(f"solving {task.name}", seconds) as bar, overdue(seconds):
            solution = hub.solve(task, seconds, seed, journal=bar, device=device, searches=searches)
        for warning in solution.trace.warnings:
            note(f"warning: {warning}")
        if python is not None:
            write_text(python, solution.python())
        block = None if publish is None else _published(publish, solution, license, hub)
        rivals = ranking.ranking(solution, task, candidates, asked)
        if as_json:
            show_json({**_about(solution, block, hub), **ranking.to_json(solution, rivals, asked)})
            return
        show(solution.source.strip())
        show("\n" + (str(solution.report) if explain else _summary(solution)))
        ranking.show_answers(solution, asked)
        if candidates > 1:
            ranking.show_ranking(rivals)
        if python is not None:
            note(f"wrote {python}")
        if block is not None:
            show(f"published {block.reference}   {block.digest}")
        else:
            show("nothing is published; --publish NAME keeps it in the library")


def run(
    name: Annotated[
        str,
        typer.Argument(help="A program of the library, or (in quotes) a term.", metavar="PROGRAM"),
    ],
    inputs: Annotated[
        list[str] | None, typer.Argument(help="One JSON value an argument.", metavar="INPUT")
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option(
            "--memory",
            help="The file in which a program with a memory remembers; else one in the library.",
            metavar="FILE",
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Apply a program, published or written here, to an input; print what it gives as JSON.

    [bold]Examples[/bold]

      metaloom run me/evens "[1, 2, 3, 4]"
      metaloom run lists/add 2 3
      metaloom run '(lam (map (lam (add 1 $0)) $0))' "[1, 2]"
      metaloom run me/visits '"Ada"' --memory visits.json
    """
    del as_json  # what comes out is JSON in any case
    values = [load_strict(text.encode(), f"input {i + 1}") for i, text in enumerate(inputs or ())]
    with metaloom.Hub.open(home) as hub:
        show_json(hub.run(_program(name, hub), *values, memory=memory))


def adapt(
    block: Annotated[
        str,
        typer.Argument(
            help="A program or a trained block, or (in quotes) a term.", metavar="BLOCK"
        ),
    ],
    file: Annotated[Path, typer.Argument(help="Its examples, as for solve.", metavar="TASK")],
    learner: Annotated[
        str | None,
        typer.Option(
            "--learner", help="maml, fine_tune ...; without, no parameter changes.", metavar="NAME"
        ),
    ] = None,
    settings: Settings = None,
    type_: TypeOption = None,
    seed: Seed = 0,
    publish: Publish = None,
    license: License = None,  # noqa: A002
    home: Home = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Fit a block to the examples of a task.

    [bold]Examples[/bold]

      metaloom adapt me/classifier digits.npz --publish me/my-digits
      metaloom adapt vision/net digits.npz --learner maml --set steps=5 --set lr=0.4
    """
    if settings and learner is None:
        raise ParseError("--set is for a learner; choose one with --learner")
    chosen = None if learner is None else learner_named(learner, settings or ())
    with metaloom.Hub.open(home) as hub:
        if publish is not None:
            hub.require_free(publish)
        with waiting(f"reading {file}"):
            task = metaloom.read_task(file, type_)
        with waiting(f"adapting {block}"):
            solution = hub.adapt(_program(block, hub), task, chosen, device, seed)
        kept = None if publish is None else _published(publish, solution, license, hub)
        if as_json:
            show_json(_about(solution, kept, hub))
            return
        show(solution.source.strip())
        changed = counted(len(solution.parts), "adapted block")
        show(f"\n{solution.type}   {changed}   in {solution.seconds:.1f} s")
        if kept is not None:
            show(f"published {kept.reference}   {kept.digest}")


def _program(given: str, hub: Hub) -> Block | str:
    """A block by its name; or a term, as it was written."""
    return given if is_term_text(given) else advised(hub[given])


def _published(name: str, solution: Solution, license: str | None, hub: Hub) -> Block:  # noqa: A002
    with waiting(f"publishing {name}"):
        return hub.publish(name, solution, license=license)


def _summary(solution: Solution) -> str:
    """The scores and the cost of a search in a line."""
    said = [f"support {solution.support_score}"] if solution.support_score else []
    said += [f"query {s}" for s in (solution.query_score, solution.query_rmse) if s]
    said.append(f"{solution.tried:,} tried in {solution.seconds:.1f} s")
    return "   ".join(said)


def _about(solution: Solution, block: Block | None, hub: Hub) -> dict[str, Any]:
    """A solution as JSON."""
    return {
        "task": solution.name,
        "type": str(solution.type),
        "term": hub.show(solution.term),
        "source": solution.source,
        "search": solution.search,
        "cost": solution.cost,
        "support": _score(solution.support_score),
        "query": _score(solution.query_score),
        "query_rmse": _score(solution.query_rmse),
        "seconds": solution.seconds,
        "tried": solution.tried,
        "seed": solution.seed,
        "excluded": list(solution.excluded),
        "report": solution.report.to_json(),
        "published": None if block is None else describe(block),
    }


def _score(score: Score | None) -> Any:
    return None if score is None else score.to_json()
