"""The ELBO's terms against closed forms, Monte Carlo and PyTorch; the network's shapes."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mlmusic import fit, seed_everything
from mlmusic.models.vae import (
    MelodyVAE,
    Shifted,
    elbo_loss,
    free_bits,
    kl_normal,
    reconstruction,
    reparameterise,
)
from mlmusic.windows import FIRST, HOLD, REST, SYMBOLS


def draws(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def windows(n, steps=32, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.integers(FIRST + 8, FIRST + 20, (n, steps))
    rows[rng.random((n, steps)) < 0.5] = HOLD
    rows[:, 0] = FIRST + 12
    return torch.from_numpy(rows)


def small(**options):
    seed_everything(0)
    return MelodyVAE(latent=6, embedding=8, channels=16, layers=1, **options)


# The terms --------------------------------------------------------------------------------------


def test_kl_is_zero_for_the_prior_and_known_by_hand():
    zeros = torch.zeros(2, 3)
    assert torch.equal(kl_normal(zeros, zeros), zeros)
    # mean 1, variance 4: ½ (1 + 4 - 1 - ln 4)
    found = kl_normal(torch.tensor([[1.0]]), torch.tensor([[math.log(4)]]))
    assert found.item() == pytest.approx(0.5 * (4 - math.log(4)), abs=1e-6)


def test_kl_equals_pytorchs_and_is_never_negative():
    mean, log_variance = 2 * draws(50, 4), 3 * draws(50, 4, seed=1)
    theirs = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert torch.allclose(kl_normal(mean, log_variance), theirs, atol=1e-5)
    assert (kl_normal(mean, log_variance) >= 0).all()


def test_kl_agrees_with_monte_carlo():
    mean, log_variance = torch.tensor([[0.7, -1.2]]), torch.tensor([[0.4, -0.9]])
    z = reparameterise(mean, log_variance, draws(200_000, 2))
    cloud, prior = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    ratio = (cloud.log_prob(z) - prior.log_prob(z)).sum(dim=1)
    error = 4 * ratio.std() / math.sqrt(len(z))
    assert abs(ratio.mean() - kl_normal(mean, log_variance).sum()) < error


def test_kl_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match=r"mean \(2, 3\) and log_variance \(2, 4\) differ"):
        kl_normal(torch.zeros(2, 3), torch.zeros(2, 4))


def test_reparameterised_draws_have_the_mean_and_the_variance():
    mean, log_variance = torch.tensor([[3.0]]), torch.tensor([[math.log(0.25)]])
    z = reparameterise(mean, log_variance, draws(100_000, 1))
    assert z.mean().item() == pytest.approx(3, abs=0.01)
    assert z.std().item() == pytest.approx(0.5, abs=0.01)


def test_gradients_pass_through_the_draw():
    # E[z²] = μ² + σ², so its gradients are 2 μ and, by ln σ², σ².
    mean = torch.tensor([1.5], requires_grad=True)
    log_variance = torch.tensor([0.3], requires_grad=True)
    z = reparameterise(mean, log_variance, draws(400_000, 1))
    (z**2).mean().backward()
    assert mean.grad.item() == pytest.approx(3.0, abs=0.02)
    assert log_variance.grad.item() == pytest.approx(math.exp(0.3), abs=0.02)


def test_gradient_of_the_draw_equals_finite_differences():
    noise = draws(4, 3, seed=5).double()
    inputs = draws(4, 3).double().requires_grad_(), draws(4, 3, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda m, v: reparameterise(m, v, noise), inputs)
    assert torch.autograd.gradcheck(kl_normal, inputs)


def test_the_draw_follows_the_global_seed():
    zeros = torch.zeros(2, 2)
    seed_everything(3)
    first = reparameterise(zeros, zeros)
    seed_everything(3)
    assert torch.equal(first, reparameterise(zeros, zeros))


def test_reconstruction_is_the_sum_of_surprises():
    symbols = torch.tensor([[0, 2], [1, 1]])
    probabilities = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]] * 2)
    found = reconstruction(probabilities.log(), symbols)
    by_hand = [-math.log(0.5) - math.log(0.8), -math.log(0.25) - math.log(0.1)]
    assert found.tolist() == pytest.approx(by_hand, abs=1e-6)
    with pytest.raises(ValueError, match="don't fit"):
        reconstruction(torch.zeros(2, 5, 3), symbols)


def test_free_bits_count_a_number_at_least_as_its_floor():
    kl = torch.tensor([[0.1, 3.0], [0.3, 5.0]])  # means 0.2 and 4
    assert free_bits(kl, 0.0).item() == pytest.approx(4.2)
    assert free_bits(kl, 0.5).item() == pytest.approx(4.5)
    with pytest.raises(ValueError, match="floor must be 0 or more"):
        free_bits(kl, -1)


def test_below_the_floor_no_gradient_flows():
    mean = torch.tensor([[0.1, 3.0]], requires_grad=True)
    free_bits(kl_normal(mean, torch.zeros(1, 2)), 0.5).backward()
    assert mean.grad.tolist() == [[0.0, 3.0]]


# The loss ---------------------------------------------------------------------------------------


def test_the_loss_is_reconstruction_plus_weighted_kl():
    model, batch = small().eval(), (windows(4),)
    mean, log_variance = model.encode(batch[0])
    kl = kl_normal(mean, log_variance).sum(dim=1).mean()
    values = {}
    for beta in (0.5, 1.0):
        seed_everything(1)
        values[beta] = elbo_loss(beta=beta)(model, batch)
    seed_everything(1)
    missed = reconstruction(model.decode(reparameterise(mean, log_variance)), batch[0]).mean()
    assert values[1.0].item() == pytest.approx((missed + kl).item(), rel=1e-5)
    assert values[0.5].item() == pytest.approx((missed + 0.5 * kl).item(), rel=1e-5)


def test_an_autoencoders_loss_has_no_noise():
    model, batch = small(), (windows(4),)
    loss = elbo_loss(beta=0)
    assert loss(model, batch).item() == loss(model, batch).item()


def test_beta_rises_in_training_only():
    model, batch = small(), (windows(4),)
    loss = elbo_loss(beta=1.0, warmup=2)

    def at(mode):
        model.train(mode)
        seed_everything(2)
        return loss(model, batch).item()

    first, second, third, fourth = (at(True) for _ in range(4))
    assert first < second < third == fourth == at(False)


def test_the_loss_refuses_negative_numbers():
    with pytest.raises(ValueError, match="must be 0 or more"):
        elbo_loss(beta=-1)


# The network ------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", ["conv", "gru"])
def test_shapes(decoder):
    model, x = small(decoder=decoder), windows(3)
    logits, mean, log_variance = model(x)
    assert logits.shape == (3, 32, SYMBOLS)
    assert mean.shape == log_variance.shape == (3, 6)
    written = model.write(mean)
    assert written.shape == (3, 32)
    assert written.dtype == torch.int64
    assert 0 <= written.min() <= written.max() < SYMBOLS


def test_config_builds_the_same_architecture():
    model = small(kinds=3, decoder="gru")
    again = MelodyVAE(**model.config)
    again.load_state_dict(model.state_dict())
    x, kind = windows(2), torch.tensor([0, 2])
    assert torch.equal(model.eval()(x, kind)[0], again.eval()(x, kind)[0])


def test_a_gru_sees_only_what_came_before():
    model, x = small(decoder="gru").eval(), windows(1)
    other = x.clone()
    other[0, 10] = REST
    z = torch.zeros(1, 6)
    moved = (model.decode(z, None, x) - model.decode(z, None, other)).abs().sum(dim=2)[0]
    assert moved[:11].max() == 0
    assert moved[11] > 0


def test_a_gru_writing_freely_reads_its_own_choices():
    model = small(decoder="gru").eval()
    z = draws(4, 6)
    written = model.write(z)
    with torch.no_grad():
        assert torch.equal(model.decode(z, None, written).argmax(dim=2), written)


def test_a_kind_switches_the_decoder_but_not_the_encoder():
    model, x = small(kinds=2).eval(), windows(3)
    ones = torch.ones(3, dtype=torch.int64)
    assert torch.equal(model(x, ones)[1], model(x, 0 * ones)[1])
    assert not torch.equal(model(x, ones)[0], model(x, 0 * ones)[0])


def test_samples_follow_the_seed():
    model = small().eval()
    assert torch.equal(model.sample(5, seed=1), model.sample(5, seed=1))
    assert model.sample(0, seed=1).shape == (0, 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "lstm"}, "decoder is 'lstm'"),
        ({"steps": 30}, "multiple of 4"),
        ({"kinds": -1}, "kinds 0 or more"),
        ({"latent": 0}, "latent must be a positive whole number"),
    ],
)
def test_impossible_configs_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MelodyVAE(**options)


def test_bad_input_is_refused():
    model = small()
    with pytest.raises(ValueError, match=r"int64 of shape \(batch, 32\)"):
        model.encode(windows(2, steps=24))
    with pytest.raises(ValueError, match="int64"):
        model.encode(windows(2).float())
    with pytest.raises(ValueError, match=r"z must be \(batch, 6\)"):
        model.decode(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="has no kinds"):
        model.decode(torch.zeros(2, 6), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="has 2 kinds"):
        small(kinds=2).decode(torch.zeros(2, 6))
    with pytest.raises(ValueError, match="needs the symbols"):
        small(decoder="gru").decode(torch.zeros(2, 6))


# Batches and training ---------------------------------------------------------------------------


def test_shifted_batches_transpose_notes_and_nothing_else():
    x = windows(10).numpy()
    kinds = np.arange(10)
    for symbols, kind in Shifted(x, kinds, size=5, most=3, seed=1):
        for row, which in zip(symbols.numpy(), kind.numpy(), strict=True):
            notes = x[which] >= FIRST
            assert (row[~notes] == x[which][~notes]).all()
            assert len(set(row[notes] - x[which][notes])) == 1
            assert abs(row[notes][0] - x[which][notes][0]) <= 3


def test_shifted_batches_stay_in_range_and_differ_between_epochs():
    edge = np.full((8, 32), HOLD)
    edge[:, 0] = SYMBOLS - 1
    edge[:, 1] = FIRST + 2
    batches = Shifted(edge, size=4, most=12, seed=0)
    seen = [x[:, 0] for _ in range(20) for (x,) in batches]
    assert torch.cat(seen).max() == SYMBOLS - 1
    assert torch.cat(seen).min() == SYMBOLS - 3
    assert len(batches) == 2
    again = Shifted(edge, size=4, most=12, seed=0)
    assert torch.equal(torch.cat(seen), torch.cat([x[:, 0] for _ in range(20) for (x,) in again]))


def test_shifted_refuses_what_fills_no_batch():
    with pytest.raises(ValueError, match="don't fill a batch of 64"):
        Shifted(windows(3).numpy())
    with pytest.raises(ValueError, match="kinds for 70 windows"):
        Shifted(windows(70).numpy(), [1, 2])


def test_training_learns_to_copy_a_few_windows():
    model, x = small(), windows(64)
    fit(
        model,
        Shifted(x.numpy(), size=32, most=0),
        loss=elbo_loss(beta=0.01),
        epochs=120,
        lr=0.005,
        progress=False,
    )
    same = model.eval().write(model.encode(x)[0]) == x
    assert same.float().mean() > 0.9
