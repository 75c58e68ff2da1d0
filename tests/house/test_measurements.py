"""The figures in the documents are those that are kept in benchmarks/results."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
METHODS = ["prototypes", "support_statistics", "query_statistics", "fresh_head", "baseline_pp"]
METHODS += ["fine_tune", "lora", "film"]
LEARNERS = {"prototypes": "`protonet`", "matching": "`matchingnet`", "ridge": "`r2d2`"}
LEARNERS |= {"svm": "`metaoptnet`", "maml_first_order": "`maml`, first order"}
SETTINGS = ("5w1s", "5w5s", "20w1s", "20w5s")


def measured(name: str) -> Any:
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["metrics"]


def missing(page: str, wanted: Iterable[str]) -> list[str]:
    """What a document should say, by its measurements, and does not; line ends are spaces."""
    text = " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
    return [one for one in wanted if one not in text]


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |".replace("|  |", "| |")


def figure(value: float, digits: int = 1) -> str:
    """A number as people round it: halves go up."""
    return f"{value + 1e-9:.{digits}f}"


def percent(found: Any) -> str:
    return f"{found['accuracy']:.1f} ± {found['ci95']:.1f}"


def times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def test_tasks_solved_by_search():
    tasks, functions = measured("list_tasks"), measured("list_functions")
    texts, digits = measured("strings"), measured("digit_programs")
    curves, guidance = measured("functions"), measured("guidance")["programs_ratio"]["guided"]
    lists, base = tasks["solved"], tasks["dreamcoder_primitives"]["solved"]
    within = ("1s", "10s", "60s")
    accuracy, controls = functions["accuracy"], functions["controls"]
    kinds = ("model", "dataset")
    alone, most = controls["enumeration alone"], controls["the output seen most"]
    fewer = controls["DreamCoder's primitives"]
    rmse, error = digits["rmse"], curves["error"]

    def both(found: Any) -> str:
        return " / ".join(figure(found[kind], 2) for kind in kinds)

    def shares(method: str) -> str:
        found = [100 * error[points][method] for points in ("16", "8", "4")]
        return " / ".join(f"{one:.2f} %" if one < 1 else f"{one:.1f} %" for one in found)

    speed = tasks["programs_per_second"]
    assert [] == missing(
        "measurements.md",
        [
            f"| {' / '.join(str(lists['list->list'][s]) for s in within)} | "
            f"{' / '.join(str(base['list->list'][s]) for s in within)} with the primitives",
            f"| {lists['other']['10s']} | {base['other']['10s']} with the primitives",
            f"{lists['list->list']['total']} list functions to lists",
            f"{lists['other']['total']} list functions to numbers",
            f"| {both(accuracy)} | {both(alone)} by enumeration alone; {both(fewer)} with",
            f"| {both(most)} by the output seen most",
            f"| {texts['total']} string tasks of SyGuS, 10 s (`strings`) | {texts['solved']} | "
            f"{texts['solved_with']['enumeration']} by enumeration alone | "
            f"{texts['solved_with']['given_literals']} when the literals are given",
            f"| {tasks['longer']['right']} of {tasks['longer']['programs']} | | "
            f"{tasks['longer']['network']} of {tasks['longer']['programs']} by a recurrent",
            f"| {rmse['count_library']:.2f} | {rmse['count_frozen']:.2f} for the same",
            f"| {rmse['count_scratch']:.2f} from scratch",
            *(
                row(*(f"{rmse[f'{what}_{how}']:.2f}" for how in ("library", "frozen", "scratch")))
                for what in ("sum", "learned")
            ),
            f"| {shares('search')} | {shares('linear')} for sums of known curves | "
            f"{shares('svd')} by the best other",
            f"{speed['numba'] / 1e6:.2f} million distinct programs",
            f"{speed['python'] / 1000:.0f},000, on 15 examples",
            f"at most {digits['programs_generated']:,} typed candidates, of which "
            f"{digits['programs_trained']} were trained, in at most {digits['seconds']:.0f} s",
            f"makes {guidance['mean']:.2f} of the programs",
            "([{:.2f}, {:.2f}])".format(*guidance["ci95"]),
        ],
    )


def test_meta_training():
    found, chars = measured("meta_step"), measured("omniglot")
    ratio, shapes = found["ratio"], found["shapes"]

    def peers(name: str) -> list[str]:
        known = [ratio.get(f"{name}_{peer}") for peer in ("learn2learn", "jax")]
        return ["" if one is None else times(one) for one in known]

    assert [] == missing(
        "measurements.md",
        [
            row("Omniglot net, 1 inner step", *peers("conv4_1")),
            row("Omniglot net, 5 inner steps", *peers("conv4_5")),
            row("the same with max pooling, 1 inner step", *peers("pool_1")),
            row("a perceptron on sinusoids, 5 inner steps", *peers("sinusoid_5")),
            f"takes {found['memory_ratio_learn2learn']:.2f} times the memory",
            f"and {found['memory_ratio_learn2learn_in_chunks']:.2f} times in chunks",
            f"Of {len(shapes)} other shapes",
            f"takes learn2learn {min(shapes.values()):.2f} times as long",
            f"in {chars['accuracy']['5w1s']:.1f} %",
        ],
    )


def test_the_registry():
    found = measured("registry_scale")
    p95, ratio, ms = found["p95_ms"], found["mlflow_ratio"], found["metaloom_ms"]

    def pair(one: str, other: str) -> str:
        return f"{times(p95[one])} / {times(p95[other])}"

    names = ("fits_after", "behaviour", "lineage", "lineage_of_hubs", "tag", "combined")
    assert [] == missing(
        "measurements.md",
        [
            row(
                times(max(p95["exact"], p95["digest"])),
                times(p95["type"]),
                pair("text_rare", "text_common"),
                *(times(p95[name]) for name in names),
                times(p95["candidates"]),
            ),
            f"a process of {found['rss_mb']:.0f} MB",
            f"1 MB took {found['publish_ms_median']:.0f} ms",
            f"at {found['mlflow_models']:,} models, medians: loading is {ratio['load']:.1f} times",
            f"searching {ratio['search']:.1f} times and publishing {ratio['publish']:.1f} times "
            f"({ms['publish']['p50']:.0f} ms against {found['mlflow_ms']['publish']['p50']:.0f},",
            f"is {found['mlflow_ratio_pickle']['load']:.1f} times for loading and "
            f"{found['mlflow_ratio_pickle']['publish']:.1f} times for publishing",
        ],
    )


def test_few_shot_learning():
    found, waves = measured("omniglot"), measured("sinusoid")
    ours = (f"{found['accuracy'][s]:.1f} ± {found['ci95'][s]:.1f}" for s in SETTINGS)
    learners = found["learners"]
    assert [] == missing(
        "few-shot-learning.md",
        [
            row(f"trained, {found['train_steps']:,} steps", *ours),
            *(
                row(words, *(figure(found[key][s]) if s in found[key] else "" for s in SETTINGS))
                for words, key in (
                    ("the same, each image from one side", "one_view"),
                    ("untrained", "untrained"),
                    ("pixels", "pixels"),
                )
            ),
            *(
                row(
                    LEARNERS.get(name, f"`{name}`"),
                    percent(one),
                    one["inner_steps"] or "",
                    f"{one['steps']:,}",
                    f"{one['tasks']:,}",
                    "yes" if one["transductive"] else "no",
                )
                for name, one in learners.items()
                if name != "scratch"
            ),
            f"on the untrained network | {percent(learners['scratch'])} |",
            f"stays at {found['beyond_the_support_5w1s']['shifted']:.1f}",
            f"falls to {found['beyond_the_support_5w1s']['noisy']:.1f}",
            *(
                row(words, *(f"{waves['error'][arm][n]:.2f}" for n in ("1", "5", "10")), "")[:-1]
                for words, arm in (
                    ("MAML", "maml"),
                    ("trained on all tasks together", "pretrained"),
                    ("from random weights", "scratch"),
                )
            ),
        ],
    )


def test_which_learner():
    found = measured("learners")
    shots = ("1", "5", "20")
    frozen = found["frozen"]
    assert [] == missing(
        "learners.md",
        [
            *(row(f"`{h}`", *(percent(r[n]) for n in shots)) for h, r in found["heads"].items()),
            *(
                row(
                    f"`{method}`",
                    *(percent(frozen[method][d][n]) for d in ("digits", "negative") for n in shots),
                    f"{1000 * frozen[method]['digits']['20']['seconds']:.0f} ms",
                )
                for method in METHODS
            ),
            *(
                row(
                    f"`{name}`",
                    *(f"{one['error'][i]:.2f}" for i in (0, -1)),
                    f"{one['cpu_seconds']:.0f} s",
                )
                for name, one in found["regression"].items()
                if name != "pretraining"
            ),
        ],
    )


def test_how_search_works():
    found, guidance = measured("strategies"), measured("guidance")
    ratios = guidance["programs_ratio"]
    assert [] == missing(
        "how-search-works.md",
        [
            *(
                row(
                    f"`{name}`",
                    *(solved[seconds] for seconds in ("0.1s", "1s", "5s")),
                    f"{round(found['tried_per_second'][name], -1 if name == 'beam' else -2):,}",
                )
                for name, solved in found["solved"].items()
            ),
            *(
                f"{ratios[name]['mean']:.2f} [{ratios[name]['ci95'][0]:.2f}, "
                f"{ratios[name]['ci95'][1]:.2f}] | "
                f"{guidance['solved'][name]['share'] * guidance['tests']:.0f} |"
                for name in ("refitted", "guided")
            ),
        ],
    )
