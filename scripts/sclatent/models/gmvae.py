"""The Gaussian mixture VAE with a Dirichlet prior: an autoencoder whose latent has components."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.distributions import Dirichlet, RelaxedOneHotCategorical
from torch.nn.functional import cross_entropy, log_softmax, normalize, one_hot, softplus

from sclatent.common.errors import TrainingError
from sclatent.families.base import LOG_VAR_BOUNDS, MEAN_BOUNDS, MixtureHyperparameters
from sclatent.families.gmvae import Hyperparameters
from sclatent.models.base import Batch, Generated, Latents, rise, total_of, with_condition
from sclatent.models.with_likelihood import LikelihoodModel
from sclatent.nn.adam import Adam
from sclatent.nn.divergences import (
    collapsed_dirichlet,
    draw_normal,
    kl_categorical,
    kl_dirichlet,
    kl_normal,
    kl_standard_normal,
)
from sclatent.nn.layers import (
    below_overflow,
    bounded_gaussian,
    hidden_layers,
    inverse_soft_clip,
    mlp,
)
from sclatent.nn.likelihoods import LIKELIHOODS

HP = TypeVar("HP", bound=MixtureHyperparameters)

# `RelaxedOneHotCategorical` of the thesis.
TEMPERATURE, SMOOTHING = 0.1, 1e-9
# The virtual adversarial term searches its direction at this share of the radius.
PROBE = 0.1
# The classifier's training in `fit_classifier`.
CLASSIFIER_STEPS, CLASSIFIER_BATCH, CLASSIFIER_RATE = 500, 512, 1e-2


class Posterior(NamedTuple):
    """What the encoder returns for B cells: q(z|x), q(w|x) and its last hidden layer."""

    z_mean: Tensor  # (B, L)
    z_log_var: Tensor  # (B, L)
    w_mean: Tensor  # (B, W)
    w_log_var: Tensor  # (B, W)
    hidden: Tensor  # (B, H)


class MixtureModel(LikelihoodModel[HP]):
    """w ~ N(0, I), d ~ Dir(alpha), y ~ Cat(d), z ~ N(mean_y(w), exp(log_var_y(w))), x ~ p(x|z).

    loss = E_q -ln p(x|z) + z_weight sum_k q_k KL(q(z|x) || p(z|w, y=k))
    + w_weight KL(q(w|x) || p(w)) + y_weight kl_y, with q = q(y|z) or q(y|x), and one draw of z and
    of w per cell. p(x|z) is the likelihood. kl_y depends on the hyper-parameter `dirichlet`:

    - collapsed: the bound at the best q(d), which is Dir(alpha + q).
    - network: KL(q || d) + KL(q(d) || Dir(alpha)) for a draw d from a network's q(d).
    - none: KL(q || 1/K).
    - global: KL(q || pi) for learned shares pi.

    The networks:

    - encoder: F -> encoder_hidden -> L + W means and as many log-variances;
    - components: W -> component_hidden -> K means and log-variances of z;
    - classifier: L or encoder_hidden[-1] -> classifier_hidden -> K;
    - decoder: L -> decoder_hidden -> G.

    Encoder and decoder see the condition, if there is one. A family says in `n_inner` whether the
    components and a classifier of z do.

    Source
    ------
    Kolb 2022; Dilokthanakul et al. 2016.
    """

    def __init__(self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: HP):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        hp = hyperparameters
        self.settled = hp.warmup
        n_seen, n_decoded = n_features + n_conditions, hp.latent_dim + n_conditions
        n_hidden = [n_seen, *hp.encoder_hidden][-1]
        self.encoder = hidden_layers(n_seen, hp.encoder_hidden, hp)
        self.posterior_head = mlp(n_hidden, [], 2 * (hp.latent_dim + hp.w_dim), hp)
        n_moving = hp.w_dim + self.n_inner
        with warnings.catch_warnings():
            # Components that nothing moves have a layer without inputs.
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
            widths = hp.component_hidden if hp.w_dim else []
            self.component_net = mlp(n_moving, widths, hp.n_components * 2 * hp.latent_dim, hp)
        if n_moving == 0:
            # Torch would start the bias of such a layer at 0, so that all components are the same.
            nn.init.normal_(self.last_component_layer.bias)
        n_classified = hp.latent_dim + self.n_inner if hp.classifier == "z" else n_hidden
        self.classifier = mlp(n_classified, hp.classifier_hidden, hp.n_components, hp)
        if hp.dirichlet == "network":
            self.concentration_net = mlp(n_classified, hp.classifier_hidden, hp.n_components, hp)
        self.share_logits = (nn.Parameter if hp.dirichlet == "global" else nn.Buffer)(
            torch.zeros(hp.n_components)
        )
        self.decoder = hidden_layers(n_decoded, hp.decoder_hidden, hp)
        self.likelihood = LIKELIHOODS[hp.likelihood](
            [n_decoded, *hp.decoder_hidden][-1], n_vars, hp
        )

    @property
    def n_inner(self) -> int:
        """Number of conditions that the components and a classifier of z see: all, or 0."""
        return 0

    @property
    def n_components(self) -> int:
        """The number K of components."""
        return self.hp.n_components

    @property
    def last_component_layer(self) -> nn.Linear:
        """The layer whose output is the components' parameters.

        The output is (K, 2, L), flattened: a mean and a log-variance per component.
        """
        return [layer for layer in self.component_net if isinstance(layer, nn.Linear)][-1]

    def inner(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return what components or classifier see: x (B, D), with the condition if n_inner."""
        return with_condition(x, condition if self.n_inner else None)

    def bound(self, mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of a Gaussian, of any shape, bounded if the model is.

        If it is not, only log-variances that would overflow are cut.
        """
        if self.hp.bounded:
            return bounded_gaussian(mean, log_var)
        return mean, -below_overflow(-below_overflow(log_var))

    def posterior(self, seen: Tensor, condition: Tensor | None) -> Posterior:
        """Return q(z|x) and q(w|x) of cells (B, F), and the last hidden layer, which they share."""
        hidden = self.encoder(with_condition(seen, condition))
        mean, log_var = self.bound(*self.posterior_head(hidden).chunk(2, dim=-1))
        widths = [self.latent_dim, self.hp.w_dim]
        z_mean, w_mean = mean.split(widths, dim=-1)
        z_log_var, w_log_var = log_var.split(widths, dim=-1)
        return Posterior(z_mean, z_log_var, w_mean, w_log_var, hidden)

    def w_prior(self, w: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of p(w) = N(0, I), in the shape of w, (B, W)."""
        return torch.zeros_like(w), torch.zeros_like(w)

    def components(self, w: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of p(z|w, y), (B, K, L) each, for w (B, W)."""
        parameters = self.component_net(self.inner(w, condition)).unflatten(
            -1, (self.n_components, 2, self.latent_dim)
        )
        return self.bound(parameters[:, :, 0], parameters[:, :, 1])

    def classified(self, z: Tensor, hidden: Tensor, condition: Tensor | None) -> Tensor:
        """Return the input of the classifier.

        Parameters
        ----------
        z
            (B, L), latents.
        hidden
            (B, H), the encoder's last hidden layer.
        condition
            (B, C) one-hot, or None.
        """
        return self.inner(z, condition) if self.hp.classifier == "z" else hidden

    def log_responsibilities(self, seen: Tensor, condition: Tensor | None) -> Tensor:
        """Return ln q(y) of cells (B, F) at the mean of q(z|x), (B, K)."""
        q = self.posterior(seen, condition)
        return log_softmax(self.classifier(self.classified(q.z_mean, q.hidden, condition)), dim=-1)

    def class_prior(self, classified: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return ln p(y), (B, K) or (K,), and the loss that drawing d costs.

        Parameters
        ----------
        classified
            The input of the classifier.

        Returns
        -------
        The logarithm of the prior, and {"kl_d": KL(q(d) || Dir(alpha))} if d is drawn, else {}.
        """
        if self.hp.dirichlet != "network":
            return log_softmax(self.share_logits, dim=-1), {}
        # Concentrations near 0 draw shares of exactly 0, whose logarithm and gradient are not
        # finite. So both have a lower bound.
        concentration = softplus(self.concentration_net(classified)) + 1e-3
        shares = Dirichlet(concentration, validate_args=False).rsample().clamp(min=1e-6)
        kl_d = kl_dirichlet(concentration, torch.full_like(concentration, self.hp.alpha)).mean()
        return (shares / shares.sum(-1, keepdim=True)).log(), {"kl_d": kl_d}

    def z_weight(self, progress: float) -> float:
        """Return the weight of the divergence of z after a share of the training."""
        return self.hp.z_weight * rise(progress, 0, self.hp.warmup)

    def reconstruction(self, batch: Batch, z: Tensor) -> Tensor:
        """Return -ln p(x|z), averaged over the cells."""
        return self.likelihood.nll(self.last_hidden(z, batch.condition), batch.x).mean()

    def given_components(
        self, batch: Batch, q: Posterior, z: Tensor, y: Tensor, progress: float
    ) -> dict[str, Tensor]:
        """Return the loss without the terms of the component, and its parts.

        Parameters
        ----------
        batch
            The cells.
        q
            Their posteriors.
        z
            (B, L), draws of z.
        y
            (B, K), shares of the components.
        progress
            Share of the training that is over.
        """
        w = draw_normal(q.w_mean, q.w_log_var)
        kl_z = kl_normal(
            q.z_mean[:, None], q.z_log_var[:, None], *self.components(w, batch.condition)
        )
        parts = {
            "reconstruction": self.reconstruction(batch, z),
            "kl_z": (y * kl_z).sum(-1).mean(),
            "kl_w": kl_normal(q.w_mean, q.w_log_var, *self.w_prior(w, batch.condition)).mean(),
        }
        loss = (
            parts["reconstruction"]
            + self.z_weight(progress) * parts["kl_z"]
            + self.hp.w_weight * parts["kl_w"]
        )
        return {"loss": loss, **parts}

    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the loss of unlabelled cells and its parts; see `LatentModel.loss`.

        The parts include what is only recorded: confidence, the mean of the largest q(y), and
        n_components_used, the number of components that are the most probable one of some cell.
        """
        hp = self.hp
        q = self.posterior(batch.seen, batch.condition)
        z = draw_normal(q.z_mean, q.z_log_var)
        classified = self.classified(z, q.hidden, batch.condition)
        log_q = log_softmax(self.classifier(classified), dim=-1)
        parts = self.given_components(batch, q, z, log_q.exp(), progress)
        loss = parts.pop("loss")
        class_parts = self.class_divergence(log_q, classified)
        loss = loss + hp.y_weight * total_of(class_parts).clamp(min=hp.free_bits)
        extra = self.regularisers(batch, log_q)
        for name, weight in (
            ("entropy", hp.entropy_weight),
            ("marginal", hp.marginal_weight),
            ("adversarial", hp.adversarial_weight),
        ):
            if name in extra:
                loss = loss + weight * extra[name]
        return {"loss": loss, **parts, **class_parts, **extra, **self.use_of_components(log_q)}

    def class_divergence(self, log_q: Tensor, classified: Tensor) -> dict[str, Tensor]:
        """Return kl_y, and kl_d if d is drawn, for ln q(y) (B, K), averaged over cells."""
        if self.hp.dirichlet == "collapsed":
            return {"kl_y": collapsed_dirichlet(log_q, self.hp.alpha).mean()}
        log_p, cost_of_draw = self.class_prior(classified)
        return {"kl_y": kl_categorical(log_q, log_p).mean(), **cost_of_draw}

    def regularisers(self, batch: Batch, log_q: Tensor) -> dict[str, Tensor]:
        """Return the optional terms of the loss whose weight is not 0, for ln q(y) (B, K).

        entropy is that of each cell's q(y), marginal the divergence of the batch's mean q(y) from
        equal shares; see `adversarial` for the third.
        """
        terms = {}
        if self.hp.entropy_weight:
            terms["entropy"] = -(log_q.exp() * log_q).sum(-1).mean()
        if self.hp.marginal_weight:
            log_mean = log_q.logsumexp(dim=0) - math.log(len(log_q))
            terms["marginal"] = math.log(self.n_components) + (log_mean.exp() * log_mean).sum()
        if self.hp.adversarial_weight:
            terms["adversarial"] = self.adversarial(batch)
        return terms

    def use_of_components(self, log_q: Tensor) -> dict[str, Tensor]:
        """Return confidence and n_components_used for ln q(y) (B, K); see `loss`."""
        confidence, likeliest = log_q.detach().exp().max(dim=-1)
        components = torch.arange(self.n_components, device=log_q.device)
        used = (likeliest[:, None] == components).any(dim=0)
        return {
            "confidence": confidence.mean(),
            "n_components_used": used.sum().to(log_q.dtype),
        }

    def supervised_loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the loss of cells whose labels (B,) are their components, and its parts.

        It is `loss` with q one-hot at the label, plus class_weight times the classifier's
        cross-entropy -ln q(label). The term of the class is -ln p(label) if the prior learns from
        it, which it does with dirichlet network (with kl_d) and global; else it is a constant and
        left out.
        """
        assert batch.label is not None
        q = self.posterior(batch.seen, batch.condition)
        z = draw_normal(q.z_mean, q.z_log_var)
        classified = self.classified(z, q.hidden, batch.condition)
        label = one_hot(batch.label, self.n_components).to(z.dtype)
        parts = self.given_components(batch, q, z, label, progress)
        log_q = log_softmax(self.classifier(classified), dim=-1)
        parts["cross_entropy"] = self.cost_of_label(log_q, label)
        parts["loss"] = parts["loss"] + self.hp.class_weight * parts["cross_entropy"]
        if self.hp.dirichlet in ("network", "global"):
            log_p, cost_of_draw = self.class_prior(classified)
            class_parts = {"kl_y": self.cost_of_label(log_p, label), **cost_of_draw}
            parts |= class_parts
            parts["loss"] = parts["loss"] + self.hp.y_weight * total_of(class_parts)
        return parts

    def cost_of_label(self, log_p: Tensor, label: Tensor) -> Tensor:
        """Return -ln p(label), averaged over cells.

        With the hyper-parameter `relaxed` it is the thesis' loss instead: minus the log-density of
        a relaxed one-hot variable at the smoothed label. This smooths labels strongly: it is least
        if p(label) is about 0.5.

        Parameters
        ----------
        log_p
            ln p, (B, K) or (K,).
        label
            (B, K) one-hot.
        """
        if self.hp.relaxed:
            smoothed = SMOOTHING / self.n_components + (1 - SMOOTHING) * label
            relaxed = RelaxedOneHotCategorical(
                label.new_tensor(TEMPERATURE), logits=log_p, validate_args=False
            )
            return -relaxed.log_prob(smoothed).mean()
        return -(label * log_p).sum(-1).mean()

    def pretraining_loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the loss of a VAE without w and components: kl_z is KL(q(z|x) || N(0, I))."""
        q = self.posterior(batch.seen, batch.condition)
        reconstruction = self.reconstruction(batch, draw_normal(q.z_mean, q.z_log_var))
        kl_z = kl_standard_normal(q.z_mean, q.z_log_var).mean()
        return {
            "loss": reconstruction + self.z_weight(progress) * kl_z,
            "reconstruction": reconstruction,
            "kl_z": kl_z,
        }

    def adversarial(self, batch: Batch) -> Tensor:
        """Return KL(q(y|x) || q(y|x + r)), averaged over cells.

        r is the change of a cell, of length adversarial_radius, that raises the divergence most.
        One power iteration finds it.

        Source
        ------
        Miyato et al. 2018.
        """
        radius, seen = self.hp.adversarial_radius, batch.seen
        with only_the_input_changes(self):
            log_q = self.log_responsibilities(seen, batch.condition).detach()
            with torch.enable_grad():  # needed if the loss is only evaluated, too
                probe = (PROBE * radius * normalize(torch.randn_like(seen))).requires_grad_()
                divergence = kl_categorical(
                    log_q, self.log_responsibilities(seen + probe, batch.condition)
                ).sum()
                (gradient,) = torch.autograd.grad(divergence, probe)
            changed = self.log_responsibilities(
                seen + radius * normalize(gradient), batch.condition
            )
        return kl_categorical(log_q, changed).mean()

    @torch.no_grad()
    def place_components(
        self, seen: Tensor, means: Tensor, condition: Tensor | None = None
    ) -> None:
        """Set components and classifier to K clusters of cells; see `LatentModel.place_components`.

        k-means finds the clusters in the mean latents. The bias of the components' last layer
        becomes the clusters' centres and variances: those of the means in a cluster plus those of
        q(z|x). The layer's weights shrink to a tenth, so that components start at the clusters and
        still move with w. The classifier learns the clusters by cross-entropy, from draws of z.

        Raises
        ------
        TrainingError
            If there are fewer cells than components.
        """
        if len(seen) < self.n_components:
            raise TrainingError(
                f"{self.n_components} components cannot be placed by {len(seen)} cells"
            )
        was_training = self.training
        self.eval()
        k_means = KMeans(
            self.n_components,
            n_init=10,  # pyright: ignore[reportArgumentType]  # scikit-learn has no annotations
            random_state=int(torch.randint(2**31 - 1, ())),
        )
        labels = k_means.fit(means.cpu().numpy()).labels_
        cluster = torch.from_numpy(labels).to(means.device, torch.int64)
        member = one_hot(cluster, self.n_components).to(means.dtype)
        member_share = member / member.sum(0).clamp(min=1)
        q = self.posterior(seen, condition)
        centre = member_share.T @ means
        variance = member_share.T @ ((means - centre[cluster]).square() + q.z_log_var.exp())
        self.set_components(centre, variance.clamp(min=1e-4).log())
        self.fit_classifier(q, condition, cluster)
        self.train(was_training)

    def set_components(self, mean: Tensor, log_var: Tensor) -> None:
        """Set the components to means and log-variances (K, L), which w hardly moves at first.

        They become the bias of the last layer, whose weights shrink to a tenth.
        """
        if self.hp.bounded:
            mean = inverse_soft_clip(mean, *MEAN_BOUNDS)
            log_var = inverse_soft_clip(log_var, *LOG_VAR_BOUNDS)
        self.last_component_layer.bias.copy_(torch.stack([mean, log_var], dim=1).flatten())
        self.last_component_layer.weight.mul_(0.1)

    @torch.enable_grad()
    def fit_classifier(self, q: Posterior, condition: Tensor | None, label: Tensor) -> None:
        """Train the classifier alone, by cross-entropy, on draws of z.

        Parameters
        ----------
        q
            Posteriors of N cells.
        condition
            (N, C) one-hot, or None.
        label
            (N,), the component of each cell.
        """
        self.classifier.train()  # so that batch normalisation learns its moments, too
        optimizer = Adam(self.classifier.parameters(), weight_decay=0.0, decoupled=False)
        for _ in range(CLASSIFIER_STEPS):
            i = torch.randint(len(label), (CLASSIFIER_BATCH,), device=label.device)
            z = draw_normal(q.z_mean[i], q.z_log_var[i])
            classified = self.classified(
                z, q.hidden[i], None if condition is None else condition[i]
            )
            cross_entropy(self.classifier(classified), label[i]).backward()
            optimizer.step(CLASSIFIER_RATE)

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return all latents; see `LatentModel.encode`. q(y) is that at the mean of z."""
        q = self.posterior(seen, condition)
        responsibilities = torch.softmax(
            self.classifier(self.classified(q.z_mean, q.hidden, condition)), dim=-1
        )
        z, w = draw_normal(q.z_mean, q.z_log_var), draw_normal(q.w_mean, q.w_log_var)
        return Latents(q.z_mean, z, responsibilities, q.w_mean, w)

    @torch.no_grad()
    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return cells for n draws of w, per component and condition; see `LatentModel.generate`.

        Without `sample`, z is the component's mean; with it, z and x are drawn. There are n * K * C
        cells, n * K without conditions. The draw of w changes slowest, then the component, then the
        condition.
        """
        n_conditions = max(self.n_conditions, 1)
        w = torch.randn(n, self.hp.w_dim).to(self.share_logits)
        w = w.repeat_interleave(n_conditions, dim=0)
        every_condition = torch.eye(n_conditions).to(w) if self.n_conditions else None
        w_condition = None if every_condition is None else every_condition.repeat(n, 1)
        mean, log_var = self.w_prior(w, w_condition)
        w = mean + (0.5 * log_var).exp() * w
        mean, log_var = self.components(w, w_condition)  # (n * C, K, L) each
        z = draw_normal(mean, log_var) if sample else mean
        z = z.unflatten(0, (n, n_conditions)).transpose(1, 2).flatten(0, 2)
        component = torch.arange(self.n_components, device=z.device)
        component = component.repeat_interleave(n_conditions).repeat(n)
        if every_condition is None:
            return self.generated(z, sample, None, component)
        condition = every_condition.repeat(n * self.n_components, 1)
        return self.generated(z, sample, condition, component)


class Model(MixtureModel[Hyperparameters]):
    """The Gaussian mixture VAE without conditions; see `MixtureModel`."""


@contextmanager
def only_the_input_changes(model: nn.Module) -> Iterator[None]:
    """Make a model in training give the same output for the same cells.

    There is no dropout, and batch normalisation does not update its running moments. It still
    normalises by the moments of the batch, as in the loss to which the output contributes. With
    running moments, which differ, q(y) could be smooth here and rough in the loss.
    """
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]

    def hold(held: bool) -> None:
        for dropout in dropouts:
            dropout.train(model.training and not held)
        for norm in norms:
            norm.track_running_stats = not (model.training and held)

    hold(True)
    try:
        yield
    finally:
        hold(False)
