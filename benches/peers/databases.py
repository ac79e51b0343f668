"""Puts our questions to databases that hold the same rows, and compares answers, then times.

The shape that the databases get is the best that we know for these questions, better than what a CRM has:

- Rows are final. Nobody writes while they are asked, no version of a deal but the last is kept, and what
  changes later (a partner's region, a lead) is folded into them. We answer from rows that may change.
- Keys are small integers: partners, regions, products and channels are numbers, dates are day numbers, the month
  of a deal's end stands in a column of its own, and the days of its cycle in another.
- `credit` is one wide row for each partner of a deal, with that partner's part of the amount: no question joins
  it with deals. `deal` is the same, once for each deal. `prospect` has what became of each prospect, worked out
  beforehand.
- A deal without an end has one far away, so that each question is one range.
- DuckDB has both orders of the wide rows, by partner and by date of the end: each question reads the better one,
  and skips most row groups. Once with all threads, once with one.
- SQLite and PostgreSQL have covering indexes for each question, are analysed, and hold everything in memory:
  mmap and a large cache, shared buffers. PostgreSQL is vacuumed, so that indexes answer alone, and may work in
  parallel.
- DuckDB's answers are taken as columns, not as Python objects. All are asked warm; the median of several times.

We answer more than they do: each scorecard of ours comes with the same KPIs of the window before.
"""

import argparse
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

FAR = 100_000  # a day number after every date
TIMES = 5
SLOW_SECONDS = 5.0  # asked once where the first time took longer

WON, LOST, EXPIRED = 1, 2, 3


# === the rows, as DuckDB reads and shapes them ===

SHAPE = """
CREATE TABLE partner AS SELECT * FROM read_csv('{rows}/partner.csv', {csv}, columns =
    {{'partner': 'INTEGER', 'id': 'VARCHAR', 'region': 'TINYINT'}});
CREATE TABLE share AS SELECT * FROM read_csv('{rows}/credit.csv', {csv}, columns =
    {{'deal': 'INTEGER', 'partner': 'INTEGER', 'share_bps': 'SMALLINT'}});
CREATE TABLE told AS SELECT * FROM read_csv('{rows}/deal.csv', {csv}, columns =
    {{'deal': 'INTEGER', 'opened_on': 'INTEGER', 'closed_on': 'INTEGER', 'expires_on': 'INTEGER',
      'is_won': 'TINYINT', 'amount_e4': 'BIGINT', 'probability_bps': 'SMALLINT', 'region': 'TINYINT',
      'product': 'TINYINT', 'channel': 'TINYINT', 'lead_created_on': 'INTEGER'}});

-- One end: closed, else expired. The region is the deal's, else that of the partner with the greatest share.
CREATE TABLE deal AS
SELECT told.deal, opened_on, coalesce(closed_on, expires_on, {far}) AS ended_on,
    CAST(CASE WHEN closed_on IS NOT NULL THEN CASE is_won WHEN 1 THEN 1 ELSE 2 END
        WHEN expires_on IS NOT NULL THEN 3 ELSE 0 END AS TINYINT) AS outcome,
    amount_e4, probability_bps, coalesce(told.region, partner.region) AS region, product, channel,
    coalesce(closed_on, expires_on, {far}) - opened_on AS cycle_days,
    CASE WHEN coalesce(closed_on, expires_on) IS NOT NULL THEN
        date_diff('month', DATE '1970-01-01' + {first_day},
            DATE '1970-01-01' + CAST(coalesce(closed_on, expires_on) AS INTEGER)) END AS ended_month,
    lead_created_on
FROM told LEFT JOIN share ON share.deal = told.deal AND share_bps >= 5000
    LEFT JOIN partner USING (partner)
ORDER BY ended_on, outcome;

CREATE TABLE credit AS
SELECT partner, opened_on, ended_on, outcome, amount_e4 // 10000 * share_bps AS part_e4, probability_bps,
    cycle_days, region, product, channel
FROM deal JOIN share USING (deal) ORDER BY ended_on, outcome, partner;

-- A lead is a prospect of the partner who sourced it; a deal without one is a prospect of each of its partners.
CREATE TABLE prospect AS
SELECT partner, coalesce(lead_created_on, opened_on) AS came_on, outcome = 1 AS purchased,
    CASE WHEN outcome > 0 THEN ended_on ELSE {far} END AS decided_on
FROM deal JOIN share USING (deal) WHERE lead_created_on IS NULL OR share_bps >= 5000
ORDER BY partner, came_on;

CREATE TABLE credit_by_partner AS SELECT * FROM credit ORDER BY partner, ended_on;
DROP TABLE told;
DROP TABLE share;
"""

