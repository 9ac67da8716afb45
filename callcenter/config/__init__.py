"""Configuration: YAML to Settings, every mistake with file, line and path."""

from callcenter.config.load import data_folder, load, render
from callcenter.config.problems import Code, ConfigError, Problem
from callcenter.config.settings import DeskSettings, OwnHashes, Settings, SwitchSettings
from callcenter.config.shipped import DEFAULT_FOLDER

__all__ = [
    "DEFAULT_FOLDER",
    "Code",
    "ConfigError",
    "DeskSettings",
    "OwnHashes",
    "Problem",
    "Settings",
    "SwitchSettings",
    "data_folder",
    "load",
    "render",
]
