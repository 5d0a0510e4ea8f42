"""Single numbers and functions explained in exact fractions."""

from fpemu.inspection.code import Code, Explanation, explain_code
from fpemu.inspection.evaluation import Evaluation, EvaluationStep, evaluate
from fpemu.inspection.explanation import explain
from fpemu.inspection.expressions import ExpressionError
