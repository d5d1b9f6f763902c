"""Tests on a real cluster: functions are deployed by the real command, called over their URLs, and broken by faults."""
