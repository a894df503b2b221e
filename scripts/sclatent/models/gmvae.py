"""The Gaussian mixture VAE with a Dirichlet prior: an autoencoder whose latent falls into components."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.distributions import Dirichlet, RelaxedOneHotCategorical
from torch.nn.functional import cross_entropy, log_softmax, normalize, one_hot, softplus

from sclatent.common.errors import TrainingError
from sclatent.families.base import MixtureHyperparameters
from sclatent.models.base import Batch, Generated, LatentModel, Latents, with_condition
from sclatent.models.vae import below_overflow, rise
from sclatent.nn.adam import Adam
from sclatent.nn.divergences import (
    collapsed_dirichlet,
    draw_normal,
    kl_categorical,
    kl_dirichlet,
    kl_normal,
    kl_standard_normal,
)
from sclatent.nn.layers import hidden_layers, mlp, soft_clip
from sclatent.nn.likelihoods import LIKELIHOODS

MEAN_BOUNDS, LOG_VAR_BOUNDS = (-5.0, 5.0), (-9.0, 1.0)


class Posterior(NamedTuple):
    """What the encoder makes of B cells: q(z|x), (B, L) each; q(w|x), (B, W) each; its last hidden layer, (B, H)."""

    z_mean: Tensor
    z_log_var: Tensor
    w_mean: Tensor
    w_log_var: Tensor
    hidden: Tensor


class Model(LatentModel):
    """w ~ N(0, I), d ~ Dir(alpha), y ~ Cat(d), z ~ N(mean_y(w), exp(log_var_y(w))), x ~ the likelihood's p(x|z).

    loss = E_q -ln p(x|z) + z_weight sum_k q_k KL(q(z|x) || p(z|w, y=k)) + w_weight KL(q(w|x) || p(w)) + y_weight kl_y, with
    q = q(y|z) or q(y|x), and one draw of z and w a cell. kl_y is, by `dirichlet`: collapsed, the bound at the best q(d), which
    is Dir(alpha + q); network, KL(q || d) + KL(q(d) || Dir(alpha)) for a draw d of the network's q(d); none, KL(q || 1/K);
    global, KL(q || pi) for learned shares pi.
    Encoder: F -> encoder_hidden -> L + W means and log-variances. Components: W -> component_hidden -> K means and
    log-variances of z. Classifier: L or encoder_hidden[-1] -> classifier_hidden -> K. Decoder: L -> decoder_hidden -> G.
    n_inner: conditions that the components, and a classifier of z, see; for families that see conditions.
    Source: Kolb 2022; Dilokthanakul et al. 2016.
    """

    def __init__(
        self,
        n_features: int,
        n_vars: int,
        n_conditions: int,
        hyperparameters: MixtureHyperparameters,
        n_inner: int = 0,
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        hp = hyperparameters
        self.n_inner = n_inner
        self.settled = hp.warmup
        n_seen, n_decoded = n_features + n_conditions, hp.latent_dim + n_conditions
        n_hidden = [n_seen, *hp.encoder_hidden][-1]
        self.encoder = hidden_layers(n_seen, hp.encoder_hidden, hp)
        self.posterior_head = mlp(n_hidden, [], 2 * (hp.latent_dim + hp.w_dim), hp)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Initializing zero-element tensors"
            )  # components that nothing moves
            widths = hp.component_hidden if hp.w_dim else []
            self.component_net = mlp(
                hp.w_dim + n_inner, widths, hp.n_components * 2 * hp.latent_dim, hp
            )
        if hp.w_dim + n_inner == 0:
            nn.init.normal_(
                self.last_component_layer.bias
            )  # where torch starts at 0, and all components would be one
        n_classified = hp.latent_dim + n_inner if hp.classifier == "z" else n_hidden
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
    def n_components(self) -> int:
        """The number K of components."""
        return self.hp.n_components

    @property
    def last_component_layer(self) -> nn.Linear:
        """The layer that gives the components' parameters, (K, 2, L) flattened: means, log-variances."""
        return [layer for layer in self.component_net if isinstance(layer, nn.Linear)][-1]

    def inner(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return x (B, D), with the condition beside it where components and classifier see conditions."""
        return with_condition(x, condition if self.n_inner else None)

    def bound(self, mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of a Gaussian, of any shape, softly bounded; hardly bounded where the model is not."""
        if self.hp.bounded:
            return soft_clip(mean, *MEAN_BOUNDS), soft_clip(log_var, *LOG_VAR_BOUNDS)
        return mean, -below_overflow(-below_overflow(log_var))

    def posterior(self, seen: Tensor, condition: Tensor | None) -> Posterior:
        """Return q(z|x) and q(w|x) of cells seen (B, F), and the last hidden layer, which they share."""
        hidden = self.encoder(with_condition(seen, condition))
        mean, log_var = self.bound(*self.posterior_head(hidden).chunk(2, dim=-1))
        widths = [self.latent_dim, self.hp.w_dim]
        (z_mean, w_mean), (z_log_var, w_log_var) = (
            mean.split(widths, dim=-1),
            log_var.split(widths, dim=-1),
        )
        return Posterior(z_mean, z_log_var, w_mean, w_log_var, hidden)

    def w_prior(self, w: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of p(w), N(0, I), in the shape of w (B, W)."""
        return torch.zeros_like(w), torch.zeros_like(w)

    def components(self, w: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of p(z|w, y) for every component y, (B, K, L) each, given w (B, W)."""
        parameters = self.component_net(self.inner(w, condition)).unflatten(
            -1, (self.n_components, 2, self.latent_dim)
        )
        return self.bound(parameters[:, :, 0], parameters[:, :, 1])

    def classified(self, z: Tensor, hidden: Tensor, condition: Tensor | None) -> Tensor:
        """Return what the classifier sees of cells with latents z (B, L) and last hidden layer (B, H) of the encoder."""
        return self.inner(z, condition) if self.hp.classifier == "z" else hidden

    def log_responsibilities(self, seen: Tensor, condition: Tensor | None) -> Tensor:
        """Return ln q(y) of cells seen (B, F) at the mean of q(z|x), (B, K)."""
        q = self.posterior(seen, condition)
        return log_softmax(self.classifier(self.classified(q.z_mean, q.hidden, condition)), dim=-1)

    def class_prior(self, classified: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return ln p(y), (B, K) or (K,), and where d is drawn the part kl_d, KL(q(d) || Dir(alpha)).

        Concentrations near 0 draw shares of exactly 0, whose logarithm and gradient are not finite: hence the two floors.
        """
        if self.hp.dirichlet != "network":
            return log_softmax(self.share_logits, dim=-1), {}
        concentration = softplus(self.concentration_net(classified)) + 1e-3
        shares = Dirichlet(concentration, validate_args=False).rsample().clamp(min=1e-6)
        kl_d = kl_dirichlet(concentration, torch.full_like(concentration, self.hp.alpha)).mean()
        return (shares / shares.sum(-1, keepdim=True)).log(), {"kl_d": kl_d}

    def z_weight(self, progress: float) -> float:
        """Return the weight of the divergence of z when a share `progress` of the training is over."""
        return self.hp.z_weight * rise(progress, 0, self.hp.warmup)

    def reconstruction(self, batch: Batch, z: Tensor) -> Tensor:
        """Return -ln p(x|z), averaged over the cells."""
        return self.likelihood.nll(self.decoder(with_condition(z, batch.condition)), batch.x).mean()

    def given_components(
        self, batch: Batch, q: Posterior, z: Tensor, y: Tensor, progress: float
    ) -> dict[str, Tensor]:
        """Return the loss without the terms of the component, and its parts, for shares y (B, K) of the components."""
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
        """The loss of cells without labels and its parts; also confidence, mean max q(y), and n_components_used, the number of
        components that are some cell's likeliest.
        """
        hp = self.hp
        q = self.posterior(batch.seen, batch.condition)
        z = draw_normal(q.z_mean, q.z_log_var)
        classified = self.classified(z, q.hidden, batch.condition)
        log_q = log_softmax(self.classifier(classified), dim=-1)
        parts = self.given_components(batch, q, z, log_q.exp(), progress)
        if hp.dirichlet == "collapsed":
            of_classes = {"kl_y": collapsed_dirichlet(log_q, hp.alpha).mean()}
        else:
            log_p, of_shares = self.class_prior(classified)
            of_classes = {"kl_y": kl_categorical(log_q, log_p).mean(), **of_shares}
        parts |= of_classes
        parts["loss"] = parts["loss"] + hp.y_weight * sum(of_classes.values()).clamp(
            min=hp.free_bits
        )
        if hp.entropy_weight:
            parts["entropy"] = -(log_q.exp() * log_q).sum(-1).mean()
            parts["loss"] = parts["loss"] + hp.entropy_weight * parts["entropy"]
        if hp.marginal_weight:
            log_mean = log_q.logsumexp(dim=0) - math.log(len(log_q))
            parts["marginal"] = math.log(self.n_components) + (log_mean.exp() * log_mean).sum()
            parts["loss"] = parts["loss"] + hp.marginal_weight * parts["marginal"]
        if hp.adversarial_weight:
            parts["adversarial"] = self.adversarial(batch)
            parts["loss"] = parts["loss"] + hp.adversarial_weight * parts["adversarial"]
        confidence, likeliest = log_q.detach().exp().max(dim=-1)
        used = (likeliest[:, None] == torch.arange(self.n_components, device=z.device)).any(dim=0)
        return {
            **parts,
            "confidence": confidence.mean(),
            "n_components_used": used.sum().to(z.dtype),
        }

    def supervised_loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """The loss of cells whose labels (B,) pick their components, and its parts.

        As `loss` with q one-hot at the label, and class_weight times the classifier's cross-entropy -ln q(label). The term of
        the class is -ln p(label) where the prior learns from it, as network (with kl_d) and global do, a constant otherwise.
        """
        q = self.posterior(batch.seen, batch.condition)
        z = draw_normal(q.z_mean, q.z_log_var)
        classified = self.classified(z, q.hidden, batch.condition)
        label = one_hot(batch.label, self.n_components).to(z.dtype)
        parts = self.given_components(batch, q, z, label, progress)
        parts["cross_entropy"] = self.cost_of_label(
            log_softmax(self.classifier(classified), dim=-1), label
        )
        parts["loss"] = parts["loss"] + self.hp.class_weight * parts["cross_entropy"]
        if self.hp.dirichlet in ("network", "global"):
            log_p, of_shares = self.class_prior(classified)
            of_classes = {"kl_y": self.cost_of_label(log_p, label), **of_shares}
            parts |= of_classes
            parts["loss"] = parts["loss"] + self.hp.y_weight * sum(of_classes.values())
        return parts

    def cost_of_label(self, log_p: Tensor, label: Tensor) -> Tensor:
        """Return -ln p(label), averaged over cells, for ln p (B, K) or (K,) and one-hot labels (B, K).

        With `relaxed`, minus the log-density of a relaxed one-hot variable at temperature 0.1, at the label smoothed by 1e-9,
        in its place: the thesis' loss, which smooths labels strongly, being least where p(label) is about 0.5.
        """
        if self.hp.relaxed:
            smoothed = 1e-9 / self.n_components + (1 - 1e-9) * label
            relaxed = RelaxedOneHotCategorical(
                label.new_tensor(0.1), logits=log_p, validate_args=False
            )
            return -relaxed.log_prob(smoothed).mean()
        return -(label * log_p).sum(-1).mean()

    def pretraining_loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """The loss of a VAE, which leaves out w and the components: KL(q(z|x) || N(0, I)) in the place of their terms."""
        q = self.posterior(batch.seen, batch.condition)
        reconstruction = self.reconstruction(batch, draw_normal(q.z_mean, q.z_log_var))
        kl_z = kl_standard_normal(q.z_mean, q.z_log_var).mean()
        return {
            "loss": reconstruction + self.z_weight(progress) * kl_z,
            "reconstruction": reconstruction,
            "kl_z": kl_z,
        }

    def adversarial(self, batch: Batch) -> Tensor:
        """Return KL(q(y|x) || q(y|x + r)), averaged over cells, for the change r of adversarial_radius that raises it most.

        r is found by one power iteration, which probes at a tenth of the radius. Source: Miyato et al. 2018.
        """
        radius, seen = self.hp.adversarial_radius, batch.seen
        with only_the_input_changes(self):
            log_q = self.log_responsibilities(seen, batch.condition).detach()
            with torch.enable_grad():  # also where the loss is only evaluated
                probe = (0.1 * radius * normalize(torch.randn_like(seen))).requires_grad_()
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
        """Set components and classifier to the K clusters that k-means finds in mean latents (N, L) of cells seen (N, F).

        For use after training by `pretraining_loss`. The last layer of the components gets, as its bias, the clusters' centres
        and variances, those of the means in a cluster plus those of q(z|x); its weights shrink to a tenth, so that components
        start there and yet move with w. The classifier learns the clusters by cross-entropy, from draws of z.
        Raises TrainingError where there are fewer cells than components.
        """
        if len(seen) < self.n_components:
            raise TrainingError(
                f"{self.n_components} components cannot be placed by {len(seen)} cells"
            )
        was_training = self.training
        self.eval()
        k_means = KMeans(
            self.n_components, n_init=10, random_state=int(torch.randint(2**31 - 1, ()))
        )
        cluster = torch.from_numpy(k_means.fit(means.cpu().numpy()).labels_).to(
            means.device, torch.int64
        )
        member = one_hot(cluster, self.n_components).to(means.dtype)
        member_share = member / member.sum(0).clamp(min=1)
        q = self.posterior(seen, condition)
        centre = member_share.T @ means
        variance = member_share.T @ ((means - centre[cluster]).square() + q.z_log_var.exp())
        self.set_components(centre, variance.clamp(min=1e-4).log())
        self.fit_classifier(q, condition, cluster)
        self.train(was_training)

    def set_components(self, mean: Tensor, log_var: Tensor) -> None:
        """Set the bias of the components' last layer to means and log-variances (K, L), and shrink its weights to a tenth."""
        if self.hp.bounded:
            mean, log_var = (
                inverse_soft_clip(mean, *MEAN_BOUNDS),
                inverse_soft_clip(log_var, *LOG_VAR_BOUNDS),
            )
        self.last_component_layer.bias.copy_(torch.stack([mean, log_var], dim=1).flatten())
        self.last_component_layer.weight.mul_(0.1)

    @torch.enable_grad()
    def fit_classifier(self, q: Posterior, condition: Tensor | None, label: Tensor) -> None:
        """Train the classifier alone by cross-entropy to labels (N,) of cells with posteriors q, on draws of z."""
        self.classifier.train()  # so that batch normalisation learns its moments too
        optimizer = Adam(self.classifier.parameters(), weight_decay=0.0, decoupled=False)
        for _ in range(500):
            i = torch.randint(len(label), (512,), device=label.device)
            z = draw_normal(q.z_mean[i], q.z_log_var[i])
            classified = self.classified(
                z, q.hidden[i], None if condition is None else condition[i]
            )
            cross_entropy(self.classifier(classified), label[i]).backward()
            optimizer.step(1e-2)

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return mean and one draw of q(z|x) and of q(w|x), and the responsibilities q(y) at the mean of z."""
        q = self.posterior(seen, condition)
        responsibilities = torch.softmax(
            self.classifier(self.classified(q.z_mean, q.hidden, condition)), dim=-1
        )
        z, w = draw_normal(q.z_mean, q.z_log_var), draw_normal(q.w_mean, q.w_log_var)
        return Latents(q.z_mean, z, responsibilities, q.w_mean, w)

    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return the expected expression (B, G) of latents z (B, L), or with `sample` a draw from p(x|z)."""
        hidden = self.decoder(with_condition(z, condition))
        return self.likelihood.sample(hidden) if sample else self.likelihood.mean(hidden)

    @torch.no_grad()
    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return the expected expression of each component's mean for n draws of w, or with `sample` draws of z and x.

        n * K * C cells, n * K without conditions: the draw of w changes slowest, then the component, then the condition.
        """
        n_conditions = max(self.n_conditions, 1)
        w = (
            torch.randn(n, self.hp.w_dim)
            .to(self.share_logits)
            .repeat_interleave(n_conditions, dim=0)
        )
        of_w = torch.eye(n_conditions).to(w).repeat(n, 1) if self.n_conditions else None
        mean, log_var = self.w_prior(w, of_w)
        mean, log_var = self.components(
            mean + (0.5 * log_var).exp() * w, of_w
        )  # (n * C, K, L) each
        z = draw_normal(mean, log_var) if sample else mean
        z = z.unflatten(0, (n, n_conditions)).transpose(1, 2).flatten(0, 2)
        component = (
            torch.arange(self.n_components, device=z.device)
            .repeat_interleave(n_conditions)
            .repeat(n)
        )
        condition = (
            torch.eye(n_conditions).to(z).repeat(n * self.n_components, 1)
            if self.n_conditions
            else None
        )
        return self.generated(z, sample, condition, component)


@contextmanager
def only_the_input_changes(model: nn.Module) -> Iterator[None]:
    """Let a model in training answer the same cells alike: dropout rests, and batch normalisation keeps its running moments.

    It goes on to normalise by the moments of the batch, as in the loss beside which the answers stand: with running moments,
    which are others, answers could be smooth there and rough in the loss.
    """
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]

    def let_rest(rests: bool) -> None:
        for dropout in dropouts:
            dropout.train(model.training and not rests)
        for norm in norms:
            norm.track_running_stats = not (model.training and rests)

    let_rest(True)
    try:
        yield
    finally:
        let_rest(False)


def inverse_soft_clip(out: Tensor, low: float, high: float) -> Tensor:
    """Return v with soft_clip(v, low, high) = out, of any shape; out is first moved 0.001 inside the range."""
    out = out.clamp(low + 1e-3, high - 1e-3)
    raised = high - inverse_softplus(high - out)
    return low + inverse_softplus(raised - low)


def inverse_softplus(y: Tensor) -> Tensor:
    """Return v with ln(1 + exp(v)) = y, for y above 0."""
    return y + (-torch.expm1(-y)).log()
