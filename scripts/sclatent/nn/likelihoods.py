"""Likelihood heads: the last layer of a decoder and what it makes of cells, by the names of the configuration."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, logsigmoid, softplus

from sclatent.families.base import VariationalHyperparameters
from sclatent.nn.layers import Float32, linear, soft_clip
from sclatent.nn.linear_error import linear_squared_error

OUTPUTS = {"linear": nn.Identity(), "relu": torch.relu, "softplus": softplus}
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
FLOOR = (
    -6.0
)  # of the log sigma that all genes share: as sigma goes to 0, the divergences count for nothing
# Beyond it the negative binomial is a Poisson, and float32 cannot tell lnGamma(x + theta) from lnGamma(theta).
MAX_LOG_THETA = math.log(1e4)


def squared_error(x: Tensor, mean: Tensor) -> Tensor:
    """Sum over features of (x - mean)^2. Input (B, G) each, output (B,)."""
    return (x - mean).square().sum(-1)


def gaussian_nll(squared: Tensor, log_sigma: Tensor, n_vars: int) -> Tensor:
    """-ln N(x; mean, sigma^2 I) from the squared error (B,) over n_vars features and a scalar log_sigma; output (B,)."""
    return 0.5 * squared * (-2 * log_sigma).exp() + n_vars * (log_sigma + HALF_LOG_TAU)


def floored(log_sigma: Tensor) -> Tensor:
    """Return log_sigma bent smoothly to stay above FLOOR, the identity far above it. Source: Rybkin et al. 2021."""
    return FLOOR + softplus(log_sigma - FLOOR)


def poisson_log_prob(x: Tensor, log_mean: Tensor) -> Tensor:
    """Elementwise ln Poisson(x; exp(log_mean)) of counts x."""
    return x * log_mean - log_mean.exp() - torch.lgamma(x + 1)


def nb_log_prob(x: Tensor, log_mean: Tensor, log_theta: Tensor) -> Tensor:
    """Elementwise ln NB(x; mean mu, inverse dispersion theta) of counts x, of variance mu + mu^2 / theta.

    lnGamma(x + theta) - lnGamma(theta) - lnGamma(x + 1) + theta ln(theta / (theta + mu)) + x ln(mu / (theta + mu)).
    Source: Lopez et al. 2018, scVI.
    """
    theta, logit = log_theta.exp(), log_mean - log_theta
    coefficient = torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
    return coefficient + theta * logsigmoid(-logit) + x * logsigmoid(logit)


def zinb_log_prob(x: Tensor, log_mean: Tensor, log_theta: Tensor, dropout_logit: Tensor) -> Tensor:
    """Elementwise ln ZINB(x) of counts x: 0 with probability sigmoid(dropout_logit), otherwise `nb_log_prob`'s distribution."""
    # ln sigmoid(-logit) + nb for x > 0; for 0 the other way to get there is added, ln(1 + exp(nb - logit)) + ln sigmoid(logit)
    nb = nb_log_prob(x, log_mean, log_theta) - dropout_logit
    return torch.where(x > 0, nb, softplus(nb)) + logsigmoid(dropout_logit)


class Head(nn.Module):
    """p(x|h) of cells x (B, G) given the last hidden layer h (B, H) of a decoder, through a linear layer H -> G.

    n_in: H. n_out: G. hp: hyper-parameters of the model's family. All results are float32 under autocast, float64 in float64.
    """

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__()
        self.linear = linear(n_in, n_out, hp)
        self.float32 = Float32()

    @property
    def takes_sparse(self) -> bool:
        """Whether x can be `SparseRows`."""
        return False

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the negative log-likelihood of each cell, summed over features, (B,)."""
        raise NotImplementedError

    def mean(self, h: Tensor) -> Tensor:
        """Return the expected expression, (B, G)."""
        raise NotImplementedError

    def sample(self, h: Tensor) -> Tensor:
        """Return one draw of the expression, (B, G)."""
        raise NotImplementedError


class Gaussian(Head):
    """N(mean(h), 1), the mean being hp.output of the linear layer."""

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.output = hp.output

    @property
    def takes_sparse(self) -> bool:
        """Where the error is that of a linear layer, and all genes share one sigma."""
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
        """1/2 sum (x - mean)^2 / sigma^2 + G (ln sigma + 1/2 ln 2 pi)."""
        return gaussian_nll(self.squared_error(h, x), self.log_sigma(), x.shape[-1])

    def mean(self, h: Tensor) -> Tensor:
        """Return the mean of the Gaussian."""
        return OUTPUTS[self.output](self.float32(self.linear(h)))

    def sample(self, h: Tensor) -> Tensor:
        """Return mean + sigma eps with eps ~ N(0, 1)."""
        mean = self.mean(h)
        return mean + self.log_sigma().exp() * torch.randn_like(mean)


class SquaredError(Gaussian):
    """N(mean(h), 1/2) up to a constant: the squared error of the reference works."""

    def log_sigma(self) -> Tensor:
        """Return ln sqrt(1/2)."""
        return self.linear.weight.new_full((), -0.5 * math.log(2))

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Sum (x - mean)^2."""
        return self.squared_error(h, x)


