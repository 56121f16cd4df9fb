"""Exercises of notebook 10, before and after."""

import numpy as np
from scipy.stats import t as student

from ..checks import Exercise, Part

# 10.t: differences (n) -> low and high end of the 95 % interval of their mean


def differences(n: int):
    return lambda rng: [(rng.normal(0.02, 0.03, n),) for _ in range(3)]


def interval(d, quantile=0.975, ddof=1, per=np.sqrt, freedom=1):
    """Mean minus and plus a half-width; what the wrong answers get wrong are the options."""
    half = student.ppf(quantile, len(d) - freedom) * np.std(d, ddof=ddof) / per(len(d))
    return np.array([np.mean(d) - half, np.mean(d) + half])


# 10.bootstrap: differences (n), draws (B,n) of clip numbers -> 2.5 and 97.5 percentile of the means of these draws


def redrawn(n: int):
    def inputs(rng):
        return [(rng.gamma(0.6, 0.05, n) - 0.01, rng.integers(0, n, (400, n))) for _ in range(3)]

    return inputs


def bootstrap(d, draws, low=2.5, high=97.5, axis=1, of=np.mean):
    return np.percentile(of(np.asarray(d)[draws], axis=axis), [low, high])


# 10.error: differences (seeds, clips) -> standard error of their mean, for other seeds and other clips


def table(seeds: int, clips: int):
    def inputs(rng):
        def draw():
            return rng.normal(0, 0.02, (seeds, 1)) + rng.normal(0, 0.04, (1, clips)) + rng.normal(0, 0.01, (seeds, clips))

        return [(draw(),) for _ in range(3)]

    return inputs


def variance_of_mean(d, axis: int, ddof: int = 1) -> float:
    means = np.asarray(d).mean(axis)
    return means.var(ddof=ddof) / len(means)


# 10.verdict: what an interval allows to say

VERDICT = {
    "difference in J&F +0.03 [+0.01, +0.05], paired, 3 seeds, 8 clips": "better",
    "difference in J&F +0.03 [-0.01, +0.07], paired, 3 seeds, 8 clips": "not known",
    "difference in false weight -0.02 [-0.03, -0.01], paired, 3 seeds, 8 clips": "better",
    "difference in J&F +0.03 [+0.01, +0.05], paired, 1 seed, 8 clips": "better for these two trainings alone",
    "the one clear interval of 40 that were looked at": "not known",
}


def said_instead(case: str, verdict: str):
    return lambda: {**VERDICT, next(full for full in VERDICT if case in full): verdict}


EXERCISES = {
    "t": Exercise(
        right=interval,
        parts=[Part("eight clips", 2, differences(8)), Part("thirty clips", 1, differences(30))],
        wrong={
            "1.96 is for very many clips: with few, the quantile of t with n - 1 degrees of freedom is larger": lambda d: (
                d.mean() - 1.96 * d.std(ddof=1) / np.sqrt(len(d)),
                d.mean() + 1.96 * d.std(ddof=1) / np.sqrt(len(d)),
            ),
            "the standard deviation divides by n - 1 (ddof=1), since the mean was taken from the same numbers": lambda d: (
                interval(d, ddof=0)
            ),
            "divide the standard deviation by the square root of n: the mean is surer than a single clip": lambda d: interval(
                d, per=lambda n: 1
            ),
            "divided by n: it is its square root": lambda d: interval(d, per=lambda n: n),
            "95 % leave 2.5 % on each side: the quantile is at 0.975": lambda d: interval(d, quantile=0.95),
            "n clips have n - 1 degrees of freedom": lambda d: interval(d, freedom=0),
            "this is the half-width on both sides of 0: put it around the mean": lambda d: interval(d) - d.mean(),
        },
    ),
    "bootstrap": Exercise(
        right=bootstrap,
        parts=[Part("eight clips", 2, redrawn(8)), Part("twenty clips", 1, redrawn(20))],
        wrong={
            "95 % leave 2.5 % on each side: take the percentiles 2.5 and 97.5": lambda d, draws: bootstrap(d, draws, 5, 95),
            "percentile counts to 100, not to 1": lambda d, draws: bootstrap(d, draws, 0.025, 0.975),
            "these are percentiles of single differences: first take the mean of each draw": lambda d, draws: np.percentile(
                d[draws], [2.5, 97.5]
            ),
            "the draws are not used: these are percentiles of the differences themselves": lambda d, draws: np.percentile(
                d, [2.5, 97.5]
            ),
            "the mean runs over the draws: each draw, a row, has a mean of its own": lambda d, draws: bootstrap(
                d, draws, axis=0
            ),
            "this is the median of each draw: wanted is its mean": lambda d, draws: bootstrap(d, draws, of=np.median),
        },
    ),
    "error": Exercise(
        right=lambda d: np.sqrt(variance_of_mean(d, 0) + variance_of_mean(d, 1)),
        parts=[Part("three seeds, eight clips", 2, table(3, 8)), Part("five seeds, four clips", 1, table(5, 4))],
        wrong={
            "every seed on every clip was counted as a clip of its own: they share seeds and clips, so there are fewer": (
                lambda d: np.std(d, ddof=1) / np.sqrt(d.size)
            ),
            "this holds for other clips and the same seeds: the variance of the seeds' means is missing": lambda d: np.sqrt(
                variance_of_mean(d, 0)
            ),
            "this holds for other seeds and the same clips: the variance of the clips' means is missing": lambda d: np.sqrt(
                variance_of_mean(d, 1)
            ),
            "this is the variance: take the root": lambda d: variance_of_mean(d, 0) + variance_of_mean(d, 1),
            "errors do not add up, their squares do: add the variances, then take the root": lambda d: (
                np.sqrt(variance_of_mean(d, 0)) + np.sqrt(variance_of_mean(d, 1))
            ),
            "variances divide by n - 1 (ddof=1)": lambda d: np.sqrt(variance_of_mean(d, 0, 0) + variance_of_mean(d, 1, 0)),
            "each variance belongs over its own number: that of the clips' means over clips, of the seeds' means over seeds": (
                lambda d: np.sqrt(d.mean(0).var(ddof=1) / d.shape[0] + d.mean(1).var(ddof=1) / d.shape[1])
            ),
        },
    ),
    "verdict": Exercise(
        right=lambda: VERDICT,
        parts=[Part("five results", 3, lambda rng: [()])],
        wrong={
            "an interval that holds 0 leaves open whether there is a difference: that is not 'the same'": said_instead(
                "[-0.01", "the same"
            ),
            "an interval that holds 0 leaves open which one is better": said_instead("[-0.01", "better"),
            "of false weight less is better": said_instead("false weight", "worse"),
            "one seed per variant: another training might turn it round": said_instead("1 seed", "better"),
            "one seed says something: of these two trainings, on other clips": said_instead("1 seed", "not known"),
            "of 40 intervals two are clear of 0 by chance alone: measure this one again": said_instead("of 40", "better"),
            "0 lies outside, and there are several seeds: this one may be called better": said_instead(
                "+0.03 [+0.01, +0.05], paired, 3", "not known"
            ),
        },
    ),
}
