"""The one error tree. Only `main` of a command line catches it, and prints `error: ...`."""


class GarmentcamError(Exception):
    """Something the user can mend: the message says what, where, what was expected and what to do."""


class ConfigError(GarmentcamError):
    """A configuration file or a command-line setting is wrong."""


class CameraError(GarmentcamError):
    """A camera, image, folder or video cannot be opened or read."""


class ModelError(GarmentcamError):
    """A model file, its card or the runtime cannot be used."""


class LogError(GarmentcamError):
    """A latency log cannot be written or read."""


class DataError(GarmentcamError):
    """A data set or a folder of photographs is missing, incomplete or mislabelled."""
