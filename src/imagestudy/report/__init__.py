"""The notebooks executed by papermill, and the site that shows them."""

from imagestudy.report.papers import NotebookError, check_parameters, execute, parameters_of
from imagestudy.report.site import SiteError, build_site, escape

__all__ = ["NotebookError", "SiteError", "build_site", "check_parameters", "escape", "execute", "parameters_of"]
