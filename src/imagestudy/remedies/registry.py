"""All remedies for class imbalance, registered by name. They change the data, the loss, the head, or the predictions.

Each entry has these facts:

* `acts`: what the remedy changes: "nowhere", "data", "loss", "head", "posthoc", "tuning", or two of them joined by " and ".
* `title`: the name in tables.
* `source`: the publication that proposed it.
* `derived_from`: only for derived remedies, which train nothing: the remedy that supplies their recorded runs.
"""

from functools import partial
from typing import Annotated

from pydantic import Field

from imagestudy.remedies import losses, sampling
from imagestudy.remedies.base import COSINE_SCALE, TRIALS, Remedy, remedies
from imagestudy.remedies.decoupling import ClassMeans, Cosine, Normalization, Retraining
from imagestudy.remedies.losses import (
    Criterion,
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


@remedies.register("none", acts="nowhere", title="plain training", source="")
def none() -> Remedy:
    """Plain training: shuffled epochs and cross-entropy."""
    return Remedy()


@remedies.register("tuned", version=2, acts="tuning", title="plain training, tuned", source="")
def tuned(*, trials: Annotated[int, Field(ge=1, le=len(TRIALS))] = len(TRIALS)) -> Remedy:
    """Plain training with learning rate and weight decay chosen on validation images, among the first `trials` settings."""
    return Remedy(trials=TRIALS[:trials])


@remedies.register("under_sampling", acts="data", title="under-sampling", source="Buda et al. 2018")
def under_sampling() -> Remedy:
    """Random removal of images, once before training, so that every class is as small as the smallest one."""
    return Remedy(sampling=Epochs(under_sampled))


@remedies.register("over_sampling", acts="data", title="over-sampling", source="Buda et al. 2018")
def over_sampling() -> Remedy:
    """Repetition of images in every epoch, so that every class is as large as the largest one."""
    return Remedy(sampling=Epochs(over_sampled, redrawn=True))


@remedies.register("square_root_sampler", acts="data", title="square-root sampler", source="Kang et al. 2020")
def square_root_sampler() -> Remedy:
    """A sampler that draws classes with probabilities proportional to the square root of their counts."""
    return Remedy(sampling=ClassSampler(power_shares(0.5)))


@remedies.register("balanced_sampler", acts="data", title="balanced sampler", source="Kang et al. 2020")
def balanced_sampler() -> Remedy:
    """A sampler that draws all classes with equal probability."""
    return Remedy(sampling=ClassSampler(power_shares(0.0)))


@remedies.register("class_weights", acts="loss", title="class weights", source="King & Zeng 2001")
def class_weights() -> Remedy:
    """Cross-entropy weighted by inverse class frequency."""
    return Remedy(criterion=CrossEntropy(inverse_frequency_weights))


@remedies.register("class_balanced", acts="loss", title="class-balanced weights", source="Cui et al. 2019")
def class_balanced(*, beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999) -> Remedy:
    """Cross-entropy weighted by the inverse effective number of images."""
    return Remedy(criterion=CrossEntropy(partial(effective_number_weights, beta=beta)))


@remedies.register("focal", acts="loss", title="focal loss", source="Lin et al. 2017")
def focal(*, gamma: Annotated[float, Field(ge=0, le=10)] = 2.0) -> Remedy:
    """Focal loss in its softmax form, without weights."""
    return Remedy(criterion=Focal(gamma))


@remedies.register("balanced_softmax", acts="loss", title="balanced softmax", source="Ren et al. 2020")
def balanced_softmax() -> Remedy:
    """Cross-entropy of logits to which the log of the class counts is added."""
    return Remedy(criterion=LogitAdjusted(1.0))


@remedies.register(
    "logit_adjustment", acts="posthoc", derived_from="none", title="logit adjustment, τ = 1", source="Menon et al. 2021"
)
def logit_adjustment(*, tau: Annotated[float, Field(ge=0, le=5)] = 1.0) -> Remedy:
    """Plain training, then τ times the log prior is subtracted from the finished predictions."""
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
    """Logit adjustment with the τ that gives the best balanced accuracy on validation images."""
    return Remedy(posthoc=Adjustment(tau=None))


@remedies.register("progressive_sampler", acts="data", title="progressive sampler", source="Kang et al. 2020")
def progressive_sampler() -> Remedy:
    """A sampler that moves linearly during training from uniform images to uniform classes."""
    return Remedy(sampling=ClassSampler(progressive_shares))


After = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


def _deferred_weights(criterion: Criterion, after: float, beta: float) -> Criterion:
    """Return a loss that is weighted by the effective number of images after the fraction `after` of training."""
    return losses.Deferred(criterion, Weighted(criterion, partial(effective_number_weights, beta=beta)), after)


@remedies.register("drw", acts="loss", title="deferred re-weighting", source="Cao et al. 2019")
def drw(*, after: After = 0.8, beta: Beta = 0.9999) -> Remedy:
    """Plain training, then class-balanced weights; by default, for the last fifth of training."""
    return Remedy(criterion=_deferred_weights(CrossEntropy(), after, beta))


@remedies.register("drs", acts="data", title="deferred re-sampling", source="Cao et al. 2019")
def drs(*, after: After = 0.8) -> Remedy:
    """Plain training, then the balanced sampler; by default, for the last fifth of training."""
    return Remedy(sampling=sampling.Deferred(Epochs(), ClassSampler(power_shares(0.0)), after))


@remedies.register("ldam", acts="head and loss", title="LDAM", source="Cao et al. 2019")
def ldam(*, margin: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Remedy:
    """A cosine head trained with a larger margin for rarer classes."""
    return Remedy(head=Cosine(COSINE_SCALE), criterion=Margin(margin, COSINE_SCALE))


@remedies.register("ldam_drw", acts="head and loss", title="LDAM, deferred re-weighting", source="Cao et al. 2019")
def ldam_drw(*, margin: Annotated[float, Field(ge=0, le=1)] = 0.5, after: After = 0.8, beta: Beta = 0.9999) -> Remedy:
    """LDAM, then LDAM with class-balanced weights; by default, for the last fifth of training."""
    return Remedy(head=Cosine(COSINE_SCALE), criterion=_deferred_weights(Margin(margin, COSINE_SCALE), after, beta))


@remedies.register("logit_adjusted_loss", acts="loss", title="logit-adjusted loss", source="Menon et al. 2021")
def logit_adjusted_loss(*, tau: Annotated[float, Field(ge=0, le=5)] = 1.0) -> Remedy:
    """Cross-entropy of logits to which τ times the log prior is added; τ = 1 is balanced softmax."""
    return Remedy(criterion=LogitAdjusted(tau))


@remedies.register("crt", acts="head", title="cRT", source="Kang et al. 2020")
def crt(*, share: Annotated[float, Field(gt=0, lt=1)] = 0.15) -> Remedy:
    """Plain training, then a new head is trained on frozen features with the balanced sampler."""
    return Remedy(head=Retraining("head", share))


@remedies.register("lws", acts="head", title="LWS", source="Kang et al. 2020")
def lws(*, share: Annotated[float, Field(gt=0, lt=1)] = 0.15) -> Remedy:
    """Plain training, then one factor per class that multiplies its logits is learned with the balanced sampler."""
    return Remedy(head=Retraining("scales", share))


@remedies.register("tau_norm", acts="head", title="τ-normalization", source="Kang et al. 2020")
def tau_norm() -> Remedy:
    """Plain training, then the head weights of each class are divided by a power of their norm, chosen on validation images."""
    return Remedy(head=Normalization())


@remedies.register("ncm", acts="head", title="nearest class mean", source="Kang et al. 2020")
def ncm() -> Remedy:
    """Plain training, then a classifier that predicts the class with the nearest mean feature, by cosine."""
    return Remedy(head=ClassMeans())


@remedies.register("mixup", acts="data", title="mixup", source="Zhang et al. 2018")
def mixup(*, alpha: Positive = 1.0) -> Remedy:
    """Training on blended pairs of images and blended labels."""
    return Remedy(mixing=Blend(alpha))


@remedies.register("remix", acts="data", title="Remix", source="Chou et al. 2020")
def remix(
    *,
    alpha: Positive = 1.0,
    ratio: Annotated[float, Field(ge=1)] = 3.0,
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> Remedy:
    """Mixup that gives the label to the rarer class of a pair."""
    return Remedy(mixing=Blend(alpha, ratio, threshold))


@remedies.register("mixup_drw", acts="data and loss", title="mixup, deferred re-weighting", source="Zhang 2018, Cao 2019")
def mixup_drw(*, alpha: Positive = 1.0, after: After = 0.8, beta: Beta = 0.9999) -> Remedy:
    """Mixup, with class-balanced weights; by default, for the last fifth of training."""
    return Remedy(mixing=Blend(alpha), criterion=_deferred_weights(CrossEntropy(), after, beta))


@remedies.register("label_aware_smoothing", acts="loss", title="label-aware smoothing", source="Zhong et al. 2021")
def label_aware_smoothing(
    *, head: Annotated[float, Field(ge=0, lt=1)] = 0.3, tail: Annotated[float, Field(ge=0, lt=1)] = 0.0
) -> Remedy:
    """Label smoothing that is stronger for classes with more images."""
    return Remedy(criterion=Smoothed(head, tail))


@remedies.register("tail_cutmix", acts="data", title="tail CutMix", source="Park et al. 2022")
def tail_cutmix(*, probability: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Remedy:
    """CMO: a box from an image of the balanced sampler is pasted into each training image."""
    return Remedy(mixing=TailPatch(probability))


@remedies.register("seed_ensemble", acts="posthoc", derived_from="none", title="ensemble of seeds", source="Hansen & Salamon 1990")
def seed_ensemble(*, members: Annotated[int, Field(ge=2, le=10)] = 3) -> Remedy:
    """The mean probability of several plain training runs with different initializations and batch orders.

    It costs as many training runs as it has members.
    """
    return Remedy(members=members)
