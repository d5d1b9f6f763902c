"""The training of the model: that of functions/digits."""

from functions.digits.train import train

__all__ = ["train"]
