"""What changes parameters: one learner a file.

A `Learner` fits a copy of a model to a support; a `MetaLearner` also says how to better the model
it begins with.  Two conventions stand beside these protocols:

- A learner that learns numbers of its own (rates, scales) has `equip(model)`, which puts them
  beside the model as parameters of one module: what trains, keeps or resumes modules needs no other
  word.  Adapting such an `Equipped` gives back the model alone.
- The groups `frozen` and `slow` that a module names in `parameter_groups` bound every learner: see
  `choices`.

`descent` and `per_task` hold what learners of gradient steps share: the inner loop, and the mean
over tasks of what one task says.
"""
