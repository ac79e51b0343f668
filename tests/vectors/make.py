#!/usr/bin/env python3
"""Makes the test vectors of our statistics with those of others: NumPy, SciPy, statsmodels and pymannkendall.

The same bytes come out of every run: what is random is seeded. To run it again, from the project's root:

    python3 -m venv target/vectors
    target/vectors/bin/pip install numpy==2.4.6 scipy==1.17.1 pymannkendall==1.4.3 statsmodels==0.15.0
    target/vectors/bin/python tests/vectors/make.py

trend.json: series of buckets, each `null` or a ratio [numerator, denominator], with
  s            Mann and Kendall's S
  slope        the Theil-Sen slope per bucket                       scipy.stats.theilslopes
  p_value      two-sided: up to 10 figures without ties exact       scipy.stats.kendalltau(method="exact")
               else normal with ties and continuity correction      the z of pymannkendall.original_test

proportions.json:
  two_proportions   samples [successes, trials], and the two-sided p value that they have one rate
                    where a cell is expected below 5                scipy.stats.fisher_exact
                    else with pooled variance                       statsmodels' proportions_ztest
  wilson            intervals for z = 1.959964, 0 and 1 at the ends  statsmodels' proportion_confint
  discoveries       which p values are at a false discovery rate    statsmodels' multipletests(method="fdr_bh")

forecast.json: values of quarters that have ended, the oldest first, and of the quarter so many ahead
  value        the same quarter a year before and the mean yearly difference, else the mean of the last four
  interval     ± 1.2816 standard deviations of what is averaged     numpy.std(ddof=1)

strategy.json: [before, after] of those that a strategy is for, and of the others
  effect       the mean difference of the one less that of the other
  interval     Welch's, 95 %      scipy.stats.ttest_ind(equal_var=False).confidence_interval()
season.json: cohorts of whole months [year, month, prospects, purchased], with
  index_of_months      by calendar month, January first: pooled rate / mean of the twelve; `null` where absent
  prospects_in_window  by calendar month: what weighs the index of the window
  observed             the window's [purchased, prospects]
  index, adjusted      of the window; `null` where absent
"""

import json
import pathlib
import random

import numpy
import pymannkendall
import scipy.stats
import scipy.stats.contingency
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

FOLDER = pathlib.Path(__file__).parent


def trend(name, series):
    places = [place for place, term in enumerate(series) if term is not None]
    figures = [series[place][0] / series[place][1] for place in places]
    by_sums = pymannkendall.original_test(figures)
    has_ties = len(set(figures)) < len(figures)
    if len(figures) <= 10 and not has_ties:
        p_value = scipy.stats.kendalltau(places, figures, method="exact").pvalue
    else:
        p_value = 2 * scipy.stats.norm.sf(abs(by_sums.z))
    return {
        "name": name,
        "series": series,
        "s": int(by_sums.s),
        "slope": float(scipy.stats.theilslopes(figures, places).slope),
        "p_value": float(p_value),
    }


def counts(*numbers):
    return [None if number is None else [number, 1] for number in numbers]


