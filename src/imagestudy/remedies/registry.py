"""Remedies for class imbalance: what the learner sees, pays and says, each under a registered name.

Facts of an entry: `acts` is where it acts ("nowhere", "data", "loss", "head", "posthoc", "tuning", or two joined by " and "),
`title` its name in tables, `source` who proposed it, and `derived_from` the remedy whose recorded runs it is computed from, for
those that train nothing of their own.
"""

from functools import partial
from typing import Annotated

from pydantic import Field

from imagestudy.remedies import losses, sampling
from imagestudy.remedies.base import COSINE_SCALE, TRIALS, Remedy, remedies
from imagestudy.remedies.decoupling import ClassMeans, Normalization, Retraining
from imagestudy.remedies.losses import (
    Cost,
    CrossEntropy,
    Focal,
    LogitAdjusted,
    Margin,
    Smoothed,
    Weighted,
    effective_number_weights,
    inverse_frequency_weights,
)
from imagestudy.remedies.mixing import Blend, TailPatch
from imagestudy.remedies.posthoc import Adjustment
from imagestudy.remedies.sampling import (
    ClassSampler,
    Epochs,
    over_sampled,
    power_shares,
    progressive_shares,
    under_sampled,
)


@remedies.register("none", acts="nowhere", title="none", source="")
def none() -> Remedy:
    """Plain training: shuffled epochs and cross-entropy."""
    return Remedy()


@remedies.register("tuned", version=2, acts="tuning", title="none, tuned", source="")
def tuned(*, trials: Annotated[int, Field(ge=1, le=len(TRIALS))] = len(TRIALS)) -> Remedy:
    """Plain training whose learning rate and weight decay are chosen on validation, among the first so many trials."""
    return Remedy(trials=TRIALS[:trials])


@remedies.register("under_sampling", acts="data", title="under-sampling", source="Buda et al. 2018")
def under_sampling() -> Remedy:
    """Every class cut to the smallest, once, before training."""
    return Remedy(sampling=Epochs(under_sampled))


@remedies.register("over_sampling", acts="data", title="over-sampling", source="Buda et al. 2018")
def over_sampling() -> Remedy:
    """Every class repeated up to the largest, in every epoch."""
    return Remedy(sampling=Epochs(over_sampled, redrawn=True))


@remedies.register("square_root_sampler", acts="data", title="square-root sampler", source="Kang et al. 2020")
def square_root_sampler() -> Remedy:
    """Classes drawn in proportion to the square root of their counts."""
    return Remedy(sampling=ClassSampler(power_shares(0.5)))


@remedies.register("balanced_sampler", acts="data", title="balanced sampler", source="Kang et al. 2020")
def balanced_sampler() -> Remedy:
    """Classes drawn with equal probability."""
    return Remedy(sampling=ClassSampler(power_shares(0.0)))


@remedies.register("class_weights", acts="loss", title="class weights", source="King & Zeng 2001")
def class_weights() -> Remedy:
    """Cross-entropy weighted by inverse class frequency."""
    return Remedy(cost=CrossEntropy(inverse_frequency_weights))


@remedies.register("class_balanced", acts="loss", title="class-balanced weights", source="Cui et al. 2019")
def class_balanced(*, beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999) -> Remedy:
    """Cross-entropy weighted by the inverse effective number of images."""
    return Remedy(cost=CrossEntropy(partial(effective_number_weights, beta=beta)))


@remedies.register("focal", acts="loss", title="focal loss", source="Lin et al. 2017")
def focal(*, gamma: Annotated[float, Field(ge=0, le=10)] = 2.0) -> Remedy:
    """Focal loss in its softmax form, without weights."""
    return Remedy(cost=Focal(gamma))


@remedies.register("balanced_softmax", acts="loss", title="balanced softmax", source="Ren et al. 2020")
def balanced_softmax() -> Remedy:
    """Cross-entropy of logits that are raised by the log of the class counts."""
    return Remedy(cost=LogitAdjusted(1.0))


@remedies.register(
    "logit_adjustment", acts="posthoc", derived_from="none", title="logit adjustment, τ = 1", source="Menon et al. 2021"
)
def logit_adjustment(*, tau: Annotated[float, Field(ge=0, le=5)] = 1.0) -> Remedy:
    """The log prior, τ times, taken off the finished predictions of plain training."""
    return Remedy(posthoc=Adjustment(tau))


@remedies.register(
    "logit_adjustment_tuned",
    version=2,
    acts="posthoc",
    derived_from="none",
    title="logit adjustment, τ*",
    source="Menon et al. 2021",
)
def logit_adjustment_tuned() -> Remedy:
    """The same with the τ that gives the best balanced accuracy on validation."""
    return Remedy(posthoc=Adjustment(tau=None))


@remedies.register("progressive_sampler", acts="data", title="progressive sampler", source="Kang et al. 2020")
def progressive_sampler() -> Remedy:
    """From images drawn uniformly to classes drawn uniformly, in a straight line over the training."""
    return Remedy(sampling=ClassSampler(progressive_shares))


After = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


def _deferred_weights(cost: Cost, after: float, beta: float) -> Cost:
    """A loss that is weighted by the effective number of images from a share of the training on."""
    return losses.Deferred(cost, Weighted(cost, partial(effective_number_weights, beta=beta)), after)


