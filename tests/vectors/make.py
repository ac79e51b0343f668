#!/usr/bin/env python3
"""Makes the test vectors of our statistics with those of others: NumPy, SciPy and pymannkendall.

The same bytes come out of every run: what is random is seeded. To run it again, from the project's root:

    python3 -m venv target/vectors
    target/vectors/bin/pip install numpy==2.4.6 scipy==1.17.1 pymannkendall==1.4.3
    target/vectors/bin/python tests/vectors/make.py

trend.json: series of buckets, each `null` or a ratio [numerator, denominator], with
  s            Mann and Kendall's S
  slope        the Theil-Sen slope per bucket                       scipy.stats.theilslopes
  p_value      two-sided: up to 10 figures without ties exact       scipy.stats.kendalltau(method="exact")
               else normal with ties and continuity correction      the z of pymannkendall.original_test

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
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    (FOLDER / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    numpy.seterr(all="raise")
    write("trend.json", trends())
    write("season.json", seasons())