def trends():
    dice = random.Random(2024)
    yield trend("five, rising all the way", counts(1, 2, 3, 4, 5))
    yield trend("five, falling all the way", counts(9, 7, 4, 2, -3))
    yield trend("five, one out of order", counts(1, 2, 3, 5, 4))
    yield trend("as many up as down", counts(1, 4, 3, 2, 5, 0))
    yield trend("all equal", counts(*[7] * 12))
    yield trend("all equal but one", counts(7, 7, 7, 7, 8))
    yield trend("ten without ties", counts(3, 1, 4, 15, 9, 2, 6, 5, 35, 8))
    yield trend("ten with a tie", counts(3, 1, 4, 15, 9, 2, 6, 5, 35, 9))
    yield trend("eleven without ties", counts(3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97))
    yield trend("equal rates of other terms", [[1, 2], [2, 4], [2, 3], [3, 6], [4, 6], [3, 4], [1, 2]])
    yield trend("gaps", counts(None, 5, None, None, 8, 6, 9, None, 14, 12, None))
    yield trend("a gap that bends the slope", counts(1, 2, None, None, None, 3, 4, 5))
    for length in range(5, 11):
        shuffled = list(range(length))
        dice.shuffle(shuffled)
        yield trend(f"{length} shuffled", counts(*shuffled))
    for length in (5, 8, 12, 24, 36, 60, 120, 365):
        slope = dice.choice([-2, 0, 0, 1, 3])
        series = [[slope * place + dice.randint(0, 40), dice.randint(1, 6)] for place in range(length)]
        yield trend(f"{length} rates about a line of slope {slope}", series)
        coarse = [dice.randint(0, 3) for _ in range(length)]
        yield trend(f"{length} with many ties", counts(*coarse))
        gappy = [None if dice.random() < 0.3 else place // 3 + dice.randint(-9, 9) for place in range(length + 5)]
        if sum(number is not None for number in gappy) >= 5:
            yield trend(f"{length} or so with gaps", counts(*gappy))


def two_proportions(a, b):
    table = numpy.array([[k, n - k] for k, n in (a, b)])
    is_exact = bool((scipy.stats.contingency.expected_freq(table) < 5).any())
    if is_exact:
        p_value = scipy.stats.fisher_exact(table).pvalue
    else:
        p_value = proportions_ztest([a[0], b[0]], [a[1], b[1]])[1]
    return {"samples": [list(a), list(b)], "is_exact": is_exact, "p_value": float(p_value)}


def pairs_of_samples():
    dice = random.Random(2025)
    yield (0, 5), (5, 5)
    yield (3, 4), (1, 4)
    yield (0, 9), (0, 12)
    yield (9, 9), (1, 1)
    yield (2, 10), (8, 10)
    yield (5, 10), (5, 10)
    yield (50, 100), (50, 100)
    yield (40, 100), (60, 100)
    yield (1, 100), (9, 100)
    yield (3, 1_000_000), (12, 1_000_000)
    yield (500_000, 1_000_000), (500_900, 1_000_000)
    yield (999_998, 1_000_000), (9, 10)
    yield (999_998, 1_000_000), (0, 1)
    yield (400_000, 1_000_000), (3, 5)
    for trials_max in (6, 12, 20, 40, 100, 1_000, 1_000_000):
        for _ in range(12):
            rate = dice.choice([0.01, 0.1, 0.3, 0.5, 0.9])
            samples = []
            for _ in range(2):
                trials = dice.randint(1, trials_max)
                spread = (trials * rate * (1 - rate)) ** 0.5
                successes = round(trials * rate + dice.uniform(-2.5, 2.5) * spread)
                samples.append((min(max(successes, 0), trials), trials))
            yield tuple(samples)


def wilson(successes, trials):
    # The z of ours has seven digits.
    alpha = 2 * scipy.stats.norm.sf(1.959964)
    lower, upper = proportion_confint(successes, trials, alpha=alpha, method="wilson")
    lower = 0.0 if successes == 0 else lower
    upper = 1.0 if successes == trials else upper
    return {"sample": [successes, trials], "interval": [float(lower), float(upper)]}


def samples():
    dice = random.Random(2026)
    yield from [(0, 1), (1, 1), (2, 3), (0, 4), (50, 100), (1_000_000, 1_000_000), (123_456, 1_000_000)]
    for trials in (2, 5, 9, 17, 40, 150, 1_000, 40_000):
        yield dice.randint(0, trials), trials


def discoveries(p_values, level):
    found = multipletests(p_values, alpha=level, method="fdr_bh")[0]
    return {"p_values": p_values, "level": level, "discoveries": [bool(one) for one in found]}


def lists_of_p_values():
    dice = random.Random(2027)
    yield [0.04], 0.05
    yield [0.051], 0.05
    yield [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216], 0.05
    yield [0.04, 0.03, 0.045, 0.02], 0.05
    yield [0.02, 0.5, 0.02, 0.02], 0.05
    yield [1.0, 1.0, 0.0], 0.05
    for count in (2, 5, 20, 100):
        for level in (0.05, 0.2):
            yield [round(dice.random() ** 3, 6) for _ in range(count)], level


def proportions():
    return {
        "two_proportions": [two_proportions(*pair) for pair in pairs_of_samples()],
        "wilson": [wilson(*sample) for sample in samples()],
        "discoveries": [discoveries(*asked) for asked in lists_of_p_values()],
    }


def forecast(ended, quarters_ahead):
    values = numpy.array(ended)
    is_seasonal = len(values) >= 8
    if is_seasonal:
        averaged = values[4:] - values[:-4]
        value = values[len(values) - 1 + quarters_ahead - 4] + averaged.mean()
    else:
        averaged = values[-4:]
        value = averaged.mean()
    half = 1.2816 * numpy.std(averaged, ddof=1) if len(averaged) > 1 else None
    return {
        "ended": ended,
        "quarters_ahead": quarters_ahead,
        "is_seasonal": is_seasonal,
        "value": float(value),
        "interval": None if half is None else [float(value - half), float(value + half)],
    }


def forecasts():
    dice = random.Random(2028)
    yield forecast([0.0] * 12, 1)
    for length in (1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 20, 40):
        for quarters_ahead in (1, 2, 4):
            season = [dice.uniform(0, 50_000) for _ in range(4)]
            drift = dice.uniform(-500, 500)
            ended = [
                round(season[at % 4] + drift * at + dice.uniform(-2_000, 2_000), 4) for at in range(length)
            ]
            yield forecast(ended, quarters_ahead)


def strategy(treated, others):
    changes = [numpy.array([after - before for before, after in side]) for side in (treated, others)]
    interval = scipy.stats.ttest_ind(*changes, equal_var=False).confidence_interval(0.95)
    return {
        "treated": treated,
        "others": others,
        "effect": float(changes[0].mean() - changes[1].mean()),
        "interval": [float(interval.low), float(interval.high)],
    }


def strategies():
    dice = random.Random(2029)

    def side(count, level, effect, noise):
        befores = [round(dice.uniform(0, level), 4) for _ in range(count)]
        return [[before, round(before + effect + dice.gauss(0, noise), 4)] for before in befores]

    yield strategy([[0.0, 1.0], [0.0, 3.0]], [[5.0, 4.0], [5.0, 6.0]])
    yield strategy([[0.0, 1.0], [0.0, 1.0]], [[5.0, 4.0], [5.0, 6.0]])
    for treated_count, other_count in [(2, 2), (2, 3), (3, 2), (2, 40), (40, 2), (7, 9), (20, 60), (2, 90)]:
        for level, noise in [(1.0, 0.2), (50_000.0, 9_000.0), (10.0, 0.001)]:
            effect = dice.choice([0, 0.3, -0.1]) * level
            others = side(other_count, level, 0.05 * level, dice.uniform(0.2, 5) * noise)
            yield strategy(side(treated_count, level, effect, noise), others)
    for level in (1.0, 100.0, 10_000.0):
        yield strategy(side(60, level, 0.01 * level, level / 3), side(50, level, 0.0, level / 9))
        yield strategy(side(2, level, 0.5 * level, level / 1_000), side(3, level, 0.0, level))
        yield strategy(side(3, level, 0.5 * level, level), side(2, level, 0.0, level / 1_000))


def listed(cases, indent):
    lines = ",\n".join(f"{indent}  " + json.dumps(case) for case in cases)
    return f"[\n{lines}\n{indent}]"


def season(name, cohorts, window, observed):
    rows = numpy.array(cohorts, dtype=numpy.int64).reshape(-1, 4)
    rows = rows[rows[:, 2] > 0]
    place = rows[:, 1] - 1
    years, prospects, purchased = (
        numpy.bincount(place, weights=weights, minlength=12) for weights in (None, rows[:, 2], rows[:, 3])
    )
    indices = numpy.full(12, numpy.nan)
    if (years > 0).all() and purchased.any():
        rates = purchased / prospects
        indices = numpy.where(years >= 2, rates / rates.mean(), numpy.nan)
    weights = numpy.array(window)
    index = adjusted = numpy.nan
    if weights.any() and not numpy.isnan(indices[weights > 0]).any():
        index = numpy.average(indices[weights > 0], weights=weights[weights > 0])
        if index > 0:
            adjusted = observed[0] / observed[1] / index
    told = lambda number: None if numpy.isnan(number) else float(number)
    return {
        "name": name,
        "cohorts": cohorts,
        "prospects_in_window": window,
        "observed": observed,
        "index_of_months": [told(index) for index in indices],
        "index": told(index),
        "adjusted": told(adjusted),
    }


def window_of(**counts):
    names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    return [counts.get(name, 0) for name in names]


def seasons():
    dice = random.Random(1999)

    def years(first, last, most=90):
        rows = []
        for year in range(first, last + 1):
            for month in range(1, 13):
                prospects = dice.randint(1, most)
                rows.append([year, month, prospects, dice.randint(0, prospects)])
        return rows

    def but(rows, change):
        return [[year, month, *change(year, month, prospects, purchased)] for year, month, prospects, purchased in rows]

    flat = [[year, month, 8, 2] for year in (2022, 2023) for month in range(1, 13)]
    dip = but(flat, lambda year, month, all, some: (all, 1 if month == 8 else 2))
    may, august = (window_of(may=3), [1, 3]), (window_of(aug=1), [1, 1])
    yield season("every month alike", flat, *may)
    yield season("a weak August", dip, window_of(aug=10), [1, 10])
    yield season("a weak August in a quarter", dip, window_of(jul=12, aug=3, sep=9), [6, 24])
    yield season("a weak August, though nobody came in it", dip, window_of(jul=12, sep=9), [6, 21])
    yield season("nobody came", dip, window_of(), [0, 0])
    none_in_august = but(dip, lambda year, month, all, some: (all, 0 if month == 8 else some))
    yield season("nobody purchased in other Augusts", none_in_august, *august)
    yield season("nobody ever purchased", but(dip, lambda year, month, all, some: (all, 0)), *august)
    yield season("one year alone", flat[:12], *may)
    yield season("one year, and the month in question twice", flat[:12] + [[2023, 5, 4, 4]], *may)
    yield season("a month is missing", [row for row in flat if row[1] != 6], *may)
    yield season("to a month nobody came", but(flat, lambda y, m, all, some: (0, 0) if m == 6 else (all, some)), *may)
    one_may = but(flat, lambda y, m, all, some: (0, 0) if (y, m) == (2023, 5) else (all, some))
    yield season("a month in a year to which nobody came", one_may, *may)
    yield season("nothing is known", [], *may)
    for last in (2021, 2022, 2023, 2024, 2025, 2029):
        window = [dice.choice([0, 0, 0, dice.randint(1, 50)]) for _ in range(12)]
        window[dice.randrange(12)] += 1
        observed = [dice.randint(0, sum(window)), sum(window)]
        yield season(f"2020 to {last}", years(2020, last), window, observed)
        window = [dice.randint(1, 3000) for _ in range(12)]
        observed = [sum(window) // 3, sum(window)]
        yield season(f"2020 to {last}, many, a whole year", years(2020, last, 10**9), window, observed)
        some = [row for row in years(2020, last) if dice.random() < 0.8]
        yield season(f"2020 to {last} with gaps", some, window_of(nov=5, dec=2), [2, 7])


def write(name, cases):
    (FOLDER / name).write_text(listed(cases, "") + "\n", encoding="utf-8")


def write_groups(name, groups):
    text = ",\n".join(f"  {json.dumps(group)}: " + listed(cases, "  ") for group, cases in groups.items())
    (FOLDER / name).write_text(f"{{\n{text}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    numpy.seterr(all="raise")
    write("trend.json", trends())
    write_groups("proportions.json", proportions())
    write("forecast.json", forecasts())
    write("strategy.json", strategies())
    write("season.json", seasons())