CSV = "auto_detect = false, header = true, delim = ','"

TABLES = {
    "partner": "partner INTEGER PRIMARY KEY, id TEXT NOT NULL",
    "deal": "opened_on INTEGER, ended_on INTEGER, outcome SMALLINT, amount_e4 BIGINT, probability_bps SMALLINT, "
    "region SMALLINT, ended_month SMALLINT",
    "credit": "partner INTEGER, opened_on INTEGER, ended_on INTEGER, outcome SMALLINT, part_e4 BIGINT, "
    "probability_bps SMALLINT, cycle_days INTEGER, region SMALLINT, product SMALLINT, channel SMALLINT",
    "prospect": "partner INTEGER, came_on INTEGER, purchased SMALLINT, decided_on INTEGER",
}
INDEXES = [
    "CREATE INDEX credit_of_partner ON credit "
    "(partner, ended_on, outcome, opened_on, part_e4, cycle_days, probability_bps)",
    "CREATE INDEX credit_won ON credit (ended_on, partner, part_e4, cycle_days) WHERE outcome = 1",
    "CREATE INDEX credit_won_in_region ON credit (region, ended_on, partner, part_e4) WHERE outcome = 1",
    "CREATE INDEX credit_won_of_product ON credit (product, channel, ended_on, partner, part_e4) "
    "WHERE outcome = 1",
    "CREATE INDEX prospect_of_partner ON prospect (partner, came_on, purchased, decided_on)",
    "CREATE INDEX prospect_that_came ON prospect (came_on, partner, purchased, decided_on)",
    "CREATE INDEX deal_by_month ON deal (ended_month, outcome, amount_e4, ended_on)",
    "CREATE INDEX deal_of_region ON deal (region, ended_month, outcome, amount_e4, ended_on)",
    "CREATE INDEX deal_by_end ON deal (ended_on, opened_on, amount_e4, probability_bps)",
]

# === the questions ===

# Of all rows that end in the window or after it. Open deals end after today; whoever was in work ends later than
# the window's start. A deal that opened and ended on one day was in work for one.
OF_DEALS = """
    count(*) FILTER (WHERE {won}) AS won_count,
    coalesce(sum(part_e4) FILTER (WHERE {won}), 0) AS won_e4,
    count(part_e4) FILTER (WHERE {won}) AS priced_count,
    count(*) FILTER (WHERE {ended} AND outcome = 2) AS lost_count,
    count(*) FILTER (WHERE {ended} AND outcome = 3) AS expired_count,
    coalesce(sum(part_e4) FILTER (WHERE {ended} AND outcome IN (2, 3)), 0) AS missed_e4,
    coalesce(sum({greatest}(0, {least}({greatest}(ended_on, opened_on + 1), {to}) - {greatest}(opened_on, {from})))
        FILTER (WHERE opened_on < {to}), 0) AS work_days,
    coalesce(sum(cycle_days) FILTER (WHERE {won}), 0) AS cycle_days,
    count(*) FILTER (WHERE {open}) AS open_count,
    coalesce(sum(part_e4) FILTER (WHERE {open}), 0) AS open_e4,
    coalesce(sum(part_e4 {div} 100 * (probability_bps {div} 100)) FILTER (WHERE {open}), 0) AS weighted_e4,
    count(*) FILTER (WHERE {open} AND probability_bps IS NULL) AS unweighted_count
"""
OF_PROSPECTS = """
    count(*) AS prospect_count,
    count(*) FILTER (WHERE {bought} AND decided_on <= {as_of}) AS purchased_count
"""
CARD_COLUMNS = """won_count, won_e4, priced_count, lost_count, expired_count, missed_e4, prospect_count,
    purchased_count, work_days, cycle_days, open_count, open_e4, weighted_e4, unweighted_count"""

