"""Figures of the gates: how often they are wrong on generated run times, and how fast they are."""
from measure import mean, run_json
from row import Row

# What the older harness does with the same data: name, key of a warning, key of a failure.
RULES = (("robust z among 6 runs", "z6_yellow", "z6_red"),
         ("robust z among 30 runs", "z30_yellow", "z30_red"),
         ("ratio to one run before", "ratio_5", "ratio_10"))


def shapes(rows, key):
    return ", ".join(f"{row['shape']} {row[key]:.1f}" for row in rows)


def rule_rows(rows, what):
    """The rules that perfwrap is to be better than: no bar, mean of the shapes of noise."""
    return [Row(f"  beside it: {rule} warns", mean([row[warns] for row in rows]), "%",
                note=f"of {what}; fails: {mean([row[fails] for row in rows]):.1f} % ({shapes(rows, fails)})")
            for rule, warns, fails in RULES]


def compare_rows(result):
    lines = []
    for n in (20, 10):
        rows = [row for row in result["no_change"] if row["n"] == n]
        for row in rows:
            lines.append(Row(f"compare, no change, n = {n}, {row['shape']}: alarms",
                             row["slower"] + row["faster"], "%", 5, "<=",
                             f"same {row['same']:.1f} %, unsure {row['unsure']:.1f} %"))
        lines += rule_rows(rows, "runs without a change, worse side only")
    for n, bar in ((20, 95), (10, None)):
        rows = [row for row in result["slower_10"] if row["n"] == n]
        for row in rows:
            lines.append(Row(f"compare, 10 % slower, n = {n}, {row['shape']}: found",
                             row["slower"], "%", bar, ">=", f"faster {row['faster']:.1f} %"))
        lines += rule_rows(rows, "runs 10 % slower")
    return lines


def check_rows(result):
    lines = []
    for statistic in ("mean", "median", "p90", "p95"):
        rows = [row for row in result["check"] if row["statistic"] == statistic]
        worst = max(rows, key=lambda row: row["fail"])
        lines.append(Row(f"check by interval, {statistic} just at its bound: fails", worst["fail"],
                         "%", 5, "<=", f"n = {worst['n']}; worst of the shapes: {shapes(rows, 'fail')}"))
        lines.append(Row("  beside it: the statistic alone fails",
                         mean([row["fail_without"] for row in rows]), "%",
                         note=shapes(rows, "fail_without")))
    return lines


def change_point_rows(result):
    lines = []
    for at, what, key in ((30, "noise: any", "any"), (15, "15 % from run 15: found", "near"),
                          (25, "15 % from run 25: found", "near")):
        rows = [row for row in result["change_points"] if row["at"] == at]
        noise = at == 30
        value = max(row[key] for row in rows) if noise else mean([row[key] for row in rows])
        lines.append(Row(f"change points, 30 runs, {what}", value, "%", 5 if noise else None, "<=",
                         f"{'worst' if noise else 'mean'} of the shapes: {shapes(rows, key)}"))
    return lines


def gate(bench):
    """How often compare, check and change points are wrong on 5 % noise, beside simpler rules; CPU time."""
    result = run_json([bench.program("bench_gate"), "1000"])
    ms = result["ms"]
    return (compare_rows(result) + check_rows(result) + change_point_rows(result)
            + [Row("compare, 2 x 10,000 values", ms["compare_10000"], "ms", 50, "<"),
               Row("compare, 2 x 50 values with ties", ms["compare_50_tied"], "ms"),
               Row("change points of 30 values, noise", ms["points_30_noise"], "ms"),
               Row("change points of 30 values, one step", ms["points_30_step"], "ms"),
               Row("change points of 1000 values, nine steps", ms["points_1000_steps"], "ms")])


FIGURES = {"gate": gate}
