"""The function, which decides on raw card payments. At these thresholds, v2 declines no honest held-out payment."""

import flask
from flask.typing import ResponseReturnValue

from functions.payment_model.features import ScoreRequest
from runtime.author import answer_errors, model

DECLINE, REVIEW = 0.8, 0.2


@answer_errors
def handle(request: flask.Request) -> ResponseReturnValue:
    """Answer one payment (a JSON object) or several (a list)."""
    payments = ScoreRequest.read(request.get_data())
    scored = model("payment-model").predict(payments.rows)
    answers = [
        {"decision": decide(score), "fraud_score": score, "model_version": scored.model_version}
        for score in scored.outputs["fraud_score"][:, 0].tolist()
    ]
    return answers[0] if payments.single else answers


def decide(score: float) -> str:
    """Return the decision for a probability of fraud."""
    return "decline" if score >= DECLINE else "review" if score >= REVIEW else "approve"