SCORECARD = (
    "SELECT " + CARD_COLUMNS + " FROM (SELECT " + OF_DEALS + """
    FROM {by_partner} WHERE partner = {partner} AND ended_on >= {from}) AS deals,
    (SELECT """ + OF_PROSPECTS + """
    FROM prospect WHERE partner = {partner} AND came_on >= {from} AND came_on < {to}) AS prospects"""
)

# Every partner is ranked, those too who won nothing.
TOP_100 = """
WITH won AS (
    SELECT partner, sum(part_e4) AS won_e4, count(*) AS won_count FROM credit
    WHERE outcome = 1 AND ended_on >= {from} AND ended_on < {to} {and} GROUP BY partner
), ranked AS (
    SELECT partner.id, coalesce(won_e4, 0) AS won_e4, coalesce(won_count, 0) AS won_count
    FROM partner LEFT JOIN won USING (partner)
)
SELECT rank() OVER (ORDER BY won_e4 DESC), id, won_e4, won_count FROM ranked
ORDER BY won_e4 DESC, id {bytes} LIMIT 100
"""

SERIES = """
SELECT ended_month, count(*) FILTER (WHERE outcome = 1),
    coalesce(sum(amount_e4) FILTER (WHERE outcome = 1), 0), count(amount_e4) FILTER (WHERE outcome = 1),
    count(*) FILTER (WHERE outcome = 2), count(*) FILTER (WHERE outcome = 3)
FROM deal WHERE ended_month IS NOT NULL AND ended_on <= {as_of} {and} GROUP BY ended_month ORDER BY ended_month
"""

# The peers are those who had a deal opened, open or ended in the window.
EVERY_PARTNER = """
WITH deals AS (SELECT partner, """ + OF_DEALS + """,
        count(*) FILTER (WHERE opened_on < {to}) > 0 AS is_peer
    FROM {by_partner} WHERE ended_on >= {from} GROUP BY partner),
prospects AS (SELECT partner, """ + OF_PROSPECTS + """
    FROM prospect WHERE came_on >= {from} AND came_on < {to} GROUP BY partner),
peers AS (
    SELECT partner, rank() OVER (ORDER BY won_e4 DESC) AS won_rank, count(*) OVER () AS peer_count,
        sum(won_e4) OVER () AS all_won_e4
    FROM deals WHERE is_peer)
SELECT id, """ + ", ".join(
    f"coalesce({column.strip()}, 0)" for column in CARD_COLUMNS.split(",")
) + """,
    CASE WHEN all_won_e4 > 0 THEN won_rank END, CASE WHEN all_won_e4 > 0 THEN peer_count END
FROM partner LEFT JOIN deals USING (partner) LEFT JOIN prospects USING (partner) LEFT JOIN peers USING (partner)
ORDER BY id {bytes}
"""

# Nearest rank: of an even number the lower one of the two in the middle.
MEDIAN_CYCLES = """
SELECT id, median FROM (
    SELECT partner, {median} AS median FROM credit
    WHERE outcome = 1 AND ended_on >= {from} AND ended_on < {to} GROUP BY partner) AS medians
JOIN partner USING (partner) ORDER BY id {bytes}
"""
# SQLite has no median. Rows are counted and numbered, and the one in the middle is taken.
MEDIAN_CYCLES_SQLITE = """
SELECT id, cycle_days FROM (
    SELECT partner, cycle_days, row_number() OVER (PARTITION BY partner ORDER BY cycle_days) AS number,
        count(*) OVER (PARTITION BY partner) AS count
    FROM credit WHERE outcome = 1 AND ended_on >= {from} AND ended_on < {to})
JOIN partner USING (partner) WHERE number = (count + 1) / 2 ORDER BY id {bytes}
"""

