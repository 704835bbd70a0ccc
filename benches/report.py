"""Writes the figures of a run of the benches into docs/BENCHMARKS.md, as tables and plots.

    report.py FIGURES.jsonl

Each line of FIGURES.jsonl is a row, as `benches/ingest/figures.rs` leaves it. In the page, what stands between
`<!-- figures: TABLE -->` and `<!-- end -->` is replaced; all else is written by people.
"""

import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/BENCHMARKS.md"
# What a column is called, and how it is written.
COLUMNS = {
    "per_second": ("a second", "{:,.0f}"),
    "p50_ms": ("p50 ms", "{:.1f}"),
    "p99_ms": ("p99 ms", "{:.1f}"),
    "durable_to_this": ("Fanfare ÷ this", "{:.2f}"),
    "cpu_us": ("CPU µs each", "{:,.0f}"),
    "bytes": ("bytes kept each", "{:,.0f}"),
    "rss_mib": ("memory MiB", "{:.0f}"),
    "idle_mib": ("idle memory MiB", "{:.1f}"),
    "ready_ms": ("ready after ms", "{:.0f}"),
    "ratio": ("ratio", "{:.2f}"),
    "to_one": ("to one replica", "{:.2f}"),
    "idle": ("cores idle", "{:.0%}"),
    "postgres_ms": ("CPU ms in PostgreSQL", "{:.2f}"),
    "replica_ms": ("CPU ms in replicas", "{:.2f}"),
    "commits": ("commits each", "{:.2f}"),
    "median_ms": ("median ms", "{:.1f}"),
    "slowest_ms": ("slowest ms", "{:.1f}"),
    "cpu_ms": ("CPU ms", "{:.1f}"),
}
# What a plot shows of a table.
PLOTS = {"ingest": "per_second", "way": "cpu_us", "grown": "cpu_us"}
NAMES = {
    "durable": "Fanfare, SQLite", "misses": "Fanfare, SQLite, 100 rules that miss", "memory": "Fanfare, nothing kept",
    "express": "Express sample, nothing kept", "webhook": "adnanh/webhook, runs /bin/true",
}


def table(rows):
    columns = list(rows[0]["figures"])
    heads = [COLUMNS.get(name, (f"{int(name):,}" if name.isdigit() else name, "{:,.1f}")) for name in columns]
    lines = ["| | " + " | ".join(head for head, _ in heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for row in rows:
        cells = [form.format(row["figures"][name]) for name, (_, form) in zip(columns, heads)]
        lines.append(f"| {NAMES.get(row['row'], row['row'])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(rows, figure):
    """Bars, in the colours of whoever looks."""
    bars = [(NAMES.get(row["row"], row["row"]), row["figures"][figure]) for row in rows]
    most, left, width, step = max(value for _, value in bars), 250, 360, 26
    height = step * len(bars) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" font-family="system-ui, sans-serif" font-size="13">',
        "<style>text{fill:#24292f}rect{fill:#0969da}.peer{fill:#8c959f}"
        "@media(prefers-color-scheme:dark){text{fill:#d0d7de}rect{fill:#58a6ff}.peer{fill:#6e7681}}</style>",
        f'<text x="{left}" y="16" font-weight="600">{COLUMNS[figure][0]}</text>',
    ]
    for nth, (name, value) in enumerate(bars):
        y = 26 + nth * step
        peer = ' class="peer"' if re.search("Express|webhook|reqwest", name) else ""
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{name}</text>')
        parts.append(f'<rect{peer} x="{left}" y="{y}" width="{max(1, width * value / most):.0f}" height="18" rx="2"/>')
        parts.append(f'<text x="{left + width * value / most + 6:.0f}" y="{y + 14}">{COLUMNS[figure][1].format(value)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def synced_appends():
    """How many appends of 4 KiB a second the disk keeps, each synced."""
    with tempfile.NamedTemporaryFile(dir=ROOT / "target") as file:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < 2:
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - began)


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 1024 / 1024
    commit = subprocess.run(["git", "log", "-1", "--format=%h of %cs"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    program = pathlib.Path(os.environ.get("FANFARE", ROOT / "target/dist/fanfare"))
    rows = [
        ("processor", f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores"),
        ("memory", f"{memory:.0f} GiB"),
        ("synced appends of 4 KiB", f"{synced_appends():,.0f} a second"),
        ("commit", commit),
    ]
    if program.exists():
        rows.append(("size of the program", f"{program.stat().st_size / 1024 / 1024:.1f} MiB"))
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def main():
    tables = {}
    for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
        row = json.loads(line)
        rows = tables.setdefault(row["table"], [])
        # The newest run counts.
        rows[:] = [known for known in rows if known["row"] != row["row"]] + [row]
    text = PAGE.read_text()
    for name in re.findall(r"<!-- figures: (.*?) -->", text):
        if name == "machine":
            body = machine()
        elif name in tables:
            body = table(tables[name])
            if name in PLOTS:
                file = PAGE.parent / f"bench/{name}.svg"
                file.parent.mkdir(exist_ok=True)
                file.write_text(plot(tables[name], PLOTS[name]))
                body += f"\n\n![{COLUMNS[PLOTS[name]][0]}](bench/{name}.svg)"
        else:
            print(f"report: nothing was measured for {name}: its figures stay", file=sys.stderr)
            continue
        pattern = re.compile(f"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)", re.S)
        text = pattern.sub(lambda found: f"{found[1]}\n{body}\n\n{found[2]}", text)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
