"""GANs: the game's optimum, losses by hand, the gradient penalty, and two networks that play."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mlmusic import seed_everything
from mlmusic.models.gan import (
    GanHistory,
    MelodyCritic,
    MelodyGenerator,
    best_critic,
    between,
    critic_loss,
    game_value,
    generator_loss,
    gradient_penalty,
    jensen_shannon,
    noise,
    straight_through,
    train_gan,
)
from mlmusic.windows import SYMBOLS, faults, to_roll


def test_the_games_optimum_is_minus_log_4():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p, q = rng.dirichlet(np.ones(7), 2)
        assert game_value(p, p, best_critic(p, p)) == pytest.approx(-math.log(4))
        best = game_value(p, q, best_critic(p, q))
        assert best == pytest.approx(-math.log(4) + 2 * jensen_shannon(p, q))
        assert best > -math.log(4)
        for _ in range(20):
            assert game_value(p, q, rng.random(7)) <= best


def test_the_game_by_hand():
    assert best_critic([0.5, 0.5, 0, 0], [0.25, 0, 0.75, 0]).tolist() == [2 / 3, 1, 0, 0.5]
    half = game_value([1, 0], [0, 1], [0.5, 0.5])
    assert half == pytest.approx(2 * math.log(0.5))
    assert game_value([1, 0], [0, 1], [1, 0]) == 0
    assert game_value([1, 0], [0, 1], [0, 1]) == -math.inf
    assert jensen_shannon([1, 0], [0, 1]) == pytest.approx(math.log(2))
    assert jensen_shannon([0.3, 0.7], [0.3, 0.7]) == 0


def test_the_games_bad_input():
    for p, q in (([0.5, 0.4], [0.5, 0.5]), ([1.5, -0.5], [0.5, 0.5]), ([1], [0.5, 0.5])):
        with pytest.raises(ValueError, match=r"add up to 1|row of probabilities"):
            best_critic(p, q)
    with pytest.raises(ValueError, match="from 0 to 1 for each of 2 outcomes"):
        game_value([0.5, 0.5], [0.5, 0.5], [0.5, 1.5])


def test_losses_by_hand():
    real, fake = torch.tensor([0.3, 2.0]), torch.tensor([-1.0, 0.5])
    d = torch.sigmoid
    expected = -(d(real).log().mean() + (1 - d(fake)).log().mean())
    for kind in ("minimax", "non-saturating"):
        torch.testing.assert_close(critic_loss(real, fake, kind), expected)
    # PyTorch's own cross-entropy of labels 1 and 0 says the same.
    bce = nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(
        bce(real, torch.ones(2)) + bce(fake, torch.zeros(2)), critic_loss(real, fake)
    )
    torch.testing.assert_close(generator_loss(fake), -d(fake).log().mean())
    torch.testing.assert_close(generator_loss(fake, "minimax"), (1 - d(fake)).log().mean())
    torch.testing.assert_close(generator_loss(fake, "wasserstein"), torch.tensor(0.25))
    torch.testing.assert_close(critic_loss(real, fake, "wasserstein"), torch.tensor(-0.25 - 1.15))
    assert critic_loss(torch.tensor([-500.0]), torch.tensor([500.0])) == 1000  # no overflow
    for wrong in (lambda: critic_loss(real, fake, "x"), lambda: generator_loss(fake, "x")):
        with pytest.raises(ValueError, match="must be one of minimax, non-saturating, wasserstein"):
            wrong()


def test_the_minimax_gradient_fades_where_every_forgery_is_found_out():
    slopes = {}
    for kind in ("minimax", "non-saturating"):
        fake = torch.tensor([-10.0], requires_grad=True)
        generator_loss(fake, kind).backward()
        slopes[kind] = abs(fake.grad.item())
    assert slopes["minimax"] < 1e-4 < 0.99 < slopes["non-saturating"]


def test_penalty_of_a_linear_critic():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), nn.Flatten(0))
    with torch.no_grad():
        critic[1].weight.copy_(torch.tensor([[3.0, 0, 4, 0, 0, 0]]))  # steepness 5 everywhere
    x = torch.randn(7, 2, 3)
    assert gradient_penalty(critic, x).item() == pytest.approx(16)
    assert gradient_penalty(critic, x, target=0).item() == pytest.approx(25)
    gradient_penalty(critic, x).backward()
    # d/dw (‖w‖ - 1)² = 2 (‖w‖ - 1) w / ‖w‖, and the bias isn't touched.
    expected = 2 * 4 * torch.tensor([[3.0, 0, 4, 0, 0, 0]]) / 5
    torch.testing.assert_close(critic[1].weight.grad, expected)
    assert critic[1].bias.grad is None or critic[1].bias.grad.abs().sum() == 0


def test_penalty_of_a_two_layer_critic_and_its_gradient():
    """By hand: ∇ₓ (v · tanh(W x)) = Wᵀ (v (1 - tanh²)); the second order by differences."""
    seed_everything(0)
    w = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    v = torch.randn(5, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64)

    def critic(x):
        return torch.tanh(x @ w.T) @ v

    def by_hand(w):
        slope = (v * (1 - torch.tanh(x @ w.T) ** 2)) @ w
        return ((slope.norm(dim=1) - 1) ** 2).mean()

    penalty = gradient_penalty(critic, x)
    torch.testing.assert_close(penalty, by_hand(w))
    penalty.backward()
    for row, column in ((0, 0), (2, 1), (4, 2)):
        moved = torch.zeros_like(w)
        moved[row, column] = 1e-6
        with torch.no_grad():
            slope = (by_hand(w + moved) - by_hand(w - moved)) / 2e-6
        assert w.grad[row, column].item() == pytest.approx(slope.item(), rel=1e-5)


def test_a_flat_critic_has_a_finite_penalty():
    critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    nn.init.zeros_(critic[0].weight)
    for target in (0.0, 1.0):
        critic.zero_grad()
        value = gradient_penalty(critic, torch.randn(3, 2), target=target)
        value.backward()
        assert value.item() == pytest.approx(target, abs=1e-5)
        assert critic[0].weight.grad.isfinite().all()


def test_between_lies_on_the_line():
    real, fake = torch.zeros(50, 2, 3), torch.ones(50, 2, 3)
    found = between(real, fake, torch.Generator().manual_seed(0))
    assert (found == found[:, :1, :1]).all()  # one share for a whole sample
    assert 0 <= found.min() < 0.2 < 0.8 < found.max() <= 1
    with pytest.raises(ValueError, match="differ"):
        between(real, fake[:, :1])


def test_straight_through():
    logits = torch.tensor([[[2.0, 0.0], [1.0, 3.0]]], requires_grad=True)
    roll = straight_through(logits)
    torch.testing.assert_close(roll, torch.tensor([[[1.0, 0], [0, 1.0]]]))
    weights = torch.randn(1, 2, 2)
    (roll * weights).sum().backward()
    other = logits.detach().clone().requires_grad_()
    (other.softmax(dim=1) * weights).sum().backward()
    torch.testing.assert_close(logits.grad, other.grad)


def test_shapes_and_parameters():
    for steps in (8, 32, 64):
        generator, critic = MelodyGenerator(steps=steps), MelodyCritic(steps=steps)
        roll = generator(noise(3, generator.latent, 0))
        assert roll.shape == (3, SYMBOLS, steps) and critic(roll).shape == (3,)
        assert (roll.detach().sum(dim=1) - 1).abs().max() < 1e-6
    for build in (MelodyGenerator, MelodyCritic):
        again = build(**build(channels=8).config)
        assert again.config == build(channels=8).config
        for steps in (4, 24, 33):
            with pytest.raises(ValueError, match=f"four times a power of two, not {steps}"):
                build(steps=steps)
        with pytest.raises(ValueError, match="must be positive"):
            build(channels=0)
    with pytest.raises(ValueError, match=r"noise must be \(n, 64\), not \(3, 5\)"):
        MelodyGenerator()(torch.zeros(3, 5))


def test_a_fresh_critic_tells_windows_apart():
    """Else it would take a long time before there is anything to learn from."""
    seed_everything(0)
    rng = np.random.default_rng(0)
    scores = MelodyCritic()(torch.from_numpy(to_roll(rng.integers(0, SYMBOLS, (100, 32)))))
    assert 0.1 < scores.std() < 10


def test_a_critics_score_doesnt_depend_on_its_neighbours():
    critic, roll = MelodyCritic(channels=8), torch.rand(6, SYMBOLS, 32)
    torch.testing.assert_close(critic(roll)[:2], critic(roll[:2]), rtol=1e-4, atol=1e-5)


def test_spectral_normalisation():
    seed_everything(0)
    critic = MelodyCritic(channels=8, spectral=True)
    for _ in range(50):  # its power iteration goes on with every call in train mode
        critic(torch.rand(4, SYMBOLS, 32))
    critic.eval()
    layers = [m for m in critic.modules() if isinstance(m, (nn.Conv1d, nn.Linear))]
    assert len(layers) == 5
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.flatten(1))[0].item()
        assert largest == pytest.approx(1, abs=0.02)


def test_sampling():
    seed_everything(0)
    generator = MelodyGenerator(channels=8).eval()
    made = generator.sample(200, seed=3)
    assert made.shape == (200, 32) and made.dtype == np.int64
    np.testing.assert_array_equal(made, generator.sample(200, seed=3))
    assert (made != generator.sample(200, seed=4)).any()
    np.testing.assert_array_equal(made[:5], generator.sample(200, seed=3)[:5])
    found = faults(made, 16)
    assert found["outside the range"] == found["holds nothing"] == 0
    raw = generator.sample(200, seed=3, mend=False)
    assert ((raw != made) <= (raw == 0)).all()
    with pytest.raises(ValueError, match="n must be at least 1"):
        generator.sample(0, seed=0)


class Point(nn.Module):
    """Shift noise: one parameter to learn."""

    latent = 1

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, z):
        return z + self.shift


class Slope(nn.Module):
    """A linear critic."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1)

    def forward(self, x):
        return self.line(x).squeeze(1)


