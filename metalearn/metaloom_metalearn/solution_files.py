"""A solution as files, and back: data alone, nothing of it is run.

    program.json            term, types, cost, scores, seed, alternatives; parts by reference
    support.json            the support, where the term takes it; tensors are named
    support.safetensors     those tensors
    parts/<n>.json          the graph of the n-th part, as in a block
    parts/<n>.safetensors   its weights

Reading needs a library with the blocks and primitives that the term uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import metaloom_registry
from metaloom_metalearn.scores import Score
from metaloom_metalearn.search.candidate import Candidate, Part, Scored
from metaloom_metalearn.search.examples import holds_tensors
from metaloom_metalearn.solution import Solution
from metaloom_metalearn.tasks import Examples, Values
from metaloom_registry import (
    Corrupt,
    Digest,
    Json,
    Library,
    NotFound,
    ParseError,
    Reference,
    Tensor,
    Type,
    check,
    dump_canonical,
    load_strict,
    parse_type,
    references,
    taught,
    term_from_json,
    term_to_json,
    uncurried,
)

FORMAT = 1
PROGRAM, SUPPORT, TENSORS = "program.json", "support.json", "support.safetensors"


def solution_to_files(solution: Solution) -> dict[str, bytes]:
    """The files of a solution. Raises Refused where a part cannot be exported as a graph."""
    files: dict[str, bytes] = {}
    parts: list[Json] = []
    for number, (reference, part) in enumerate(solution.parts.items()):
        exported = metaloom_registry.export_module(part.module, part.type)
        files[f"parts/{number}.json"] = exported.graph
        files[f"parts/{number}.safetensors"] = exported.weights
        parts.append(
            {
                "reference": str(reference),
                "type": str(part.type),
                "parents": [str(parent) for parent in part.parents],
            }
        )
    program: Json = {
        "format": FORMAT,
        "name": solution.name,
        "type": str(solution.type),
        "term": term_to_json(solution.term),
        "term_type": str(solution.term_type),
        "parts": parts,
        "cost": solution.cost,
        "support_score": _score_to_json(solution.support_score),
        "query_score": _score_to_json(solution.query_score),
        "query_rmse": _score_to_json(solution.query_rmse),
        "search": solution.search,
        "seed": solution.seed,
        "seconds": solution.seconds,
        "tried": solution.tried,
        "excluded": list(solution.excluded),
        "alternatives": [
            _scored_to_json(s) for s in solution.alternatives if not s.candidate.parts
        ],
    }
    files[PROGRAM] = dump_canonical(program)
    if solution.support is not None:
        files |= support_to_files(solution.support, solution.type)
    return files


def solution_from_files(files: Mapping[str, bytes], library: Library) -> Solution:
    """The solution of these files.

    Raises ParseError on what is no solution, Refused on a part that breaks the rules of graphs,
    NotFound, naming them all, where the library lacks blocks that the term uses, and TypeMismatch
    where the term has not the type it is said to have.
    """
    try:
        program = load_strict(files[PROGRAM], PROGRAM)
        if program["format"] != FORMAT:
            raise ParseError(
                f"{PROGRAM} has the format {program['format']}, this version reads {FORMAT}; "
                "install a newer one"
            )
        type_ = parse_type(program["type"])
        term_type = parse_type(program["term_type"])
        solution = Solution(
            name=str(program["name"]),
            type=type_,
            term=term_from_json(program["term"]),
            term_type=term_type,
            library=library,
            parts=_parts(program["parts"], files),
            support=None if taught(term_type) is None else support_from_files(files, type_),
            cost=float(program["cost"]),
            support_score=_score(program["support_score"]),
            query_score=_score(program["query_score"]),
            query_rmse=_score(program["query_rmse"]),
            search=str(program["search"]),
            seed=program["seed"],
            seconds=float(program["seconds"]),
            tried=int(program["tried"]),
            excluded=tuple(map(str, program["excluded"])),
            alternatives=tuple(map(_scored, program["alternatives"])),
        )
    except KeyError as error:
        raise ParseError(f"this is no saved solution: {error} is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise ParseError(f"{PROGRAM} is no saved solution: {error}") from None
    _require(solution)
    return solution


def save_solution(solution: Solution, folder: Path | str) -> None:
    """Write the files into a folder, which is made; files of an older solution are replaced."""
    folder = Path(folder)
    for name, data in solution_to_files(solution).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def load_solution(folder: Path | str, library: Library) -> Solution:
    """Read what `save_solution` wrote. Raises NotFound, ParseError, Corrupt or Refused."""
    folder = Path(folder)
    if not (folder / PROGRAM).is_file():
        raise NotFound(f"{folder} holds no solution: there is no {PROGRAM}")
    names = [PROGRAM, SUPPORT, TENSORS, *(f"parts/{p.name}" for p in (folder / "parts").glob("*"))]
    files = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    return solution_from_files(files, library)


def support_to_files(support: Examples, type_: Type) -> dict[str, bytes]:
    """The support of a task of this type: JSON, and safetensors where it holds tensors."""
    tensors: dict[str, Any] = {}
    given, want = uncurried(type_)
    document: Json = {
        "inputs": [_column(c, t, tensors) for c, t in zip(support.inputs, given, strict=True)],
        "outputs": _column(support.outputs, want, tensors),
    }
    files = {SUPPORT: dump_canonical(document)}
    if tensors:
        import safetensors.torch  # noqa: PLC0415 - loads torch, which the tensors have loaded

        files[TENSORS] = safetensors.torch.save(tensors)
    return files


def support_from_files(files: Mapping[str, bytes], type_: Type) -> Examples:
    """The support that `support_to_files` wrote. Raises ParseError or Corrupt."""
    document = load_strict(files[SUPPORT], SUPPORT)
    tensors: Mapping[str, Any] = {}
    if TENSORS in files:
        import safetensors.torch  # noqa: PLC0415 - loads torch

        try:
            tensors = safetensors.torch.load(files[TENSORS])
        except Exception as error:  # the library's own errors share no class
            raise Corrupt(f"{TENSORS} cannot be read: {error}") from None
    given, want = uncurried(type_)
    columns = zip(document["inputs"], given, strict=True)
    return Examples(
        tuple(_values(column, t, tensors) for column, t in columns),
        _values(document["outputs"], want, tensors),
    )


def _column(column: Values, type_: Type, tensors: dict[str, Any]) -> Json:
    """A column as JSON; what is a tensor goes into `tensors` and is named."""
    if not isinstance(column, tuple):
        name = f"t{len(tensors)}"
        tensors[name] = column.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(type_, Tensor) or holds_tensors(type_):
        return [_named(value, tensors) for value in column]
    return list[Any](column)


def _named(value: Any, tensors: dict[str, Any]) -> Json:
    if isinstance(value, tuple | list):
        return [_named(item, tensors) for item in value]
    if not hasattr(value, "shape"):
        return value  # type: ignore[no-any-return]
    name = f"t{len(tensors)}"
    tensors[name] = value.detach().cpu().contiguous()
    return {"tensor": name}


def _values(column: Any, type_: Type, tensors: Mapping[str, Any]) -> Values:
    if isinstance(column, Mapping):
        tensor: Values = tensors[column["tensor"]]
        return tensor
    return tuple(_value(value, tensors) for value in column)


def _value(value: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return tensors[value["tensor"]]
    if isinstance(value, list):
        return tuple(_value(item, tensors) for item in value)
    return value


def _parts(described: Any, files: Mapping[str, bytes]) -> dict[Reference, Part]:
    parts = {}
    for number, part in enumerate(described):
        graph = files[f"parts/{number}.json"]
        module = metaloom_registry.load_graph(graph, files[f"parts/{number}.safetensors"])
        parents = tuple(Digest.parse(parent) for parent in part["parents"])
        reference = Reference.parse(part["reference"])
        parts[reference] = Part(module.eval(), parse_type(part["type"]), parents)
    return parts


def _require(solution: Solution) -> None:
    """Raise NotFound for a block the library lacks, TypeMismatch for a term of another type."""
    missing = []
    for reference in references(solution.term):
        try:
            solution.resolver.type_of(reference)
        except NotFound:
            missing.append(str(reference))
    if missing:
        raise NotFound(
            f"the solution {solution.name} uses blocks that this library lacks: "
            f"{', '.join(missing)}; publish them here, or install the plugin that has them"
        )
    check(solution.term, solution.term_type, solution.resolver.type_of)


def _score_to_json(score: Score | None) -> Json:
    return None if score is None else score.to_json()


def _score(value: Any) -> Score | None:
    return None if value is None else Score.from_json(value)


def _scored_to_json(scored: Scored) -> Json:
    candidate = scored.candidate
    return {
        "term": term_to_json(candidate.term),
        "type": str(candidate.type),
        "cost": candidate.cost,
        "loss": scored.loss,
        "right": list(scored.right),
    }


def _scored(value: Any) -> Scored:
    term, type_ = term_from_json(value["term"]), parse_type(value["type"])
    candidate = Candidate(term, type_, float(value["cost"]))
    return Scored(candidate, float(value["loss"]), tuple(map(bool, value["right"])))