@remedies.register("drw", acts="loss", title="deferred re-weighting", source="Cao et al. 2019")
def drw(*, after: After = 0.8, beta: Beta = 0.9999) -> Remedy:
    """Plain training, then class-balanced weights for the last fifth."""
    return Remedy(cost=_deferred_weights(CrossEntropy(), after, beta))


@remedies.register("drs", acts="data", title="deferred re-sampling", source="Cao et al. 2019")
def drs(*, after: After = 0.8) -> Remedy:
    """Plain training, then the balanced sampler for the last fifth."""
    return Remedy(sampling=sampling.Deferred(Epochs(), ClassSampler(power_shares(0.0)), after))


@remedies.register("ldam", acts="head and loss", title="LDAM", source="Cao et al. 2019")
def ldam(*, margin: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Remedy:
    """A cosine head that must keep a wider margin from rare classes."""
    return Remedy(head="cosine", cost=Margin(margin, COSINE_SCALE))


@remedies.register("ldam_drw", acts="head and loss", title="LDAM, deferred re-weighting", source="Cao et al. 2019")
def ldam_drw(*, margin: Annotated[float, Field(ge=0, le=1)] = 0.5, after: After = 0.8, beta: Beta = 0.9999) -> Remedy:
    """The same with class-balanced weights for the last fifth."""
    return Remedy(head="cosine", cost=_deferred_weights(Margin(margin, COSINE_SCALE), after, beta))


@remedies.register("logit_adjusted_loss", acts="loss", title="logit-adjusted loss", source="Menon et al. 2021")
def logit_adjusted_loss(*, tau: Annotated[float, Field(ge=0, le=5)] = 1.0) -> Remedy:
    """Cross-entropy of logits that are raised by τ times the log prior; at τ = 1 this is balanced softmax."""
    return Remedy(cost=LogitAdjusted(tau))


@remedies.register("crt", acts="head", title="cRT", source="Kang et al. 2020")
def crt(*, share: Annotated[float, Field(gt=0, lt=1)] = 0.15) -> Remedy:
    """Plain training, then a new head on frozen features, with the balanced sampler."""
    return Remedy(ending=Retraining("head", share))


@remedies.register("lws", acts="head", title="LWS", source="Kang et al. 2020")
def lws(*, share: Annotated[float, Field(gt=0, lt=1)] = 0.15) -> Remedy:
    """Plain training, then one factor a class for the logits, learned with the balanced sampler."""
    return Remedy(ending=Retraining("scales", share))


@remedies.register("tau_norm", acts="head", title="τ-normalization", source="Kang et al. 2020")
def tau_norm() -> Remedy:
    """Plain training, then head weights divided by a power of their length that validation picks."""
    return Remedy(ending=Normalization())


@remedies.register("ncm", acts="head", title="nearest class mean", source="Kang et al. 2020")
def ncm() -> Remedy:
    """Plain training, then the class of the nearest mean feature, by cosine."""
    return Remedy(ending=ClassMeans())


@remedies.register("mixup", acts="data", title="mixup", source="Zhang et al. 2018")
def mixup(*, alpha: Positive = 1.0) -> Remedy:
    """Pairs of images and of their labels, blended."""
    return Remedy(mixing=Blend(alpha))


@remedies.register("remix", acts="data", title="Remix", source="Chou et al. 2020")
def remix(
    *,
    alpha: Positive = 1.0,
    ratio: Annotated[float, Field(ge=1)] = 3.0,
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> Remedy:
    """Mixup whose labels go to the rarer class of a pair."""
    return Remedy(mixing=Blend(alpha, ratio, threshold))


@remedies.register("mixup_drw", acts="data and loss", title="mixup, deferred re-weighting", source="Zhang 2018, Cao 2019")
def mixup_drw(*, alpha: Positive = 1.0, after: After = 0.8, beta: Beta = 0.9999) -> Remedy:
    """Mixup, with class-balanced weights for the last fifth."""
    return Remedy(mixing=Blend(alpha), cost=_deferred_weights(CrossEntropy(), after, beta))


@remedies.register("label_aware_smoothing", acts="loss", title="label-aware smoothing", source="Zhong et al. 2021")
def label_aware_smoothing(
    *, head: Annotated[float, Field(ge=0, lt=1)] = 0.3, tail: Annotated[float, Field(ge=0, lt=1)] = 0.0
) -> Remedy:
    """Labels that are smoothed the more, the more images their class has."""
    return Remedy(cost=Smoothed(head, tail))


@remedies.register("tail_cutmix", acts="data", title="tail CutMix", source="Park et al. 2022")
def tail_cutmix(*, probability: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Remedy:
    """Images as they come, with a part of an image of the balanced sampler pasted in (CMO)."""
    return Remedy(mixing=TailPatch(probability))


@remedies.register("seed_ensemble", acts="posthoc", derived_from="none", title="ensemble of seeds", source="Hansen & Salamon 1990")
def seed_ensemble(*, members: Annotated[int, Field(ge=2, le=10)] = 3) -> Remedy:
    """The mean probability of plain trainings that differ by initialisation and batch order; it costs as many trainings."""
    return Remedy(members=members)
