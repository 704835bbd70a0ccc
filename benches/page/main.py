"""How long the server takes for each page and list of the admin surface over a large store.

A real server receives, plans and sends the sixteen samples of JewelMusic. Their rows are then copied by SQL until the inbox
holds as many events as asked for, spread over thirty days, and a server on that store is asked for each page.

    main.py PROGRAM sqlite|postgres [EVENTS] [ROUNDS]
"""

import glob
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

LIMIT_MS = 100
SPAN_MS = 30 * 24 * 3_600_000
SECRET = "whsec-of-the-bench-0123456789abcdef"
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, *_):
        pass


def sink():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def free_port():
    with http.server.HTTPServer(("127.0.0.1", 0), Sink) as server:
        return server.server_address[1]


class Postgres:
    """A server of its own, as a user that it accepts."""

    def __init__(self, folder):
        self.bin = max(glob.glob("/usr/lib/postgresql/*/bin"), default="")
        self.user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self.data, self.port = folder / "pg", free_port()
        if self.user:
            shutil.chown(folder, "postgres")
            folder.chmod(0o755)
        self.run("initdb", "-D", self.data, "-U", "fanfare", "-A", "trust", "-E", "UTF8")
        with open(self.data / "postgresql.conf", "a") as settings:
            settings.write(f"port = {self.port}\nunix_socket_directories = ''\nmax_wal_size = '8GB'\n")
        self.run("pg_ctl", "-D", self.data, "-w", "-l", folder / "pg.log", "start")
        self.url = f"postgres://fanfare@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def run(self, program, *arguments):
        command = [*self.user, os.path.join(self.bin, program), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/tmp")

    def execute(self, text):
        command = ["psql", "-qtA", "-v", "ON_ERROR_STOP=1", self.url, "-c", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def end(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")


class Sqlite:
    def __init__(self, folder):
        self.url = f"sqlite:{folder}/bench.db"
        self.file = folder / "bench.db"

    def execute(self, text):
        with sqlite3.connect(self.file) as connection:
            connection.execute("PRAGMA synchronous = off")
            row = None
            for one in text.split(";"):
                if one.strip():
                    row = connection.execute(one).fetchone()
        return "|".join(str(value) for value in row or ())

    def end(self):
        pass


class Server:
    def __init__(self, program, folder, admin):
        self.admin = admin
        command = [program, "--config", folder / "fanfare.yaml", "serve"]
        self.log = open(folder / "serve.log", "a")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        for _ in range(1200):
            try:
                return self.get("/readyz") and None
            except OSError:
                if self.process.poll() is not None:
                    sys.exit((folder / "serve.log").read_text())
                time.sleep(0.1)
        sys.exit("the server does not become ready")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=120) as answer:
            return answer.read()

    def cpu_ms(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def status(self):
        return json.loads(self.get("/api/v1/status"))

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def config(folder, store, port, admin, listen):
    names = ["release-team", "fans", "label-heads", "finance", "oncall", "ledger"]
    destinations = "".join(f"  {name}: {{type: http, url: \"http://127.0.0.1:{port}/{name}\"}}\n" for name in names)
    (folder / "fanfare.yaml").write_text(
        f"listen: 127.0.0.1:{listen}\nadmin: {{listen: \"127.0.0.1:{admin}\"}}\nstore: \"{store.url}\"\n"
        f"retention: 3650d\n"
        f"sources:\n  jewelmusic: {{preset: jewelmusic, secrets: [{SECRET}]}}\ndestinations:\n{destinations}"
    )
    for name in ("rules", "templates"):
        shutil.copytree(REPOSITORY / name, folder / name)


def fill(store, events):
    """Copies what is there until the inbox holds this many events, over thirty days."""
    pg = isinstance(store, Postgres)
    first, last, count = map(int, store.execute("SELECT min(seq), max(seq), count(*) FROM inbox WHERE what = 0").split("|"))
    span, copies = last - first + 1, max(1, events // count)
    now = int(time.time() * 1000)
    series = f"generate_series(1, {copies}) AS c(k)" if pg else "copies AS c"
    head = "" if pg else f"WITH RECURSIVE copies(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM copies WHERE k < {copies}) "
    at = f"{now - SPAN_MS} + CAST(c.k AS bigint) * {SPAN_MS // copies}" if pg else f"{now - SPAN_MS} + c.k * {SPAN_MS // copies}"
    seq = lambda column: f"{column} + c.k * {span}"
    nth = int(store.execute("SELECT coalesce(max(n), 0) FROM deliveries"))
    n = lambda column: f"{column} + c.k * {nth}"
    identity = "OVERRIDING SYSTEM VALUE " if pg else ""

    def copy(table, columns, where="1 = 1", changed=None, own=""):
        changed = changed or {}
        chosen = ", ".join(changed.get(name, f"t.{name}") for name in columns)
        store.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) {own}"
            f"{head}SELECT {chosen} FROM {series}, {table}_seed AS t WHERE {where} ORDER BY c.k"
        )

    for table in ("inbox", "whys", "deliveries", "contents", "attempts"):
        store.execute(f"CREATE TABLE {table}_seed AS SELECT * FROM {table}")
    copy("inbox", ["seq", "what", "source", "id", "type", "created", "received", "proof", "body", "raw"], "t.what = 0",
         {"seq": seq("t.seq"), "id": "t.id || '_' || c.k", "created": at, "received": at})
    copy("whys", ["event", "rule", "outcome", "note", "detail"], changed={"event": seq("t.event")})
    copy("deliveries",
         ["n", "id", "event", "rule", "action", "destination", "act", "lane", "due", "state", "next", "attempts",
          "first_attempt", "counts_from", "plain", "last_error", "created", "finished", "token", "started", "lost"],
         changed={"n": n("t.n"), "id": "t.id || '_' || c.k", "event": seq("t.event"), "created": at, "due": at,
                  "finished": at, "lane": "NULL", "state": "CASE WHEN c.k % 5000 = 0 THEN 'dead' ELSE 'delivered' END"},
         own=identity)
    copy("contents", ["n", "assignment", "message"], changed={"n": n("t.n")})
    copy("attempts", ["n", "number", "at", "took_ms", "outcome", "sent", "answer"], changed={"n": n("t.n"), "at": at})
    for table in ("inbox", "whys", "deliveries", "contents", "attempts"):
        store.execute(f"DROP TABLE {table}_seed")
    top = int(store.execute("SELECT max(seq) FROM inbox"))
    # One event that a search has to find, 20,000 places back.
    needle = b'{"id":"evt_needle","type":"release.live","created":1767607200,"data":{"title":"Needle","artist":"Haystack"}}'
    body = int.from_bytes(hashlib.sha256(needle).digest()[:8], "big", signed=True)
    raw = f"'\\x{needle.hex()}'" if pg else f"x'{needle.hex()}'"
    place = int(store.execute(f"SELECT max(seq) FROM inbox WHERE seq <= {top - 20_000}"))
    store.execute(f"UPDATE inbox SET id = 'evt_needle', raw = {raw}, body = {body} WHERE seq = {place}")
    if pg:
        store.execute(f"UPDATE head SET seq = {top}; UPDATE planner SET planned = {top}")
        store.execute("SELECT setval(pg_get_serial_sequence('deliveries', 'n'), (SELECT max(n) FROM deliveries))")
        store.execute("VACUUM ANALYZE")
    else:
        store.execute(f"UPDATE meta SET value = {top} WHERE name IN ('planned', 'indexed')")
        store.execute("ANALYZE")
    return top


def paths(server, top):
    middle = top // 2
    case = json.loads(server.get("/api/v1/cases"))[0]["id"].replace("%", "%25").replace("/", "%2F")
    delivery = json.loads(server.get("/api/v1/deliveries?limit=1"))[0]["id"]
    return [
        "/", "/events", "/events?type=release.live", f"/events?before={middle}", "/events?q=haystack", "/events?q=evt_needle",
        "/events?outcome=throttled", f"/events/{middle}", f"/events/{middle}/evidence", "/cases", "/cases?show=closed",
        f"/cases/{case}", "/upcoming", "/deliveries", "/deliveries?state=dead", "/deliveries?destination=release-team",
        "/deliveries?rule=royalty-paid", f"/deliveries/{delivery}", "/rules", "/playground?rule=release-live",
        "/destinations", "/mutes", "/mutes?destination=release-team", "/audit", "/metrics", "/api/v1/status",
        "/api/v1/events", f"/api/v1/events?before={middle}", f"/api/v1/events?after={middle}",
        "/api/v1/events?type=release.*", "/api/v1/deliveries", "/api/v1/deliveries?state=dead&limit=1000", "/api/v1/cases",
        "/api/v1/upcoming", "/api/v1/audit", "/api/v1/mutes", "/api/v1/destinations",
    ]


def main():
    program, kind = sys.argv[1], sys.argv[2]
    events = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000_000
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 9
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fanfare-page-"))
    store = Postgres(folder) if kind == "postgres" else Sqlite(folder)
    try:
        admin, listen = free_port(), free_port()
        config(folder, store, sink(), admin, listen)
        server = Server(program, folder, admin)
        # All of them close their cases; one more stays open.
        for what in ("--all", "fraud.action_required"):
            time.sleep(1)
            sent = [program, "--config", folder / "fanfare.yaml", "send", what]
            subprocess.run(sent, check=True, stdout=subprocess.DEVNULL)
        while any(server.status()["deliveries"][state] for state in ("due", "sending", "retrying")):
            time.sleep(0.5)
        server.end()
        began = time.time()
        top = fill(store, events)
        count = store.execute("SELECT count(*) FROM inbox").split("|")[0]
        print(f"{kind}: {count} entries in {time.time() - began:.0f} s", flush=True)
        server = Server(program, folder, admin)
        slow = 0
        for path in paths(server, top):
            took, used = [], server.cpu_ms()
            for _ in range(rounds):
                began = time.perf_counter()
                server.get(path)
                took.append((time.perf_counter() - began) * 1000)
            median = statistics.median(took)
            slow += median > LIMIT_MS
            used = (server.cpu_ms() - used) / rounds
            if "FIGURES" in os.environ:
                figures = {"median_ms": median, "slowest_ms": max(took), "cpu_ms": used}
                with open(os.environ["FIGURES"], "a") as file:
                    file.write(json.dumps({"table": f"page {kind}", "row": f"`{path}`", "figures": figures}) + "\n")
            print(f"{median:8.1f} ms {max(took):8.1f} ms {used:8.1f} ms of CPU  {path}{'  SLOW' if median > LIMIT_MS else ''}", flush=True)
        server.end()
        print(f"{kind}: {slow} over {LIMIT_MS} ms (median and slowest of {rounds})")
        return 1 if slow else 0
    finally:
        store.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
