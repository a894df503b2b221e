"""Likelihoods of cells given the last hidden layer of a decoder, by their names in configurations.

Symbols: B cells, G features, H width of the last hidden layer.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, logsigmoid, softplus

from sclatent.families.base import AutoencoderHyperparameters, Likelihood, MixtureHyperparameters
from sclatent.nn.layers import Float32, linear, soft_clip
from sclatent.nn.linear_error import linear_squared_error

OUTPUTS = {"linear": nn.Identity(), "relu": torch.relu, "softplus": softplus}
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
# Lower bound of the log-sigma that all genes share: as sigma approaches 0, the reconstruction
# outweighs the divergences entirely.
MIN_LOG_SIGMA = -6.0
GENE_LOG_SIGMA_BOUNDS = (-8.0, 8.0)  # of the log-sigma of a single gene
# Beyond it the negative binomial is a Poisson, and float32 cannot tell lnGamma(x + theta) from
# lnGamma(theta).
MAX_LOG_THETA = math.log(1e4)
MIN_TOTAL = 1e-8  # replaces the total count of an empty cell, so that its logarithm is finite

DecoderHyperparameters = AutoencoderHyperparameters | MixtureHyperparameters


def squared_error(x: Tensor, mean: Tensor) -> Tensor:
    """Return the sum over features of (x - mean)^2, (B,), for (B, G) each."""
    return (x - mean).square().sum(-1)


def gaussian_nll(squared: Tensor, log_sigma: Tensor, n_vars: int) -> Tensor:
    """Return -ln N(x; mean, sigma^2 I), (B,).

    Parameters
    ----------
    squared
        (B,), the squared error, summed over the features.
    log_sigma
        A scalar.
    n_vars
        Number of features.
    """
    return 0.5 * squared * (-2 * log_sigma).exp() + n_vars * (log_sigma + HALF_LOG_TAU)


def floored(log_sigma: Tensor) -> Tensor:
    """Return log_sigma, bent smoothly to stay above `MIN_LOG_SIGMA`; the identity far above it.

    Source
    ------
    Rybkin et al. 2021.
    """
    return MIN_LOG_SIGMA + softplus(log_sigma - MIN_LOG_SIGMA)


def poisson_log_prob(x: Tensor, log_mean: Tensor) -> Tensor:
    """Return ln Poisson(x; exp(log_mean)) of each count x."""
    return x * log_mean - log_mean.exp() - torch.lgamma(x + 1)


def nb_log_prob(x: Tensor, log_mean: Tensor, log_theta: Tensor) -> Tensor:
    """Return ln NB(x; mean mu, inverse dispersion theta) of each count x.

    The variance is mu + mu^2 / theta. The logarithm is lnGamma(x + theta) - lnGamma(theta)
    - lnGamma(x + 1) + theta ln(theta / (theta + mu)) + x ln(mu / (theta + mu)).

    Source
    ------
    Lopez et al. 2018, scVI.
    """
    theta, logit = log_theta.exp(), log_mean - log_theta
    coefficient = torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
    return coefficient + theta * logsigmoid(-logit) + x * logsigmoid(logit)


def zinb_log_prob(x: Tensor, log_mean: Tensor, log_theta: Tensor, dropout_logit: Tensor) -> Tensor:
    """Return ln ZINB(x) of each count x.

    A count is 0 with probability sigmoid(dropout_logit). Otherwise it is from the distribution of
    `nb_log_prob`.
    """
    # For x > 0 it is ln sigmoid(-logit) + nb. A 0 has two causes, so that
    # ln(1 + exp(nb - logit)) + ln sigmoid(logit).
    nb = nb_log_prob(x, log_mean, log_theta) - dropout_logit
    return torch.where(x > 0, nb, softplus(nb)) + logsigmoid(dropout_logit)


class Head(nn.Module, ABC):
    """p(x|h) of cells x (B, G) given the last hidden layer h (B, H) of a decoder.

    A linear layer H -> G gives the parameters. All results are float32 under autocast, and float64
    for input of float64.

    Parameters
    ----------
    n_in
        H.
    n_out
        G.
    hp
        Hyper-parameters of the model's family.
    """

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__()
        self.linear = linear(n_in, n_out, hp)
        self.float32 = Float32()

    @property
    def takes_sparse(self) -> bool:
        """Whether x can be `SparseRows`."""
        return False

    @abstractmethod
    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the negative log-likelihood of each cell, summed over features, (B,)."""

    @abstractmethod
    def mean(self, h: Tensor) -> Tensor:
        """Return the expected expression, (B, G)."""

    @abstractmethod
    def sample(self, h: Tensor) -> Tensor:
        """Return one draw of the expression, (B, G)."""


