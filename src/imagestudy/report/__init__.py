"""Execute notebooks with papermill, and build the site that shows them."""

from imagestudy.core.text import escape
from imagestudy.report.notebooks import NotebookError, check_parameters, execute, parameters_of
from imagestudy.report.site import SiteError, build_site
