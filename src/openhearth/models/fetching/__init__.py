"""Model files: what a user types -> which files those are (`expand`), and those files onto the disk, checked (`fetch`).

Knows no catalogue and no names of models. Nothing that is fetched is ever run.
"""

from openhearth.models.fetching.artifact import Artifact, FetchedFile, Progress
from openhearth.models.fetching.expand import expand
from openhearth.models.fetching.fetch import fetch

__all__ = ["Artifact", "FetchedFile", "Progress", "expand", "fetch"]