@pytest.mark.parametrize(
    ("loss", "penalty", "critic_steps"),
    [("non-saturating", "r1", 1), ("minimax", "r1", 1), ("wasserstein", "r1", 1)],
)
def test_a_shift_is_learnt(loss, penalty, critic_steps):
    seed_everything(0)
    generator, critic = Point(), Slope()
    real = torch.randn(2000, 1) + 3
    seen = []
    history = train_gan(
        generator,
        critic,
        real,
        steps=600,
        loss=loss,
        penalty=penalty,
        critic_steps=critic_steps,
        weight=1.0,
        lr=0.03,
        decay=0.5,
        progress=False,
        watch=lambda step, forger: seen.append((step, forger.training, forger.shift.item())),
        every=200,
    )
    assert generator.shift.item() == pytest.approx(3, abs=0.3)
    assert [step for step, *_ in seen] == [0, 200, 400, 600] and not any(t for _, t, _ in seen)
    assert seen[0][2] == 0 and seen[-1][2] == generator.shift.item()
    assert len(history) == len(history.critic) == len(history.gap) == 600
    assert np.mean(history.gap[:20]) > 5 * abs(np.mean(history.gap[-100:]))
    assert all(parameter.requires_grad for parameter in critic.parameters())


def test_training_is_seeded_and_leaves_the_average():
    real = torch.from_numpy(to_roll(np.random.default_rng(0).integers(2, 9, (64, 8))))

    def trained(seed, average=0.5):
        seed_everything(seed)
        generator, critic = MelodyGenerator(steps=8, channels=4), MelodyCritic(steps=8, channels=4)
        options = {"steps": 3, "batch": 8, "seed": seed, "average": average, "progress": False}
        assert isinstance(train_gan(generator, critic, real, **options), GanHistory)
        assert not generator.training
        return generator.state_dict()

    first, again, other, last = trained(1), trained(1), trained(2), trained(1, average=0.0)
    for name, value in first.items():
        torch.testing.assert_close(again[name], value)
    weights = "coarse.weight"
    assert not torch.equal(first[weights], other[weights])
    assert not torch.equal(first[weights], last[weights])


def test_trainings_bad_input():
    def run(real=None, **options):
        real = torch.zeros(4, 1) if real is None else real
        train_gan(Point(), Slope(), real, **{"steps": 1, "progress": False, **options})

    with pytest.raises(ValueError, match="the loss must be one of"):
        run(loss="hinge")
    with pytest.raises(ValueError, match="the penalty must be one of wgan-gp, r1, not 'l2'"):
        run(penalty="l2")
    for wrong in ({"steps": 0}, {"lr": 0}, {"batch": 0}, {"real": torch.zeros(0, 1)}):
        with pytest.raises(ValueError, match="must be positive"):
            run(**wrong)
    with pytest.raises(ValueError, match="decay lies from 0 to 1"):
        run(average=1.0)
    with pytest.raises(FloatingPointError, match="in step 1: lower the learning rate"):
        run(real=torch.full((4, 1), float("inf")), penalty=None)