PIPELINE = """
SELECT count(*), coalesce(sum(amount_e4), 0), count(*) - count(amount_e4) {weights}
FROM deal WHERE ended_on > {on} AND opened_on <= {on}
"""
WEIGHTS = """, coalesce(sum(amount_e4 {div} 100 * (probability_bps {div} 100)), 0),
    count(*) - count(probability_bps)"""

IN_REGION = "AND region = {region}"
OF_PRODUCT_AND_CHANNEL = "AND product = {product} AND channel = {channel}"

# Name, what it is, its SQL, and what its `{and}` or `{weights}` stands for.
QUESTIONS = {
    "scorecard_typical": ("scorecard of a typical partner, 90 days", SCORECARD, {}),
    "scorecard_heaviest": ("scorecard of the heaviest partner, 90 days", SCORECARD, {}),
    "top_100": ("top 100 by won amount, 90 days, first time", TOP_100, {"and": ""}),
    "top_100_again": ("the same asked again (we keep the board)", TOP_100, {"and": ""}),
    "top_100_region": ("top 100 in a region, first time", TOP_100, {"and": IN_REGION}),
    "top_100_product_channel": (
        "top 100 of a product by a channel, first time", TOP_100, {"and": OF_PRODUCT_AND_CHANNEL}),
    "series_tenant": ("36 months of the tenant", SERIES, {"and": ""}),
    "series_region": ("36 months of a region", SERIES, {"and": IN_REGION}),
    "every_partner": ("all KPIs of every partner, 90 days", EVERY_PARTNER, {}),
    "median_cycles": ("exact median cycle of every partner, 90 days", MEDIAN_CYCLES, {}),
    "pipeline_today": ("pipeline of the tenant today", PIPELINE, {"weights": WEIGHTS}),
    "pipeline_year_ago": ("pipeline of the tenant a year ago", PIPELINE, {"weights": ""}),
}


class Dialect:
    """How a database says a few things. `case` has the numbers of a question."""

    greatest, least, bytes, div = "greatest", "least", "", "/"
    by_partner, bought = "credit", "purchased = 1"
    median = "percentile_disc(0.5) WITHIN GROUP (ORDER BY cycle_days)"
    other = {}

    def sql(self, name, case, as_of):
        _, text, parts = QUESTIONS[name]
        text = self.other.get(name, text)
        if name == "scorecard_typical" or name == "scorecard_heaviest":
            text = text.replace("{by_partner}", self.by_partner)
        words = {
            "ended": "ended_on >= {from} AND ended_on < {to}",
            "won": "outcome = 1 AND ended_on >= {from} AND ended_on < {to}",
            "open": "opened_on <= {as_of} AND ended_on > {as_of}",
            "by_partner": "credit", "greatest": self.greatest, "least": self.least, "bytes": self.bytes, "div": self.div,
            "median": self.median, "bought": self.bought, **parts,
        }
        numbers = {**case, "as_of": as_of}
        for _ in range(2):  # words may hold numbers
            for word, meaning in {**words, **numbers}.items():
                text = text.replace("{" + word + "}", str(meaning))
        return text


class Duck(Dialect):
    div, by_partner, bought = "//", "credit_by_partner", "purchased"
    median = "quantile_disc(cycle_days, 0.5)"

    def __init__(self, database, threads):
        self.name = f"DuckDB {duckdb.__version__}, {threads} thread{'s' if threads > 1 else ''}"
        self.threads, self.connection = threads, database

    def rows(self, sql):
        return self.connection.execute(sql).fetchall()

    def seconds(self, sql):
        self.connection.execute(f"SET threads = {self.threads}")
        began = time.perf_counter()
        self.connection.execute(sql).fetchnumpy()
        return time.perf_counter() - began