class GeneGaussian(Gaussian):
    """N(mean(h), diag(sigma^2)) with a free ln sigma for each gene, from 0, kept within -8 and 8. Source: the GMVAE thesis."""

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.free_log_sigma = nn.Parameter(torch.zeros(n_out))

    def log_sigma(self) -> Tensor:
        """Return ln sigma of each gene, (G,)."""
        return soft_clip(self.free_log_sigma, -8, 8)

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Sum of 1/2 (x - mean)^2 / sigma^2 + ln sigma + 1/2 ln 2 pi."""
        log_sigma = self.log_sigma()
        standardised = (x - self.mean(h)) * (-log_sigma).exp()
        return (0.5 * standardised.square() + log_sigma + HALF_LOG_TAU).sum(-1)


class SharedSigma(Gaussian):
    """N(mean(h), sigma^2 I) with one learned sigma. Source: Rybkin et al. 2021, sigma-VAE."""

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.free_log_sigma = nn.Parameter(torch.zeros(()))

    def log_sigma(self) -> Tensor:
        """Return ln sigma, a scalar."""
        return floored(self.free_log_sigma)


class OptimalSigma(Gaussian):
    """N(mean(h), sigma^2 I) with the sigma at which a training batch is likeliest. Source: Rybkin et al. 2021, optimal sigma-VAE.

    sigma^2 is the mean of (x - mean)^2 over batch and genes; gradients flow through it, so that the batch's average,
    G/2 (ln(2 pi sigma^2) + 1), has those of G/2 ln sigma^2. Outside of training sigma is that of the last training batch.
    """

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.register_buffer("last_log_sigma", torch.zeros(()))

    def log_sigma(self) -> Tensor:
        """Return ln sigma of the last training batch, a scalar."""
        return self.last_log_sigma

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """1/2 sum (x - mean)^2 / sigma^2 + G (ln sigma + 1/2 ln 2 pi)."""
        if not self.training:
            return super().nll(h, x)
        squared = self.squared_error(h, x)
        # a perfect reconstruction, which ReLU outputs of an empty cell can be, must not give the logarithm of 0
        log_sigma = floored(0.5 * (squared.mean() / x.shape[-1]).clamp_min(1e-30).log())
        self.last_log_sigma.copy_(log_sigma.detach())
        return gaussian_nll(squared, log_sigma, x.shape[-1])


class Bernoulli(Head):
    """Bernoulli(sigmoid(linear layer)), for x within 0 and 1; between them its cross-entropy, as for grey pixels."""

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """- Sum of x ln p + (1 - x) ln(1 - p)."""
        return binary_cross_entropy_with_logits(
            self.float32(self.linear(h)), x, reduction="none"
        ).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the probabilities."""
        return self.float32(self.linear(h)).sigmoid()

    def sample(self, h: Tensor) -> Tensor:
        """Return zeros and ones."""
        return torch.bernoulli(self.mean(h))


class Poisson(Head):
    """Poisson(library rho) of counts, rho being the softmax over genes of the linear layer.

    Counts are explained with the total that their cell has; what is expected or drawn has the total `library`, which the trainer
    sets to the median over training cells.
    """

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.register_buffer("library", torch.tensor(1e4))

    def log_rates(self, h: Tensor, library: Tensor) -> Tensor:
        """Return ln(library rho), (B, G), for a library () or (B, 1); an empty cell counts as one of total 1e-8."""
        return log_softmax(self.float32(self.linear(h)), dim=-1) + library.clamp_min(1e-8).log()

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of every count, (B, G)."""
        return poisson_log_prob(x, self.log_rates(h, x.sum(-1, keepdim=True)))

    def nll(self, h: Tensor, x: Tensor) -> Tensor:
        """Return minus the log-probability of the counts x (B, G)."""
        return -self.log_prob(h, x).sum(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the expected counts in a cell of total `library`."""
        return self.log_rates(h, self.library).exp()

    def sample(self, h: Tensor) -> Tensor:
        """Return counts of a cell of expected total `library`."""
        return torch.poisson(self.mean(h))


class NegativeBinomial(Poisson):
    """NB(library rho, theta) of counts with a free theta for each gene, from 1, kept within 1e-4 and 1e4. See `nb_log_prob`."""

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.free_log_theta = nn.Parameter(torch.zeros(n_out))

    def log_theta(self) -> Tensor:
        """Return ln theta of each gene, (G,)."""
        return soft_clip(self.free_log_theta, -MAX_LOG_THETA, MAX_LOG_THETA)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of every count, (B, G)."""
        return nb_log_prob(x, self.log_rates(h, x.sum(-1, keepdim=True)), self.log_theta())

    def sample(self, h: Tensor) -> Tensor:
        """Return counts of a cell of expected total `library`: Poisson with rates that a Gamma of mean 1 multiplies."""
        rates, theta = self.log_rates(h, self.library).exp(), self.log_theta().exp()
        return torch.poisson(
            rates * torch.distributions.Gamma(theta, theta).sample(rates.shape[:1])
        )


class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """NB(library rho, theta) of counts, turned to 0 with a probability that a second linear layer gives. See `zinb_log_prob`."""

    def __init__(self, n_in: int, n_out: int, hp: VariationalHyperparameters):
        super().__init__(n_in, n_out, hp)
        self.dropout = linear(n_in, n_out, hp)

    def dropout_logit(self, h: Tensor) -> Tensor:
        """Return the log-odds of a count's being turned to 0, (B, G)."""
        return self.float32(self.dropout(h))

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log-probability of every count, (B, G)."""
        log_mean = self.log_rates(h, x.sum(-1, keepdim=True))
        return zinb_log_prob(x, log_mean, self.log_theta(), self.dropout_logit(h))

    def mean(self, h: Tensor) -> Tensor:
        """Return the expected counts, those turned to 0 included, of a cell whose total would be `library`."""
        return super().mean(h) * (-self.dropout_logit(h)).sigmoid()

    def sample(self, h: Tensor) -> Tensor:
        """Return counts of the negative binomial, some turned to 0."""
        return super().sample(h) * torch.bernoulli((-self.dropout_logit(h)).sigmoid())


LIKELIHOODS: dict[str, type[Head]] = {
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
