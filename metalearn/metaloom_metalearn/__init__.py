"""Tasks and learners; evaluates, compiles, searches and learns terms.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_metalearn.clock import Clock as Clock
    from metaloom_metalearn.clock import parse_budget as parse_budget
    from metaloom_metalearn.engines.batched.columns import from_batch as from_batch
    from metaloom_metalearn.engines.batched.columns import to_batch as to_batch
    from metaloom_metalearn.engines.batched.columns import to_support as to_support
    from metaloom_metalearn.engines.batched.compile import TermModule as TermModule
    from metaloom_metalearn.engines.batched.compile import compile_term as compile_term
    from metaloom_metalearn.engines.batched.features import Features as Features
    from metaloom_metalearn.engines.batched.mode import Hard as Hard
    from metaloom_metalearn.engines.batched.mode import Mode as Mode
    from metaloom_metalearn.engines.batched.mode import Soft as Soft
    from metaloom_metalearn.engines.batched.soft import SoftBool as SoftBool
    from metaloom_metalearn.engines.batched.soft import SoftInt as SoftInt
    from metaloom_metalearn.engines.batched.soft import SoftLabel as SoftLabel
    from metaloom_metalearn.engines.batched.values import BatchedValue as BatchedValue
    from metaloom_metalearn.engines.batched.values import Ragged as Ragged
    from metaloom_metalearn.engines.batched.values import Rows as Rows
    from metaloom_metalearn.engines.batched.values import Support as Support
    from metaloom_metalearn.engines.batched.values import concatenate as concatenate
    from metaloom_metalearn.engines.batched.values import device_of as device_of
    from metaloom_metalearn.engines.batched.values import moved as moved
    from metaloom_metalearn.engines.batched.values import put as put
    from metaloom_metalearn.engines.batched.values import rows_of as rows_of
    from metaloom_metalearn.engines.batched.values import same_for_all as same_for_all
    from metaloom_metalearn.engines.batched.values import take as take
    from metaloom_metalearn.engines.hard.evaluator import Evaluator as Evaluator
    from metaloom_metalearn.engines.hard.limits import Limits as Limits
    from metaloom_metalearn.episodes import Episodes as Episodes
    from metaloom_metalearn.episodes import EpisodeSource as EpisodeSource
    from metaloom_metalearn.episodes import classes_of as classes_of
    from metaloom_metalearn.episodes import draw_episodes as draw_episodes
    from metaloom_metalearn.episodes import stack_tasks as stack_tasks
    from metaloom_metalearn.evaluation.answers import Answers as Answers
    from metaloom_metalearn.evaluation.answers import by_head as by_head
    from metaloom_metalearn.evaluation.answers import by_learner as by_learner
    from metaloom_metalearn.evaluation.comparison import Evaluation as Evaluation
    from metaloom_metalearn.evaluation.comparison import Method as Method
    from metaloom_metalearn.evaluation.comparison import compare as compare
    from metaloom_metalearn.evaluation.comparison import with_head as with_head
    from metaloom_metalearn.evaluation.comparison import with_learner as with_learner
    from metaloom_metalearn.evaluation.conditions import Condition as Condition
    from metaloom_metalearn.evaluation.conditions import beyond_the_support as beyond_the_support
    from metaloom_metalearn.evaluation.conditions import fgsm as fgsm
    from metaloom_metalearn.evaluation.conditions import noisy as noisy
    from metaloom_metalearn.evaluation.conditions import pgd as pgd
    from metaloom_metalearn.evaluation.conditions import rotated as rotated
    from metaloom_metalearn.evaluation.conditions import shifted as shifted
    from metaloom_metalearn.evaluation.interval import Interval as Interval
    from metaloom_metalearn.evaluation.performance import Performance as Performance
    from metaloom_metalearn.journal import Event as Event
    from metaloom_metalearn.journal import Journal as Journal
    from metaloom_metalearn.journal import MemoryJournal as MemoryJournal
    from metaloom_metalearn.journal import Silence as Silence
    from metaloom_metalearn.keyed import json_value as json_value
    from metaloom_metalearn.learners.anil import anil as anil
    from metaloom_metalearn.learners.anil import boil as boil
    from metaloom_metalearn.learners.baseline import CosineLinear as CosineLinear
    from metaloom_metalearn.learners.baseline import baseline_pp as baseline_pp
    from metaloom_metalearn.learners.baseline import fresh_head as fresh_head
    from metaloom_metalearn.learners.batched.checking import engine_error as engine_error
    from metaloom_metalearn.learners.batched.engine import Engine as Engine
    from metaloom_metalearn.learners.batched.gradient_steps import (
        BatchedGradient as BatchedGradient,
    )
    from metaloom_metalearn.learners.batched.gradient_steps import GradientSteps as GradientSteps
    from metaloom_metalearn.learners.choices import adaptable as adaptable
    from metaloom_metalearn.learners.choices import matching_names as matching_names
    from metaloom_metalearn.learners.choices import trainable as trainable
    from metaloom_metalearn.learners.descent import first_order as first_order
    from metaloom_metalearn.learners.descent import second_order as second_order
    from metaloom_metalearn.learners.equipped import Equipped as Equipped
    from metaloom_metalearn.learners.film import film as film
    from metaloom_metalearn.learners.finetune import fine_tune as fine_tune
    from metaloom_metalearn.learners.imaml import imaml as imaml
    from metaloom_metalearn.learners.learner import Adapted as Adapted
    from metaloom_metalearn.learners.learner import Diverged as Diverged
    from metaloom_metalearn.learners.learner import Learner as Learner
    from metaloom_metalearn.learners.learner import Loss as Loss
    from metaloom_metalearn.learners.learner import MetaGradient as MetaGradient
    from metaloom_metalearn.learners.learner import MetaLearner as MetaLearner
    from metaloom_metalearn.learners.learner import natural_loss as natural_loss
    from metaloom_metalearn.learners.lora import lora as lora
    from metaloom_metalearn.learners.maml import maml as maml
    from metaloom_metalearn.learners.mamlpp import maml_pp as maml_pp
    from metaloom_metalearn.learners.meta_sgd import meta_sgd as meta_sgd
    from metaloom_metalearn.learners.metric import Head as Head
    from metaloom_metalearn.learners.metric import Metric as Metric
    from metaloom_metalearn.learners.metric import metric as metric
    from metaloom_metalearn.learners.optimisers import Optimiser as Optimiser
    from metaloom_metalearn.learners.optimisers import adam as adam
    from metaloom_metalearn.learners.optimisers import sgd as sgd
    from metaloom_metalearn.learners.patched import Patched as Patched
    from metaloom_metalearn.learners.patched import merged as merged
    from metaloom_metalearn.learners.reptile import reptile as reptile
    from metaloom_metalearn.learners.schedules import constant as constant
    from metaloom_metalearn.learners.schedules import cosine as cosine
    from metaloom_metalearn.learners.schedules import halving as halving
    from metaloom_metalearn.learners.statistics import query_statistics as query_statistics
    from metaloom_metalearn.learners.statistics import stored_statistics as stored_statistics
    from metaloom_metalearn.learners.statistics import support_statistics as support_statistics
    from metaloom_metalearn.memory import Effect as Effect
    from metaloom_metalearn.memory import called_in_turn as called_in_turn
    from metaloom_metalearn.memory import empty_value as empty_value
    from metaloom_metalearn.modular.bouncegrad import Bouncing as Bouncing
    from metaloom_metalearn.modular.bouncegrad import Modular as Modular
    from metaloom_metalearn.modular.bouncegrad import bouncegrad as bouncegrad
    from metaloom_metalearn.modular.curve_library import CurveLibrary as CurveLibrary
    from metaloom_metalearn.modular.curve_library import learn_curves as learn_curves
    from metaloom_metalearn.modular.discover import Discovery as Discovery
    from metaloom_metalearn.modular.moma import moma as moma
    from metaloom_metalearn.modular.networks import Networks as Networks
    from metaloom_metalearn.modular.templates import Compose as Compose
    from metaloom_metalearn.modular.templates import Gate as Gate
    from metaloom_metalearn.modular.templates import Sum as Sum
    from metaloom_metalearn.modular.templates import Template as Template
    from metaloom_metalearn.ranking import Ranked as Ranked
    from metaloom_metalearn.ranking import new_inputs as new_inputs
    from metaloom_metalearn.ranking import ranked as ranked
    from metaloom_metalearn.recurrent import RecurrentControl as RecurrentControl
    from metaloom_metalearn.recurrent import RecurrentRegressor as RecurrentRegressor
    from metaloom_metalearn.recurrent import recurrent_regressor as recurrent_regressor
    from metaloom_metalearn.recurrent import rmse as rmse
    from metaloom_metalearn.report import Report as Report
    from metaloom_metalearn.scores import Score as Score
    from metaloom_metalearn.search.arm import Arm as Arm
    from metaloom_metalearn.search.arm import Problem as Problem
    from metaloom_metalearn.search.candidate import Candidate as Candidate
    from metaloom_metalearn.search.candidate import Part as Part
    from metaloom_metalearn.search.candidate import Scored as Scored
    from metaloom_metalearn.search.candidate import Search as Search
    from metaloom_metalearn.search.division.divide import Divide as Divide
    from metaloom_metalearn.search.enumeration.bank import Bounds as Bounds
    from metaloom_metalearn.search.enumeration.engines import fastest as fastest
    from metaloom_metalearn.search.enumeration.enumerate import Enumerate as Enumerate
    from metaloom_metalearn.search.enumeration.enumerate import Patience as Patience
    from metaloom_metalearn.search.enumeration.kernel.bank import kernel_terms as kernel_terms
    from metaloom_metalearn.search.enumeration.kernel.memory import call_one as call_one
    from metaloom_metalearn.search.enumeration.kernel.memory import call_two as call_two
    from metaloom_metalearn.search.enumeration.kernel.memory import claim as claim
    from metaloom_metalearn.search.enumeration.kernel.memory import fail as fail
    from metaloom_metalearn.search.enumeration.kernel.memory import failed as failed
    from metaloom_metalearn.search.enumeration.kernel.memory import length_of as length_of
    from metaloom_metalearn.search.enumeration.kernel.memory import packed as packed
    from metaloom_metalearn.search.enumeration.kernel.memory import place_of as place_of
    from metaloom_metalearn.search.enumeration.remembering import Remembering as Remembering
    from metaloom_metalearn.search.examples import hard_value as hard_value
    from metaloom_metalearn.search.examples import holds_tensors as holds_tensors
    from metaloom_metalearn.search.grammar.constants import Constants as Constants
    from metaloom_metalearn.search.guidance.recognition import Guidance as Guidance
    from metaloom_metalearn.search.guidance.recognition import Lesson as Lesson
    from metaloom_metalearn.search.guidance.recognition import dreams as dreams
    from metaloom_metalearn.search.guidance.recognition import (
        train_recognition as train_recognition,
    )
    from metaloom_metalearn.search.neural.compositions import Compositions as Compositions
    from metaloom_metalearn.search.neural.few_shot import FewShot as FewShot
    from metaloom_metalearn.search.neural.halving import Halving as Halving
    from metaloom_metalearn.search.neural.halving import state_digest as state_digest
    from metaloom_metalearn.search.prior import Prior as Prior
    from metaloom_metalearn.search.prior import Uniform as Uniform
    from metaloom_metalearn.search.prior import Weights as Weights
    from metaloom_metalearn.search.strategies.annealing import anneal as anneal
    from metaloom_metalearn.search.strategies.beam_search import beam as beam
    from metaloom_metalearn.search.strategies.evolution import evolve as evolve
    from metaloom_metalearn.search.strategies.few_shot_tuning import tune as tune
    from metaloom_metalearn.search.strategies.space import Space as Space
    from metaloom_metalearn.search.strategies.strategy import Strategy as Strategy
    from metaloom_metalearn.search.strategies.tuning import RandomTuner as RandomTuner
    from metaloom_metalearn.search.strategies.tuning import Range as Range
    from metaloom_metalearn.search.strategies.tuning import Trial as Trial
    from metaloom_metalearn.search.strategies.tuning import Tunable as Tunable
    from metaloom_metalearn.search.strategies.tuning import Tuner as Tuner
    from metaloom_metalearn.search.strategies.tuning import Tuners as Tuners
    from metaloom_metalearn.search.strategies.tuning import parzen as parzen
    from metaloom_metalearn.search.trace import Account as Account
    from metaloom_metalearn.search.trace import Improvement as Improvement
    from metaloom_metalearn.search.trace import Trace as Trace
    from metaloom_metalearn.solution import Solution as Solution
    from metaloom_metalearn.solution_files import load_solution as load_solution
    from metaloom_metalearn.solution_files import save_solution as save_solution
    from metaloom_metalearn.solution_files import solution_from_files as solution_from_files
    from metaloom_metalearn.solution_files import solution_to_files as solution_to_files
    from metaloom_metalearn.solution_files import support_from_files as support_from_files
    from metaloom_metalearn.solution_files import support_to_files as support_to_files
    from metaloom_metalearn.solver import default_searches as default_searches
    from metaloom_metalearn.solver import solve as solve
    from metaloom_metalearn.sources.arrays import ArrayEpisodes as ArrayEpisodes
    from metaloom_metalearn.sources.arrays import LabelledArrays as LabelledArrays
    from metaloom_metalearn.sources.augmented import Augmented as Augmented
    from metaloom_metalearn.sources.curves import Curves as Curves
    from metaloom_metalearn.sources.curves import Family as Family
    from metaloom_metalearn.sources.curves import polynomials as polynomials
    from metaloom_metalearn.sources.curves import sinusoids as sinusoids
    from metaloom_metalearn.sources.curves import smooth_functions as smooth_functions
    from metaloom_metalearn.sources.folder import bright as bright
    from metaloom_metalearn.sources.folder import dark as dark
    from metaloom_metalearn.sources.folder import read_folder as read_folder
    from metaloom_metalearn.sources.hosted import HOSTED as HOSTED
    from metaloom_metalearn.sources.hosted import Hosted as Hosted
    from metaloom_metalearn.sources.hosted import dataset_images as dataset_images
    from metaloom_metalearn.sources.hosted import read_hosted as read_hosted
    from metaloom_metalearn.sources.jsonl import parse_jsonl as parse_jsonl
    from metaloom_metalearn.sources.jsonl import read_jsonl as read_jsonl
    from metaloom_metalearn.sources.listed import read_listed as read_listed
    from metaloom_metalearn.sources.npz import read_npz as read_npz
    from metaloom_metalearn.sources.plain import read_cell as read_cell
    from metaloom_metalearn.sources.plain import read_values as read_values
    from metaloom_metalearn.sources.table import read_columns as read_columns
    from metaloom_metalearn.sources.table import read_table as read_table
    from metaloom_metalearn.sources.table import table_task as table_task
    from metaloom_metalearn.sources.texts import Embed as Embed
    from metaloom_metalearn.sources.texts import embed_texts as embed_texts
    from metaloom_metalearn.sources.texts import hashed_ngrams as hashed_ngrams
    from metaloom_metalearn.tasks import Examples as Examples
    from metaloom_metalearn.tasks import Task as Task
    from metaloom_metalearn.tasks import TaskSource as TaskSource
    from metaloom_metalearn.tasks import Values as Values
    from metaloom_metalearn.tasks import class_digest as class_digest
    from metaloom_metalearn.threads import one_thread as one_thread
    from metaloom_metalearn.training.checkpoint import Checkpoint as Checkpoint
    from metaloom_metalearn.training.episodic import meta_train as meta_train
    from metaloom_metalearn.training.plan import Augment as Augment
    from metaloom_metalearn.training.plan import Plan as Plan
    from metaloom_metalearn.training.plan import Trained as Trained
    from metaloom_metalearn.training.progress import ProgressBar as ProgressBar
    from metaloom_metalearn.training.progress import progress_bar as progress_bar
    from metaloom_metalearn.training.supervised import train_classifier as train_classifier
    from metaloom_metalearn.training.team import Processes as Processes
    from metaloom_metalearn.training.team import Team as Team
    from metaloom_metalearn.training.validation import Validated as Validated
    from metaloom_metalearn.training.validation import Validation as Validation
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "clock": ("Clock", "parse_budget"),
            "engines.batched.columns": ("from_batch", "to_batch", "to_support"),
            "engines.batched.compile": ("TermModule", "compile_term"),
            "engines.batched.features": ("Features",),
            "engines.batched.mode": ("Hard", "Mode", "Soft"),
            "engines.batched.soft": ("SoftBool", "SoftInt", "SoftLabel"),
            "engines.batched.values": (
                "BatchedValue",
                "Ragged",
                "Rows",
                "Support",
                "concatenate",
                "device_of",
                "moved",
                "put",
                "rows_of",
                "same_for_all",
                "take",
            ),
            "engines.hard.evaluator": ("Evaluator",),
            "engines.hard.limits": ("Limits",),
            "episodes": ("EpisodeSource", "Episodes", "classes_of", "draw_episodes", "stack_tasks"),
            "evaluation.answers": ("Answers", "by_head", "by_learner"),
            "evaluation.comparison": (
                "Evaluation",
                "Method",
                "compare",
                "with_head",
                "with_learner",
            ),
            "evaluation.conditions": (
                "Condition",
                "beyond_the_support",
                "fgsm",
                "noisy",
                "pgd",
                "rotated",
                "shifted",
            ),
            "evaluation.interval": ("Interval",),
            "evaluation.performance": ("Performance",),
            "journal": ("Event", "Journal", "MemoryJournal", "Silence"),
            "keyed": ("json_value",),
            "learners.anil": ("anil", "boil"),
            "learners.baseline": ("CosineLinear", "baseline_pp", "fresh_head"),
            "learners.batched.checking": ("engine_error",),
            "learners.batched.engine": ("Engine",),
            "learners.batched.gradient_steps": ("BatchedGradient", "GradientSteps"),
            "learners.choices": ("adaptable", "matching_names", "trainable"),
            "learners.descent": ("first_order", "second_order"),
            "learners.equipped": ("Equipped",),
            "learners.film": ("film",),
            "learners.finetune": ("fine_tune",),
            "learners.imaml": ("imaml",),
            "learners.learner": (
                "Adapted",
                "Diverged",
                "Learner",
                "Loss",
                "MetaGradient",
                "MetaLearner",
                "natural_loss",
            ),
            "learners.lora": ("lora",),
            "learners.maml": ("maml",),
            "learners.mamlpp": ("maml_pp",),
            "learners.meta_sgd": ("meta_sgd",),
            "learners.metric": ("Head", "Metric", "metric"),
            "learners.optimisers": ("Optimiser", "adam", "sgd"),
            "learners.patched": ("Patched", "merged"),
            "learners.reptile": ("reptile",),
            "learners.schedules": ("constant", "cosine", "halving"),
            "learners.statistics": ("query_statistics", "stored_statistics", "support_statistics"),
            "memory": ("Effect", "called_in_turn", "empty_value"),
            "modular.bouncegrad": ("Bouncing", "Modular", "bouncegrad"),
            "modular.curve_library": ("CurveLibrary", "learn_curves"),
            "modular.discover": ("Discovery",),
            "modular.moma": ("moma",),
            "modular.networks": ("Networks",),
            "modular.templates": ("Compose", "Gate", "Sum", "Template"),
            "ranking": ("Ranked", "new_inputs", "ranked"),
            "recurrent": ("RecurrentControl", "RecurrentRegressor", "recurrent_regressor", "rmse"),
            "report": ("Report",),
            "scores": ("Score",),
            "search.arm": ("Arm", "Problem"),
            "search.candidate": ("Candidate", "Part", "Scored", "Search"),
            "search.division.divide": ("Divide",),
            "search.enumeration.bank": ("Bounds",),
            "search.enumeration.engines": ("fastest",),
            "search.enumeration.enumerate": ("Enumerate", "Patience"),
            "search.enumeration.kernel.bank": ("kernel_terms",),
            "search.enumeration.kernel.memory": (
                "call_one",
                "call_two",
                "claim",
                "fail",
                "failed",
                "length_of",
                "packed",
                "place_of",
            ),
            "search.enumeration.remembering": ("Remembering",),
            "search.examples": ("hard_value", "holds_tensors"),
            "search.grammar.constants": ("Constants",),
            "search.guidance.recognition": ("Guidance", "Lesson", "dreams", "train_recognition"),
            "search.neural.compositions": ("Compositions",),
            "search.neural.few_shot": ("FewShot",),
            "search.neural.halving": ("Halving", "state_digest"),
            "search.prior": ("Prior", "Uniform", "Weights"),
            "search.strategies.annealing": ("anneal",),
            "search.strategies.beam_search": ("beam",),
            "search.strategies.evolution": ("evolve",),
            "search.strategies.few_shot_tuning": ("tune",),
            "search.strategies.space": ("Space",),
            "search.strategies.strategy": ("Strategy",),
            "search.strategies.tuning": (
                "RandomTuner",
                "Range",
                "Trial",
                "Tunable",
                "Tuner",
                "Tuners",
                "parzen",
            ),
            "search.trace": ("Account", "Improvement", "Trace"),
            "solution": ("Solution",),
            "solution_files": (
                "load_solution",
                "save_solution",
                "solution_from_files",
                "solution_to_files",
                "support_from_files",
                "support_to_files",
            ),
            "solver": ("default_searches", "solve"),
            "sources.arrays": ("ArrayEpisodes", "LabelledArrays"),
            "sources.augmented": ("Augmented",),
            "sources.curves": ("Curves", "Family", "polynomials", "sinusoids", "smooth_functions"),
            "sources.folder": ("bright", "dark", "read_folder"),
            "sources.hosted": ("HOSTED", "Hosted", "dataset_images", "read_hosted"),
            "sources.jsonl": ("parse_jsonl", "read_jsonl"),
            "sources.listed": ("read_listed",),
            "sources.npz": ("read_npz",),
            "sources.plain": ("read_cell", "read_values"),
            "sources.table": ("read_columns", "read_table", "table_task"),
            "sources.texts": ("Embed", "embed_texts", "hashed_ngrams"),
            "tasks": ("Examples", "Task", "TaskSource", "Values", "class_digest"),
            "threads": ("one_thread",),
            "training.checkpoint": ("Checkpoint",),
            "training.episodic": ("meta_train",),
            "training.plan": ("Augment", "Plan", "Trained"),
            "training.progress": ("ProgressBar", "progress_bar"),
            "training.supervised": ("train_classifier",),
            "training.team": ("Processes", "Team"),
            "training.validation": ("Validated", "Validation"),
        },
    )
