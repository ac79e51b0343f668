#!/usr/bin/env python3
"""Makes the test vectors of our statistics with those of others: SciPy and pymannkendall.

The same bytes come out of every run: what is random is seeded. To run it again, from the project's root:

    python3 -m venv target/vectors
    target/vectors/bin/pip install numpy==2.4.6 scipy==1.17.1 pymannkendall==1.4.3
    target/vectors/bin/python tests/vectors/make.py

trend.json: series of buckets, each `null` or a ratio [numerator, denominator], with
  s            Mann and Kendall's S
  slope        the Theil-Sen slope per bucket                       scipy.stats.theilslopes
  p_value      two-sided: up to 10 figures without ties exact       scipy.stats.kendalltau(method="exact")
               else normal with ties and continuity correction      the z of pymannkendall.original_test
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


def write(name, cases):
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    (FOLDER / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    numpy.seterr(all="raise")
    write("trend.json", trends())
