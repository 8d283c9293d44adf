#!/usr/bin/env python3
"""Benchmarks beside the peers, in turn (A B A B), medians and ratios. Standard library only.

  cargo xtask bench            all jobs
  cargo xtask bench J2 J5      some
  cargo xtask bench M3         mounts (M1 to M5, bench_mounts.py): for root, in a mount namespace of their own

Peers and meters (Debian: nginx-core wrk findutils tar time; b3sum from the crate registry) are started here, on
loopback; a missing one is named.
The page cache is warm. Data is made once, under target/bench.
"""
import functools, json, os, pathlib, random, re, shutil, signal, socket, statistics, subprocess, sys, time, urllib.parse, zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
DATA = TARGET / "bench"
OVL, SERVER = TARGET / "release/ovl", TARGET / "release/ovl-server"
ROUNDS = int(os.environ.get("OVL_ROUNDS", "5"))
TICK = os.sysconf("SC_CLK_TCK")


# ---- measuring ----

def spend(argv):
    """Runs a command to its end: wall seconds, CPU seconds."""
    start = time.perf_counter()
    child = subprocess.Popen([str(a) for a in argv], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{argv}: exit {child.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def peak_mib(argv):
    """Returns the peak memory of a command. GNU time starts it, since what we start ourselves inherits our peak."""
    out = subprocess.run(["time", "-f", "%M", *map(str, argv)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    return int(out.stderr.split()[-1]) / 1024


def in_turn(ours, theirs):
    """Runs both in turn and returns the median of each figure."""
    pairs = [(ours(), theirs()) for _ in range(ROUNDS)]
    middle = lambda side: tuple(statistics.median(column) for column in zip(*(pair[side] for pair in pairs)))
    return middle(0), middle(1)


def report(job, what, unit, ours, theirs, peer, goal, higher=False):
    ratio = ours / theirs if theirs else float("nan")
    met = ratio >= goal if higher else ratio <= goal
    sign = ">=" if higher else "<="
    print(f"{job}  {what:<46} {ours:>10.3f} {unit:<6} {peer} {theirs:>10.3f}   {ratio:5.2f}x"
          f"   goal {sign} {goal}x   {'met' if met else 'NOT met'}", flush=True)


def plain(job, what, value, unit, goal):
    print(f"{job}  {what:<46} {value:>10.3f} {unit:<6} goal <= {goal} {unit}   {'met' if value <= goal else 'NOT met'}",
          flush=True)


def missing(job, program):
    print(f"{job}  not measured: the peer `{program}` is missing")


# ---- data ----

def text(rng, size):
    words = "layer upper lower merged whiteout opaque copy up work index redirect name path tree".split()
    return " ".join(rng.choice(words) for _ in range(size // 6 + 1)).encode()[:size]


def once(name, make):
    path = DATA / name
    if not path.exists():
        print(f"making {name} …", file=sys.stderr, flush=True)
        DATA.mkdir(parents=True, exist_ok=True)
        part = DATA / (name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        make(part)
        part.rename(path)
    return path


def small_dir(path):
    rng = random.Random(1)
    for i in range(10000):
        file = path / f"d{i // 100:02}" / f"f{i:05}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text(rng, 4096))


def zipped(source, method):
    def make(path):
        with zipfile.ZipFile(path, "w", method) as out:
            for file in sorted(p for p in source.rglob("*") if p.is_file()):
                out.write(file, file.relative_to(source).as_posix())
    return make


def many(count):
    def make(path):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
            for i in range(count):
                out.writestr(f"p{i % 97:02}/q{i // 97 % 53:02}/file_{i:07}.txt", b"%d" % i)
    return make


def layers(count, base, delta):
    def make(path):
        rng = random.Random(2)
        names = [f"d{i % 60:02}/e{i // 60 % 80:02}/f{i:06}" for i in range(base)]
        for layer in range(count):
            chosen = names if layer == 0 else rng.sample(names, delta)
            for name in chosen:
                file = path / f"l{layer:02}" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"%d" % layer)
    return make


def big(path):
    block = random.Random(3).randbytes(1 << 20)
    with open(path, "wb") as out:
        for _ in range(1024):
            out.write(block)


# ---- servers ----

class Server:
    """A server of ours or a peer's, on a port of its own; ended by its process id."""

    def __init__(self, argv, port):
        self.port = port
        self.child = subprocess.Popen([str(a) for a in argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                return socket.create_connection(("127.0.0.1", port), 0.1).close()
            except OSError:
                time.sleep(0.1)
        sys.exit(f"{argv[0]} does not answer")

    def pids(self):
        pid = self.child.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def cpu(self):
        stats = (pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids())
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICK

    def peak(self):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(20)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ovl(*flags):
    port = free_port()
    return Server([SERVER, "--listen", f"127.0.0.1:{port}", "--no-auth", *flags], port)


def nginx(root, dav=False):
    port, home = free_port(), DATA / "nginx"
    shutil.rmtree(home, ignore_errors=True)
    (home / "tmp").mkdir(parents=True)
    home.chmod(0o777)
    methods = "dav_methods PUT DELETE; create_full_put_path on; client_body_temp_path tmp;" if dav else ""
    conf = home / "nginx.conf"
    conf.write_text(f"""
user root; worker_processes 2; pid {home}/pid; error_log {home}/error.log crit; daemon off;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; client_max_body_size 0;
  server {{ listen 127.0.0.1:{port}; root {root}; {methods} }} }}""")
    return Server(["nginx", "-p", home, "-c", conf], port)


def wrk(server, script, connections, headers=(), seconds=4):
    argv = ["wrk", "-t1" if connections == 1 else "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script]
    before = server.cpu()
    for header in headers:
        argv += ["-H", header]
    out = subprocess.run([*map(str, argv), f"http://127.0.0.1:{server.port}/"], capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if bad:
        sys.exit(f"{bad[0]} from port {server.port}:\n{out}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", out).groups()
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], (server.cpu() - before) / (rate * seconds)


def get_script(name, source, prefix):
    files = sorted(p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file())
    random.Random(4).shuffle(files)
    script = DATA / name
    lines = "\n".join(f'  "{prefix}{urllib.parse.quote(f)}",' for f in files)
    script.write_text("local p = {\n" + lines + "\n}\nlocal n = 0\n"
                      'request = function()\n  n = n % #p + 1\n  return wrk.format("GET", p[n])\nend\n')
    return script


def put_script(name, prefix):
    script = DATA / name
    script.write_text('math.randomseed(os.time())\nlocal n, base = 0, math.random(1, 1e9)\n'
                      'local body = string.rep("x", 4096)\n'
                      f'request = function()\n  n = (n + 1) % 1000\n'
                      f'  return wrk.format("PUT", "{prefix}f" .. n, nil, body)\nend\n')
    return script


# ---- jobs ----

def j1():
    """Open a zip and list its root."""
    for count, name in ((100_000, "t100k.zip"), (1_000_000, "t1m.zip")):
        archive = once(name, many(count))
        peer = TARGET / "release/examples/peer_zip"
        listed = [OVL, "ls", "--lower", archive, "/"]
        ours, theirs = in_turn(lambda: spend(listed), lambda: spend([peer, archive]))
        report("J1", f"{name}: ready and root listed", "s", ours[0], theirs[0], "zip crate", 0.4)
        if count == 100_000:
            plain("J1", f"{name}: CPU", ours[1], "s", 0.15)
            plain("J1", f"{name}: peak memory", peak_mib(listed), "MiB", 25)
        else:
            plain("J1", f"{name}: peak memory an entry", peak_mib(listed) * 2**20 / count, "B", 110)


def j2():
    """Recursive listing of a merged tree, with attributes."""
    for count in (1, 16):
        stack = once(f"stack{count}", layers(count, 100_000, 1000))
        tops = sorted(stack.iterdir(), reverse=True)
        flags = [word for top in tops for word in ("--lower", top)]
        ours, theirs = in_turn(lambda: spend([OVL, "ls", "--recursive", "--long", *flags, "/"]),
                               lambda: spend(["find", *tops, "-printf", "%M %s %T@ %p\n"]))
        report("J2", f"K={count}: recursive listing", "s", ours[0], theirs[0], "find", 1.0)
        report("J2", f"K={count}: CPU of it", "s", ours[1], theirs[1], "find", 1.0)


def j3():
    """Reading over HTTP."""
    if not shutil.which("nginx") or not shutil.which("wrk"):
        return missing("J3", "nginx or wrk")
    small = once("small", small_dir)
    stored, deflated = once("stored.zip", zipped(small, 0)), once("deflated.zip", zipped(small, 8))
    ours_get, their_get = get_script("get-ovl.lua", small, "/v1/files/"), get_script("get-nginx.lua", small, "/")
    gzip = ("Accept-Encoding: gzip",)
    cases = ((small, (), 0.8, "a directory"), (stored, (), 1.2, "stored members"), (deflated, gzip, 1.2, "pass-through"))
    with nginx(small) as peer:
        for lower, headers, goal, what in cases:
            with ovl("--lower", lower) as server:
                wrk(server, ours_get, 32, headers, 6)  # the first read of a member verifies it
                ours, theirs = in_turn(lambda: wrk(server, ours_get, 32, headers), lambda: wrk(peer, their_get, 32))
                report("J3", f"4 KiB GET, 32 connections, {what}", "req/s", ours[0], theirs[0], "nginx", goal, True)
                report("J3", "  CPU a request", "ms", ours[2] * 1e3, theirs[2] * 1e3, "nginx", 1.5)
                if lower is small:
                    plain("J3", "4 KiB GET, 1 connection, p50", wrk(server, ours_get, 1)[1], "ms", 1)
    j3_big()


def j3_big():
    folder = once("bigdir", lambda path: (path.mkdir(), big(path / "big.bin")))
    curl = lambda url: spend(["curl", "-sf", "-o", "/dev/null", url])
    with nginx(folder) as peer, ovl("--lower", folder) as server:
        url = f"http://127.0.0.1:{server.port}/v1/files/big.bin"
        ours, theirs = in_turn(lambda: curl(url), lambda: curl(f"http://127.0.0.1:{peer.port}/big.bin"))
        report("J3", "1 GiB GET", "GiB/s", 1 / ours[0], 1 / theirs[0], "nginx", 0.9, True)
        before = server.peak()
        clients = [subprocess.Popen(["curl", "-sf", "-o", "/dev/null", url, "-o", "/dev/null", url]) for _ in range(8)]
        assert all(client.wait() == 0 for client in clients)
        plain("J3", "memory gained while 8 clients move 2 GiB each", server.peak() - before, "MiB", 16)


def j5():
    """PUT with atomic replacement."""
    if not shutil.which("nginx") or not shutil.which("wrk"):
        return missing("J5", "nginx or wrk")
    uppers = DATA / "uppers"
    shutil.rmtree(uppers, ignore_errors=True)
    for name in ("full", "ordered", "dav"):
        (uppers / name).mkdir(parents=True)
    ours_put, their_put = put_script("put-ovl.lua", "/v1/files/"), put_script("put-nginx.lua", "/")
    lower = once("small", small_dir)
    with ovl("--lower", lower, "--upper", uppers / "full") as server:
        rates = [wrk(server, ours_put, 1)[1] for _ in range(ROUNDS)]
        plain("J5", "durable PUT of 4 KiB, 1 client, p50", statistics.median(rates), "ms", 2)
        print(f"J5  durable PUT, 16 clients: {wrk(server, ours_put, 16)[0]:.0f} req/s against "
              f"{wrk(server, ours_put, 1)[0]:.0f} with 1")
    with nginx(uppers / "dav", dav=True) as peer, \
            ovl("--lower", lower, "--upper", uppers / "ordered", "--durability", "ordered") as server:
        for connections in (1, 32):
            ours, theirs = in_turn(lambda: wrk(server, ours_put, connections), lambda: wrk(peer, their_put, connections))
            report("J5", f"PUT --durability ordered, {connections} clients", "req/s", ours[0], theirs[0], "nginx dav", 1.0, True)
            report("J5", "  CPU a request", "ms", ours[2] * 1e3, theirs[2] * 1e3, "nginx dav", 1.0)


def j7():
    """Changes and export of an upper."""
    base = once("stack1", layers(1, 100_000, 1000)) / "l00"
    upper = DATA / "changed"
    shutil.rmtree(upper, ignore_errors=True)
    shutil.rmtree(DATA / "changed.ovl-work", ignore_errors=True)
    with ovl("--lower", base, "--upper", upper, "--durability", "none") as server:
        for file in sorted(p for p in base.rglob("*") if p.is_file())[:1000]:
            url = f"http://127.0.0.1:{server.port}/v1/files/{file.relative_to(base).as_posix()}"
            subprocess.run(["curl", "-sf", "-X", "PUT", "--data-binary", "changed", url], check=True)
    flags = ["--lower", base, "--upper", upper]
    ours, theirs = in_turn(lambda: spend([OVL, "changes", *flags]), lambda: spend(["find", upper, "-printf", "%p %s\n"]))
    report("J7", "1,000 changes over 100,000 files", "s", ours[0], theirs[0], "find", 1.5)
    out = DATA / "out.tar"
    ours, theirs = in_turn(lambda: spend([OVL, "export", *flags, "--what", "upper", "--format", "tar", "--output", out, "--yes"]),
                           lambda: spend(["tar", "-C", upper, "-cf", DATA / "peer.tar", "."]))
    report("J7", "export of the upper as tar", "s", ours[0], theirs[0], "tar", 1.5)


def j8():
    """A zip of 100,000 entries in Node."""
    modules = TARGET / "tools/wasm/node_modules"
    peers = {"ovl": ROOT / "target/npm/ovl/node.js", "fflate": modules / "fflate/esm/index.mjs", "jszip": modules / "jszip/lib/index.js"}
    if not all(path.exists() for path in peers.values()):
        return missing("J8", "the npm package; `cargo xtask web` builds it and fetches its peers")
    archive = once("many100k.zip", many(100_000))

    def take(who):
        argv = ["node", ROOT / "wasm/tests/bench.mjs", who, archive, peers[who]]
        return json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout)

    rounds = [{who: take(who) for who in peers} for _ in range(ROUNDS)]
    middle = lambda who, what: statistics.median(one[who][what] for one in rounds)
    report("J8", "open 100,000 entries", "ms", middle("ovl", "open"), middle("fflate", "open"), "fflate", 1.1)
    report("J8", "  peak memory after it", "MiB", middle("ovl", "rss"), middle("fflate", "rss"), "fflate", 1.1)
    report("J8", "1,000 reads", "ms", middle("ovl", "reads"), middle("jszip", "reads"), "jszip", 0.25)


def j9():
    """Hashing a big file."""
    folder, tools = once("bigdir", lambda path: (path.mkdir(), big(path / "big.bin"))), DATA / "tools"
    peer = tools / "bin/b3sum"
    if not peer.exists():
        subprocess.run(["cargo", "install", "--quiet", "b3sum", "--version", "^1.8", "--root", tools], check=True)
    one_thread = [peer, "--num-threads", "1", "--no-mmap", folder / "big.bin"]
    ours, theirs = in_turn(lambda: spend([OVL, "digest", "--lower", folder, "/big.bin"]), lambda: spend(one_thread))
    report("J9", "BLAKE3 of 1 GiB", "GiB/s", 1 / ours[0], 1 / theirs[0], "b3sum", 0.8, True)


def mounts(job):
    """Runs one of the jobs that mount where no mount stays."""
    if os.geteuid():
        return print(f"{job}  not measured: needs root")
    program = [sys.executable, ROOT / "xtask/bench_mounts.py", job]
    subprocess.run(["unshare", "--mount", "--propagation", "private", *program], check=True)


JOBS = {"J1": j1, "J2": j2, "J3": j3, "J5": j5, "J7": j7, "J8": j8, "J9": j9}
JOBS |= {f"M{number}": functools.partial(mounts, f"M{number}") for number in range(1, 6)}


def main():
    chosen = sys.argv[1:] or list(JOBS)
    for unknown in set(chosen) - set(JOBS):
        sys.exit(f"no job {unknown}; there are {', '.join(JOBS)}")
    print(f"median of {ROUNDS} rounds in turn, page cache warm, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for job in chosen:
        JOBS[job]()


if __name__ == "__main__":
    main()