class Gaussian(Head):
    """N(mean(h), 1). The mean is the linear layer followed by the activation hp.output."""

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.output = hp.output

    @property
    def takes_sparse(self) -> bool:
        """Whether the output is linear and all genes share one sigma, so that x can be sparse."""
        return self.output == "linear" and self.log_sigma().ndim == 0

    def log_sigma(self) -> Tensor:
        """Return the logarithm of the standard deviation, a scalar or (G,)."""
        return self.linear.weight.new_zeros(())

    def squared_error(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the sum over features of (x - mean(h))^2, (B,)."""
        if self.output == "linear":
            return linear_squared_error(h, self.linear.weight, self.linear.bias, x)
        return squared_error(x, self.mean(h))

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return 1/2 sum (x - mean)^2 / sigma^2 + G (ln sigma + 1/2 ln 2 pi), (B,)."""
        return gaussian_nll(self.squared_error(h, x), self.log_sigma(), x.shape[-1])

    def mean(self, h: Tensor) -> Tensor:
        """Return the mean of the Gaussian, (B, G)."""
        return OUTPUTS[self.output](self.float32(self.linear(h)))

    def sample(self, h: Tensor) -> Tensor:
        """Return mean + sigma eps with eps ~ N(0, 1), (B, G)."""
        mean = self.mean(h)
        return mean + self.log_sigma().exp() * torch.randn_like(mean)


class SquaredError(Gaussian):
    """N(mean(h), 1/2) up to a constant: the squared error of the reference works."""

    def log_sigma(self) -> Tensor:
        """Return ln sqrt(1/2)."""
        return self.linear.weight.new_full((), -0.5 * math.log(2))

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the sum of (x - mean)^2, (B,)."""
        return self.squared_error(h, x)


class GeneGaussian(Gaussian):
    """N(mean(h), diag(sigma^2)) with a learned ln sigma per gene.

    It starts at 0 and stays within `GENE_LOG_SIGMA_BOUNDS`.

    Source
    ------
    The GMVAE thesis.
    """

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.free_log_sigma = nn.Parameter(torch.zeros(n_out))

    def log_sigma(self) -> Tensor:
        """Return ln sigma of each gene, (G,)."""
        return soft_clip(self.free_log_sigma, *GENE_LOG_SIGMA_BOUNDS)

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the sum of 1/2 (x - mean)^2 / sigma^2 + ln sigma + 1/2 ln 2 pi, (B,)."""
        log_sigma = self.log_sigma()
        standardised = (x - self.mean(h)) * (-log_sigma).exp()
        return (0.5 * standardised.square() + log_sigma + HALF_LOG_TAU).sum(-1)


class SharedSigma(Gaussian):
    """N(mean(h), sigma^2 I) with one learned sigma.

    Source
    ------
    Rybkin et al. 2021, sigma-VAE.
    """

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.free_log_sigma = nn.Parameter(torch.zeros(()))

    def log_sigma(self) -> Tensor:
        """Return ln sigma, a scalar."""
        return floored(self.free_log_sigma)


class OptimalSigma(Gaussian):
    """N(mean(h), sigma^2 I) with the sigma that makes the training batch most likely.

    sigma^2 is the mean of (x - mean)^2 over the batch and the genes. Gradients flow through it.
    So the batch's average, G/2 (ln(2 pi sigma^2) + 1), has the gradients of G/2 ln sigma^2.
    Outside of training, sigma is that of the last training batch.

    Source
    ------
    Rybkin et al. 2021, optimal sigma-VAE.
    """

    last_log_sigma: Tensor

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.register_buffer("last_log_sigma", torch.zeros(()))

    def log_sigma(self) -> Tensor:
        """Return ln sigma of the last training batch, a scalar."""
        return self.last_log_sigma

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return 1/2 sum (x - mean)^2 / sigma^2 + G (ln sigma + 1/2 ln 2 pi), (B,)."""
        if not self.training:
            return super().nll(h, x)
        squared = self.squared_error(h, x)
        # ReLU outputs can reconstruct an empty cell perfectly. The logarithm must stay finite.
        log_sigma = floored(0.5 * (squared.mean() / x.shape[-1]).clamp_min(1e-30).log())
        self.last_log_sigma.copy_(log_sigma.detach())
        return gaussian_nll(squared, log_sigma, x.shape[-1])


class Bernoulli(Head):
    """Bernoulli(sigmoid(linear layer)), for x from 0 to 1.

    For x between 0 and 1, such as grey pixels, it is the cross-entropy.
    """

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return minus the sum of x ln p + (1 - x) ln(1 - p), (B,)."""
        return binary_cross_entropy_with_logits(
            self.float32(self.linear(h)), x, reduction="none"
        ).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the probabilities, (B, G)."""
        return self.float32(self.linear(h)).sigmoid()

    def sample(self, h: Tensor) -> Tensor:
        """Return zeros and ones, (B, G)."""
        return torch.bernoulli(self.mean(h))


class Poisson(Head):
    """Poisson(library rho) of counts. rho is the softmax over genes of the linear layer.

    In the likelihood, `library` is the total count of the cell itself. For expected and drawn
    cells it is the buffer `library`, which `train_run` sets to the median total of the training
    cells.
    """

    library: Tensor

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.register_buffer("library", torch.tensor(1e4))

    def log_rates(self, h: Tensor, library: Tensor) -> Tensor:
        """Return ln(library rho), (B, G), for a library () or (B, 1), at least `MIN_TOTAL`."""
        log_rho = log_softmax(self.float32(self.linear(h)), dim=-1)
        return log_rho + library.clamp_min(MIN_TOTAL).log()

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of every count, (B, G)."""
        return poisson_log_prob(x, self.log_rates(h, x.sum(-1, keepdim=True)))

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-probability of the counts x (B, G), summed over genes, (B,)."""
        return -self.log_prob(h, x).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the expected counts of a cell with the total `library`, (B, G)."""
        return self.log_rates(h, self.library).exp()

    def sample(self, h: Tensor) -> Tensor:
        """Return drawn counts of a cell with the expected total `library`, (B, G)."""
        return torch.poisson(self.mean(h))


class NegativeBinomial(Poisson):
    """NB(library rho, theta) of counts with a learned theta per gene; see `nb_log_prob`.

    theta starts at 1 and stays within 1e-4 and 1e4.
    """

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.free_log_theta = nn.Parameter(torch.zeros(n_out))

    def log_theta(self) -> Tensor:
        """Return ln theta of each gene, (G,)."""
        return soft_clip(self.free_log_theta, -MAX_LOG_THETA, MAX_LOG_THETA)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of every count, (B, G)."""
        return nb_log_prob(x, self.log_rates(h, x.sum(-1, keepdim=True)), self.log_theta())

    def sample(self, h: Tensor) -> Tensor:
        """Return drawn counts of a cell with the expected total `library`, (B, G).

        They are Poisson, with rates that are multiplied by a Gamma of mean 1.
        """
        rates, theta = self.log_rates(h, self.library).exp(), self.log_theta().exp()
        factors = torch.distributions.Gamma(theta, theta).sample(rates.shape[:1])
        return torch.poisson(rates * factors)


class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """NB(library rho, theta) of counts, with some counts set to 0; see `zinb_log_prob`.

    A second linear layer gives the log-odds of being set to 0.
    """

    def __init__(self, n_in: int, n_out: int, hp: DecoderHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.dropout = linear(n_in, n_out, hp)

    def dropout_logit(self, h: Tensor) -> Tensor:
        """Return the log-odds of setting a count to 0, (B, G)."""
        return self.float32(self.dropout(h))

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of every count, (B, G)."""
        log_mean = self.log_rates(h, x.sum(-1, keepdim=True))
        return zinb_log_prob(x, log_mean, self.log_theta(), self.dropout_logit(h))

    def mean(self, h: Tensor) -> Tensor:
        """Return the expected counts, with the zeros, of a cell that has `library` without them."""
        return super().mean(h) * (-self.dropout_logit(h)).sigmoid()

    def sample(self, h: Tensor) -> Tensor:
        """Return drawn counts of the negative binomial, some set to 0, (B, G)."""
        return super().sample(h) * torch.bernoulli((-self.dropout_logit(h)).sigmoid())


LIKELIHOODS: dict[Likelihood, type[Head]] = {
    "mse": SquaredError,
    "gauss1": Gaussian,
    "gauss_gene": GeneGaussian,
    "sigma_shared": SharedSigma,
    "sigma_opt": OptimalSigma,
    "bernoulli": Bernoulli,
    "nb": NegativeBinomial,
    "zinb": ZeroInflatedNegativeBinomial,
    "poisson": Poisson,
}
