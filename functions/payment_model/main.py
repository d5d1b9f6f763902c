"""A raw card payment in, a decision out. Thresholds: on held-out payments of v2, nobody honest is declined."""

import flask
from flask.typing import ResponseReturnValue

from functions.payment_model.features import Asked
from runtime.author import answer_errors, model

DECLINE, REVIEW = 0.8, 0.2


@answer_errors
def handle(request: flask.Request) -> ResponseReturnValue:
    """Answer one payment (a JSON object) or several (a list)."""
    asked = Asked.read(request.get_data())
    scored = model("payment-model").predict(asked.rows)
    answers = [
        {"decision": decide(score), "fraud_score": score, "model_version": scored.model_version}
        for score in scored.outputs["fraud_score"][:, 0].tolist()
    ]
    return answers[0] if asked.alone else answers


def decide(score: float) -> str:
    """Turn a probability of fraud into what the till does."""
    return "decline" if score >= DECLINE else "review" if score >= REVIEW else "approve"
