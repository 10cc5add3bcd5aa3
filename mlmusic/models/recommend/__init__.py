"""Recommenders with one interface: ``fit(plays)``, ``recommend(user, k)``, ``score``, ``explain``.

From chance and popularity by neighbours, factors and a closed form to networks.
"""

from mlmusic.models.recommend.base import Recommender
from mlmusic.models.recommend.content import Content, Hybrid
from mlmusic.models.recommend.ease import EASE
from mlmusic.models.recommend.factors import ALS, BPR
from mlmusic.models.recommend.neighbors import ItemKNN, UserKNN
from mlmusic.models.recommend.neural import SASRec, TwoTower
from mlmusic.models.recommend.simple import Popularity, Random

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "Content",
    "Hybrid",
    "ItemKNN",
    "Popularity",
    "Random",
    "Recommender",
    "SASRec",
    "TwoTower",
    "UserKNN",
]
