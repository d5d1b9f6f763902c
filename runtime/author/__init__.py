"""The API for an author's function: `model`, `answer_errors` and `answer`; the server calls `attach` and `detach`.

predicting.py   model("name").predict(rows), an ordinary blocking call
rows.py         lists and arrays -> tensors, on the calling thread and in slices
events.py       the S3 objects that an event names, for a function that gets events
answers.py      errors -> Flask responses in the form of the predict API
"""

from runtime.author.answers import answer, answer_errors
from runtime.author.predicting import Model, Outputs, attach, detach, model

__all__ = ["Model", "Outputs", "answer", "answer_errors", "attach", "detach", "model"]