class Fetching(Dialect):
    """A database whose driver gives rows."""

    def rows(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall()

    def seconds(self, sql):
        began = time.perf_counter()
        self.rows(sql)
        return time.perf_counter() - began


class Lite(Fetching):
    greatest, least = "max", "min"
    other = {"median_cycles": MEDIAN_CYCLES_SQLITE}

    def __init__(self, file, duck):
        self.name = f"SQLite {sqlite3.sqlite_version}"
        self.connection = sqlite3.connect(file)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000",
                       "mmap_size = 30000000000", "temp_store = MEMORY"):
            self.connection.execute(f"PRAGMA {pragma}")
        for table, columns in TABLES.items():
            self.connection.execute(f"CREATE TABLE {table} ({columns})")
            names = [column.split()[0] for column in columns.split(", ")]
            asked = duck.execute(f"SELECT {', '.join(names)} FROM {table}")
            marks = ", ".join("?" * len(names))
            while rows := asked.fetchmany(100_000):
                self.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        for index in INDEXES:
            self.connection.execute(index)
        self.connection.execute("ANALYZE")
        self.connection.commit()


class Postgres(Fetching):
    bytes = 'COLLATE "C"'

    def __init__(self, socket, rows, duck):
        import psycopg

        self.connection = psycopg.connect(host=socket, user="postgres", dbname="postgres", autocommit=True)
        self.name = f"PostgreSQL {self.connection.info.server_version // 10_000}"
        cursor = self.connection.cursor()
        for table, columns in TABLES.items():
            names = ", ".join(column.split()[0] for column in columns.split(", "))
            file = rows / f"shaped_{table}.csv"
            select = f"SELECT {names} FROM {table}".replace("purchased", "CAST(purchased AS INTEGER) AS purchased")
            duck.execute(f"COPY ({select}) TO '{file}' (HEADER false)")
            cursor.execute(f"CREATE UNLOGGED TABLE {table} ({columns})")
            with open(file, "rb") as lines, cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy:
                while block := lines.read(1 << 20):
                    copy.write(block)
            file.unlink()
        for index in INDEXES:
            cursor.execute(index)
        cursor.execute("VACUUM (ANALYZE)")


@contextlib.contextmanager
def postgres_server():
    """The socket of a server of our own, or None where there is none that could run."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    programs = found[-1].parent if found else None
    on_path = shutil.which("initdb")
    if programs is None and on_path:
        programs = pathlib.Path(on_path).resolve().parent
    as_user = []
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            programs = None
        as_user = ["runuser", "-u", "postgres", "--"]
    if programs is None:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="peers-postgres-")
    if as_user:
        shutil.chown(folder, "postgres")
    cores = os.cpu_count() or 1
    settings = (f"-c listen_addresses='' -k {folder} -c shared_buffers=2GB -c work_mem=256MB -c jit=off "
                f"-c maintenance_work_mem=512MB -c max_wal_size=8GB -c fsync=off -c effective_cache_size=8GB "
                f"-c random_page_cost=1.1 -c max_parallel_workers_per_gather={cores} "
                f"-c max_parallel_workers={cores}")
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder}
    try:
        subprocess.run([*as_user, programs / "initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust",
                        "--locale=C", "-E", "UTF8"], check=True, **quiet)
        subprocess.run([*as_user, programs / "pg_ctl", "-D", f"{folder}/data", "-o", settings, "-w",
                        "-l", f"{folder}/log", "start"], check=True, **quiet)
        yield folder
    finally:
        subprocess.run([*as_user, programs / "pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "-w", "stop"],
                       check=False, stderr=subprocess.DEVNULL, **quiet)
        shutil.rmtree(folder, ignore_errors=True)


# === equal first, then how fast ===


def plain(rows):
    """Numbers as Python's own: databases have several kinds of whole numbers."""
    return [[value if value is None or isinstance(value, str) else exact(value) for value in row] for row in rows]


def exact(value):
    whole = int(value)
    assert whole == value, f"{value!r} is no whole number"
    return whole


