"""Open a study file at one effort and check every name in it."""

from imagestudy import data
from imagestudy.core.errors import require_known
from imagestudy.data import datasets
from imagestudy.experiments.grids.cells import Plan, is_classical, members, model_spec, require_images
from imagestudy.experiments.grids.imbalance import curve_profiles, scale_profiles
from imagestudy.experiments.study import load_plugins, load_study
from imagestudy.models import check_size, models
from imagestudy.remedies import remedies


def open_study(study: str, effort: str) -> Plan:
    """Return the plan of a study file at one effort, with every name checked.

    Raises:
        InputError: see `study.load_study`; an effort, model, remedy or dataset is unknown; a profile leaves a class empty.
    """
    loaded = load_study(study)
    load_plugins(study)
    where = f"study {study!r}"
    loaded = loaded.model_copy(update={"dataset": datasets.settle(loaded.dataset, where=where)})
    for name in (*loaded.models, *loaded.crossed):
        models.entry(name, where=where)
    for name in loaded.learning_rates:
        networks = [other for other in models.names() if not is_classical(other)]
        require_known(name, networks, what="network under 'learning_rates'", where=where)
    for name in (*loaded.remedies, *(r for e in loaded.efforts.values() for r in (*e.imbalance.thinned, *e.imbalance.curves))):
        remedies.entry(name, where=where)
    plan = Plan(loaded, loaded.effort(effort))
    for one in loaded.efforts.values():
        for name in (*one.variance.moved, *one.imbalance.costs, *one.variance.diagnosed):
            models.entry(name, where=where)
        for name in one.variance.diagnosed:
            require_known(name, models.names(kind="neural"), what="network under 'diagnosed'", where=where)
        for name in one.accuracy.longer:
            networks = [other for other in loaded.models if not is_classical(other)]
            require_known(name, networks, what="network under 'longer'", where=where)
    for profile in (*loaded.profiles, *curve_profiles(plan), *scale_profiles(plan)):
        require_images(loaded, profile, where=where)
    for name in members(plan):
        check_size(model_spec(plan, name), shape=data.image_shape(loaded.dataset), classes=data.class_count(loaded.dataset))
    return plan
