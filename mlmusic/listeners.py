"""Simulated listeners: who would play which of the course's tunes, and why. The truth is known.

Real listening data can't be shipped, so the course makes its own, with the statistics of a real
set: Last.fm 2k (I. Cantador, P. Brusilovsky and T. Kuflik, *HetRec*, 2011). Nothing here tells how
much a real person would like a tune. What it can tell is whether a recommender finds the structure
that is there, because here the structure is written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlmusic.metrics.ranking import top
from mlmusic.plays import Plays

DAYS = 1000  # the time that is simulated
_TASTES = 12  # numbers that describe a taste, half of them about what can be heard in a tune
_COMMUNITIES = 25
_SET = 8  # tunes that are usually played together: in one session, in one video, in one book
_SETS_LIKED = 20  # how many such sets a listener has met
_BONUS = 2.6  # what that adds to the utility of each item in them
_FRIENDS = 10  # how many a listener makes in the community; one more is met by chance
_LIKE_BY_LIKE = 10.0  # how much rather with somebody who plays the same
_OWN = 0.4  # how far listeners stray from their community, in its own deviation
_TASTE = 3.6  # length of a taste: how much it weighs beside fame
_BENDS = (1, 100, 1000, 4000)  # ranks at which popularity changes how steeply it falls,
_FALLS = (-0.5, -0.99, -1.85, 0.0)  # by this much in log over log rank: from each on
_CALIBRATIONS = 3
_SAMPLE = 400  # listeners on whom fame is calibrated


@dataclass(frozen=True, eq=False, repr=False)
class Listeners:
    """Simulated listeners with their plays, and everything that made them play so.

    Attributes
    ----------
    plays : Plays
        What they played: about 50 tunes each, how often, and on which day they met it.
    community : int array, shape (listeners,)
        Listeners of one community have similar tastes.
    mainstream : float array, shape (listeners,)
        How much a listener follows the crowd: 1 on average, less for a niche listener.
    friends : int array, shape (pairs, 2)
        Who knows whom; most friends are of one community.
    """

    plays: Plays
    community: np.ndarray
    mainstream: np.ndarray
    friends: np.ndarray
    _taste: np.ndarray = field(repr=False)  # (listeners, tastes)
    _sound: np.ndarray = field(repr=False)  # (items, tastes)
    _fame: np.ndarray = field(repr=False)  # (items,) log
    _set_of: np.ndarray = field(repr=False)  # (items,)
    _liked: np.ndarray = field(repr=False)  # (listeners, sets)

    def __repr__(self) -> str:
        return f"Listeners(simulated; {self.plays!r}, {len(self.friends):,} friendships)"

    def utility(self, users: ArrayLike | None = None) -> np.ndarray:
        """Return how much each listener would truly like each item: what no recommender sees.

        Parameters
        ----------
        users : int array, optional
            Which listeners; all, if not given.

        Returns
        -------
        float32 array, shape (users, items)
            A listener's own scale: only differences within a row mean something.
        """
        users = np.arange(len(self.community)) if users is None else np.asarray(users, int)
        return _utility(
            self.mainstream[users], self._fame, self._taste[users], self._sound,
            self._liked[users], self._set_of,
        )  # fmt: skip

    def regret(
        self, ranked: ArrayLike, users: ArrayLike | None = None, played: Plays | None = None
    ) -> np.ndarray:
        """Return how much better the list could have been: the mean utility that was missed.

        Compared with the best list of the same length among the items that the listener hasn't
        played yet.

        Parameters
        ----------
        ranked : int array, shape (users, k)
            Recommended items; -1 for none.
        users : int array, optional
            Whose lists they are; all, if not given.
        played : Plays, optional
            What the listeners had played when the lists were made, such as a training split;
            everything, if not given.

        Returns
        -------
        float array, shape (users,)
            0 for a perfect list; NaN for an empty one.

        Raises
        ------
        ValueError
            If ``played`` is about other listeners or another catalogue.
        """
        ranked = np.asarray(ranked)
        users = np.arange(len(self.community)) if users is None else np.asarray(users, int)
        utility = self.utility(users)
        got = np.where(ranked >= 0, np.take_along_axis(utility, np.maximum(ranked, 0), 1), np.nan)
        known = (self.plays if played is None else played).matrix()
        if known.shape != (len(self.plays.users), len(self.plays.items)):
            raise ValueError("played is about other listeners or another catalogue")
        known = known[users]
        rows = np.repeat(np.arange(len(users)), np.diff(known.indptr))
        utility[rows, known.indices] = -np.inf
        best = -np.sort(-np.partition(utility, -ranked.shape[1], 1)[:, -ranked.shape[1] :], 1)
        missed = np.where(ranked >= 0, best - got, np.nan)
        listed = (ranked >= 0).sum(1)
        return np.where(listed > 0, np.nansum(missed, 1) / np.maximum(listed, 1), np.nan)

    def sessions(self, days: int = 28, seed: int = 0) -> np.ndarray:
        """Simulate the log of the last days, play by play.

        A listener comes back for sessions of about eight plays. A play repeats what was heard a
        moment ago (recency), or is drawn from what the listener has met by then, in proportion to
        how often they play it (frequency). What they like less, they skip more often.

        Parameters
        ----------
        days : int
            1 to `DAYS`.
        seed : int

        Returns
        -------
        structured array, shape (plays,)
            ``user``, ``item``, ``time`` in days, ``session`` (numbered through), ``skipped``; by
            user, then time.

        Raises
        ------
        ValueError
            If days is impossible.
        """
        if not 1 <= days <= DAYS:
            raise ValueError(f"days must be 1 to {DAYS}, not {days}")
        return _sessions(self, days, np.random.default_rng([seed, 1]))


def simulate(
    items: Sequence[Any] | None = None,
    features: ArrayLike | None = None,
    *,
    listeners: int = 1892,
    per_listener: int = 50,
    seed: int = 0,
) -> Listeners:
    """Simulate listeners of a catalogue.

    A listener plays the items with the highest utility, the sum of

    - the item's fame, weighed by how mainstream the listener is;
    - the match of taste and sound: tastes gather around those of a community, half of what counts
      can be computed from the item's features, half can't be heard in them;
    - a bonus for the sets (of about eight items that go together) which the listener has met;
    - luck (Gumbel noise).

    How often follows a power law over the items that they love most; when, the order in which a
    drifting taste and the sets lead from one item to the next.

    Parameters
    ----------
    items : sequence, optional
        Names of the items. By default the course's tunes and folk songs, by their source.
    features : array, shape (items, features), optional
        What can be heard, roughly standardised. By default, for the default items,
        `mlmusic.models.recommend.content.tune_features`.
    listeners, per_listener : int
        How many, and how many items each plays (a few more or less).
    seed : int

    Returns
    -------
    Listeners

    Raises
    ------
    ValueError
        If items and features don't fit each other, or there are fewer than four times
        ``per_listener`` items.
    """
    if items is None:
        if features is not None:
            raise ValueError("features without items: of what are they?")
        items, features = _catalogue()
    random = np.random.default_rng(seed)
    count = len(items)
    if count < 4 * per_listener:
        raise ValueError(f"{count} items are too few for {per_listener} plays of each listener")
    features = random.normal(size=(count, 8)) if features is None else np.asarray(features, float)
    if features.shape[:1] != (count,) or features.ndim != 2:
        raise ValueError(f"{count} items, but features of shape {features.shape}")

    sound = _sound(features, random)
    law = _law(count, random)
    set_of = _sets(sound, random)
    community, taste = _tastes(listeners, random)
    mainstream = np.clip(random.normal(1.0, 0.2, listeners), 0.4, 1.6).astype(np.float32)
    liked = _met_sets(mainstream, np.log(law), taste, sound, set_of, random)
    fame = _fame(law, mainstream, taste, sound, liked, set_of, per_listener)
    utility = _utility(mainstream, fame, taste, sound, liked, set_of)

    luck = random.standard_exponential(utility.shape, np.float32)
    utility -= np.log(np.maximum(luck, 1e-30, out=luck), out=luck)  # Gumbel noise
    sizes = np.clip(np.round(random.normal(per_listener, 2, listeners)), 1, None).astype(int)
    most = int(sizes.max())
    chosen = top(utility, most)  # what is loved most leads
    kept = np.arange(most) < sizes[:, None]

    counts = _counts(sizes, most, random)
    time = _times(chosen, kept, taste, sound, set_of, random)
    user = np.broadcast_to(np.arange(listeners)[:, None], chosen.shape)[kept]
    names = [f"listener-{number:04d}" for number in range(1, listeners + 1)]
    plays = Plays(user, chosen[kept], counts[kept], names, list(items), time[kept])
    friends = _friends(community, plays, random)
    return Listeners(
        plays, community, mainstream, friends, taste, sound, fame, set_of, liked
    )  # fmt: skip


def _catalogue() -> tuple[list[str], np.ndarray]:
    from mlmusic import datasets
    from mlmusic.models.recommend.content import tune_features

    scores = [*datasets.tunes().all, *datasets.folksongs().all]
    return [score.meta["source"] for score in scores], tune_features(scores)


def _sound(features: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return what a taste can match in each item, (items, tastes): first audible, then not."""
    audible = features @ random.normal(size=(features.shape[1], _TASTES // 2))
    audible = (audible - audible.mean(0)) / (audible.std(0) + 1e-9)
    hidden = random.normal(size=(len(features), _TASTES - _TASTES // 2))
    return np.concatenate([np.clip(audible, -3, 3), hidden], 1).astype(np.float32)


def _law(count: int, random: np.random.Generator) -> np.ndarray:
    """Return the share of all plays that each item shall have: a power law of several pieces."""
    bends = np.log([*_BENDS, max(count, 2 * _BENDS[-1])])
    falls = np.cumsum([0.0, *(_FALLS * np.diff(bends))])
    share = np.exp(np.interp(np.log(np.arange(1, count + 1)), bends, falls))
    return random.permutation(share / share.sum())


def _fame(
    law: np.ndarray,
    mainstream: np.ndarray,
    taste: np.ndarray,
    sound: np.ndarray,
    liked: np.ndarray,
    set_of: np.ndarray,
    per_listener: int,
) -> np.ndarray:
    """Return the log fame with which items reach the listeners that the law gives them.

    Taste gives the items that suit a large community more listeners than their fame; so fame is
    lowered and raised until the expected numbers are right, for a sample of listeners.

    Whether a listener plays an item is a race: the item arrives after a time drawn from an
    exponential distribution with rate exp(utility), and whatever arrives before a moment t is
    played. So it is played with probability ``1 - exp(-t * rate)``, and t is where these add up to
    the number that the listener plays. (Gumbel noise and the k highest are the same race.)
    """
    some = slice(0, _SAMPLE)
    wanted = np.minimum(law * per_listener, 0.9)
    fame = np.log(law).astype(np.float32)
    for _ in range(_CALIBRATIONS):
        rate = np.exp(_utility(mainstream[some], fame, taste[some], sound, liked[some], set_of))
        moment = per_listener / rate.sum(1, keepdims=True)
        for _ in range(3):  # Newton's steps, from below: each gets nearer
            missing = np.exp(-moment * rate)
            slope = (rate * missing).sum(1, keepdims=True)
            moment += (per_listener - (1 - missing).sum(1, keepdims=True)) / slope
        reached = 1 - np.exp(-moment * rate)
        # As a race again: rates, not probabilities, are what fame multiplies.
        fame += np.log(np.log1p(-wanted) / np.log1p(-np.clip(reached.mean(0), 1e-9, 0.99)))
    return fame


def _sets(sound: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Gather items into sets of about `_SET` that sound alike, (items,)."""
    direction = random.normal(size=sound.shape[1]).astype(np.float32)
    near = sound @ direction / np.linalg.norm(direction) + 0.3 * random.normal(size=len(sound))
    set_of = np.empty(len(sound), np.int64)
    set_of[np.argsort(near)] = np.arange(len(sound)) // _SET
    return set_of


def _tastes(listeners: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    centers = random.normal(size=(_COMMUNITIES, _TASTES))
    community = random.choice(
        _COMMUNITIES, listeners, p=random.dirichlet(np.full(_COMMUNITIES, 2.0))
    )
    taste = centers[community] + _OWN * random.normal(size=(listeners, _TASTES))
    taste *= _TASTE / np.linalg.norm(taste, axis=1, keepdims=True)
    return community, taste.astype(np.float32)


def _met_sets(
    mainstream: np.ndarray,
    fame: np.ndarray,
    taste: np.ndarray,
    sound: np.ndarray,
    set_of: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Draw the sets that each listener has met: rather those of known and liked items."""
    sizes = np.bincount(set_of)
    mean_sound = np.stack([np.bincount(set_of, column) for column in sound.T], 1) / sizes[:, None]
    reach = np.log(np.bincount(set_of, np.exp(fame)))
    value = mainstream[:, None] * reach + taste @ mean_sound.T
    value -= np.log(random.standard_exponential(value.shape))
    most = min(_SETS_LIKED, len(sizes))
    return np.argpartition(value, -most, 1)[:, -most:]


def _utility(
    mainstream: np.ndarray,
    fame: np.ndarray,
    taste: np.ndarray,
    sound: np.ndarray,
    liked: np.ndarray,
    set_of: np.ndarray,
) -> np.ndarray:
    utility = taste @ sound.T
    utility += mainstream[:, None] * fame
    members = np.argsort(set_of, kind="stable")
    starts = np.searchsorted(set_of[members], np.arange(set_of.max() + 2))
    last = len(members) - 1
    offsets = np.minimum(starts[liked][..., None] + np.arange(_SET), last)
    inside = np.arange(_SET) < (starts[liked + 1] - starts[liked])[..., None]
    rows = np.broadcast_to(np.arange(len(liked))[:, None, None], inside.shape)
    utility[rows[inside], members[offsets][inside]] += _BONUS
    return utility


def _counts(sizes: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """Return how often each listener plays each item, (listeners, most); the loved ones lead."""
    listeners = len(sizes)
    total = np.exp(random.normal(np.log(2000), 1.5, listeners))
    fall = np.clip(random.normal(0.86, 0.15, listeners), 0.2, None)[:, None]
    place = np.arange(1, most + 1)
    share = (place + 0.5) ** -fall * np.exp(random.normal(0, 0.15, (listeners, most)))
    share[place > sizes[:, None]] = 0
    share /= share.sum(1, keepdims=True)
    return np.maximum(np.round(total[:, None] * share), 1)


def _times(
    chosen: np.ndarray,
    kept: np.ndarray,
    taste: np.ndarray,
    sound: np.ndarray,
    set_of: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Return the day on which each listener meets each item, (listeners, most)."""
    listeners, most = chosen.shape
    drift = random.normal(size=taste.shape).astype(np.float32)
    drift /= np.linalg.norm(drift, axis=1, keepdims=True)
    toward = np.einsum("ut,ukt->uk", drift, sound[chosen])
    # Items come into fashion: the same season for everybody, which the past can't know.
    season = random.normal(size=len(set_of))[chosen]
    # One draw for each listener and set, so that a set's items are met one after the other.
    sets = set_of.max() + 1
    met = random.normal(size=4096)[(np.arange(listeners)[:, None] * sets + set_of[chosen]) % 4096]
    key = toward + season + met + 0.3 * random.normal(size=chosen.shape)
    key[~kept] = np.inf
    place = np.argsort(np.argsort(key, 1), 1)
    begin = random.uniform(0, 0.7 * DAYS, (listeners, 1))
    days = np.sort(random.uniform(begin, DAYS, (listeners, most)), 1)
    return np.take_along_axis(days, place, 1)


def _friends(community: np.ndarray, plays: Plays, random: np.random.Generator) -> np.ndarray:
    """Draw friendships, most of them within a community and with those who share most, (pairs, 2).

    Birds of a feather flock together, or friends recommend tunes to each other: the data can't
    tell which.
    """
    table = plays.matrix()
    pairs = [random.integers(0, len(community), (len(community), 2))]  # met by chance
    for one in np.unique(community):
        members = np.flatnonzero(community == one)
        shared = (table[members] @ table[members].T).toarray()
        drawn = _LIKE_BY_LIKE * np.log1p(shared)
        drawn -= np.log(random.standard_exponential(shared.shape))
        np.fill_diagonal(drawn, -np.inf)
        most = min(_FRIENDS, len(members) - 1)
        near = np.argpartition(drawn, -most, 1)[:, -most:] if most else np.zeros((1, 0), int)
        pairs.append(np.stack([np.repeat(members, most), members[near].ravel()], 1))
    pairs = np.sort(np.concatenate(pairs), 1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _sessions(listeners: Listeners, days: int, random: np.random.Generator) -> np.ndarray:
    plays = listeners.plays
    order = np.lexsort((plays.time, plays.user))
    user, item, count, met = (x[order] for x in (plays.user, plays.item, plays.count, plays.time))
    begin = DAYS - days
    # Each play of the last days is of one pair, in proportion to its share of the time since.
    rate = count / np.maximum(DAYS - met, 1.0)
    number = random.poisson(rate * np.minimum(days, DAYS - met))
    log = np.zeros(
        number.sum(),
        [("user", "i4"), ("item", "i4"), ("time", "f8"), ("session", "i4"), ("skipped", "?")],
    )
    pair = np.repeat(np.arange(len(user)), number)
    moment = random.uniform(np.maximum(met, begin)[pair], DAYS)
    by_time = np.lexsort((moment, user[pair]))
    pair, moment = pair[by_time], moment[by_time]
    log["user"] = user[pair]
    new = np.ones(len(log), bool)
    new[1:] = (np.diff(log["user"]) != 0) | (random.random(len(log) - 1) < 1 / 8)
    log["session"] = np.cumsum(new) - 1
    first = np.flatnonzero(new)[log["session"]]
    # A session's plays follow each other every three minutes from its first.
    log["time"] = moment[first] + (np.arange(len(log)) - first) * 3 / 1440
    lag = random.geometric(0.5, len(log))
    back = np.arange(len(log)) - lag
    again = (random.random(len(log)) < 0.3) & (back >= first)
    source = np.where(again, back, np.arange(len(log)))
    while (source[source] != source).any():  # a repeat of a repeat
        source = source[source]
    log["item"] = item[pair][source]
    # The share of the listener's plays that this pair has, against an even share.
    mean = np.bincount(user, count) / np.maximum(np.bincount(user), 1)
    loved = np.log(count / mean[user])[pair][source]
    log["skipped"] = random.random(len(log)) < 1 / (1 + np.exp(1.6 + 0.8 * loved))
    return log