def compare(database, question, as_of):
    """Ends the run at the first difference: which question, both values, the rows around it."""
    for case in question["cases"]:
        numbers = {name: value for name, value in case.items() if name != "rows"}
        sql = database.sql(question["name"], numbers, as_of)
        ours, theirs = case["rows"], plain(database.rows(sql))
        if ours == theirs:
            continue
        print(f"\nNOT EQUAL: {question['name']} {numbers}, {database.name}", file=sys.stderr)
        print(f"rows: ours {len(ours)}, theirs {len(theirs)}", file=sys.stderr)
        differing = [at for at, (one, other) in enumerate(zip(ours, theirs)) if one != other]
        first = differing[0] if differing else min(len(ours), len(theirs))
        for at in range(max(0, first - 1), first + 3):
            for who, rows in (("ours  ", ours), ("theirs", theirs)):
                if at < len(rows):
                    mark = ">" if at == first else " "
                    print(f"{mark} row {at} {who} {rows[at]}", file=sys.stderr)
        print(sql, file=sys.stderr)
        sys.exit(1)


def median_seconds(database, question, as_of):
    sqls = [database.sql(question["name"], {k: v for k, v in case.items() if k != "rows"}, as_of)
            for case in question["cases"]]
    first = database.seconds(sqls[0])  # warm: it isn't counted, unless it is too slow to be repeated
    if first > SLOW_SECONDS:
        return first
    return statistics.median(database.seconds(sqls[at % len(sqls)]) for at in range(max(TIMES, len(sqls))))


def shown(seconds):
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s")):
        if seconds < limit:
            value = seconds * factor
            return f"{value:.2f} {unit}" if value < 9.995 else f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def table(told, names, timed):
    print(f"\n{told['deals']:,} deals, {told['partners']:,} partners, {os.cpu_count()} cores; all answers are equal. "
          "In brackets: how many times as long as ours.\n")
    print("| question | channel-kpi | " + " | ".join(names) + " |")
    print("| --- | ---: |" + " ---: |" * len(names))
    for question in told["questions"]:
        ours = question["seconds"]
        theirs = [f"{shown(seconds)} ({seconds / ours:,.1f} ×)" if seconds / ours < 100
                  else f"{shown(seconds)} ({seconds / ours:,.0f} ×)" for seconds in timed[question["name"]]]
        print(f"| {QUESTIONS[question['name']][0]} | {shown(ours)} | " + " | ".join(theirs) + " |")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("rows", type=pathlib.Path)
    options.add_argument("--quick", action="store_true", help="compare answers, measure nothing")
    options = options.parse_args()
    told = json.loads((options.rows / "ours.json").read_text())
    as_of = told["as_of"]
    missing = set(QUESTIONS) ^ {question["name"] for question in told["questions"]}
    assert not missing, f"asked on one side alone: {missing}"

    duck = duckdb.connect()
    duck.execute(SHAPE.format(csv=CSV, rows=options.rows, far=FAR, first_day=told["first_day"]))
    with contextlib.ExitStack() as stack:
        cores = os.cpu_count() or 1
        builders = [lambda threads=threads: Duck(duck, threads) for threads in sorted({cores, 1}, reverse=True)]
        builders.append(lambda: Lite(options.rows / "peers.sqlite", duck))
        socket = None if options.quick else stack.enter_context(postgres_server())
        if socket:
            builders.append(lambda: Postgres(socket, options.rows, duck))
        names, timed = [], {question["name"]: [] for question in told["questions"]}
        # One after the other, so that each has the memory to itself.
        for build in builders:
            database = build()
            print(f"{database.name}: filled", file=sys.stderr)
            for question in told["questions"]:
                compare(database, question, as_of)
            print(f"{database.name}: all answers are equal to ours", file=sys.stderr)
            if options.quick:
                continue
            names.append(database.name)
            for question in told["questions"]:
                timed[question["name"]].append(median_seconds(database, question, as_of))
        if not options.quick:
            table(told, names, timed)


if __name__ == "__main__":
    main()
