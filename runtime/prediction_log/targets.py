"""Where the log goes, from the settings. Imports nothing heavy: the start of a process checks it first."""

import os
from pathlib import Path
from typing import Final

from runtime.configuration.sink import checked_url, extensions
from runtime.errors import BadSetting
from runtime.settings import Settings, in_pod

SINK: Final = "sink"  # value of SCALEZERO_PREDICTION_LOG


def check_target(settings: Settings) -> None:
    """Raise `BadSetting` if the log cannot work.

    In a pod, a missing K_SINK is no error: a SinkBinding may add it to the next revision, and predictions go on.
    """
    if settings.prediction_log == SINK:
        if settings.sink is not None:
            checked_url(settings.sink)
            extensions(settings.sink_overrides)
        elif not in_pod(os.environ):
            raise BadSetting("K_SINK", value=None, allowed="the URL of the sink, as SCALEZERO_PREDICTION_LOG is sink")
        return
    path = Path(settings.prediction_log or "")
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        allowed = "sink, or a file that can be written, in a folder that exists"
        raise BadSetting("SCALEZERO_PREDICTION_LOG", value=settings.prediction_log, allowed=allowed)
