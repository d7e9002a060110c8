"""Is the generator honest? bench/load (plain C, with nothing of koine's) beside `koine bench`.

Both load the same server from the same core in turns. Each counts and times for itself, so if both are
right they agree on how fast that server is, and the server's own CPU time for a request agrees too.
Where the generator is the limit they cannot agree on requests/s, which would be true of any two; so
the servers here are slower than either: Python's, and one connection on which both wait.
"""

import json
import subprocess
from statistics import median

import measure

GENERATORS = ("load", "koine bench")
CASES = (  # server, connections
    ("raw_epoll", 1), ("koine-epoll", 1), ("libevent", 64), ("python-asyncio", 64))
SECONDS_BESIDE = 20


def with_load(place, url: str, connections: int, seconds: float) -> dict:
    done = subprocess.run(
        [place.tools / "load", url, "--connections", str(connections), "--seconds", str(seconds),
         "--warmup", "0"], capture_output=True, text=True, check=True, timeout=seconds + SECONDS_BESIDE,
        preexec_fn=place.pinned(place.load_core))
    said = json.loads(done.stdout)
    return {"requests": said["requests"], "per_second": said["requests"] / said["seconds"],
            "p50_us": said["latency_us"]["p50"]}


def with_koine(place, url: str, connections: int, seconds: float) -> dict:
    done = subprocess.run(
        [place.koine, "bench", url, "--connections", str(connections), "--duration",
         f"{round(seconds * 1000)}ms", "--json"], capture_output=True, text=True, check=True,
        timeout=seconds + SECONDS_BESIDE, preexec_fn=place.pinned(place.load_core))
    said = json.loads(done.stdout)
    return {"requests": said["answered"], "per_second": said["requests_per_second"],
            "p50_us": said["latency_ns"]["p50"] / 1000}


def run(options, place, servers, troubles: list[str]) -> list[dict]:
    rows = []
    for name, connections in CASES:
        server = next((one for one in servers if one.name == name), None)
        if server is None:
            continue
        samples: dict[str, list[dict]] = {generator: [] for generator in GENERATORS}
        try:
            with measure.Running(place, server) as running:
                for _ in range(options.generator_rounds):
                    for generator, ask in zip(GENERATORS, (with_load, with_koine)):
                        before_ns = measure.cpu_ns(running.pid)
                        sample = ask(place, running.url, connections, options.generator_seconds)
                        used_ns = measure.cpu_ns(running.pid) - before_ns
                        sample["cpu_ns"] = used_ns / max(sample["requests"], 1)
                        samples[generator].append(sample)
        except (measure.Trouble, subprocess.SubprocessError, OSError, ValueError) as error:
            troubles.append(f"generators, {name}: {error}")
            measure.say(f"  LEFT OUT: {troubles[-1]}")
            continue
        rows.append({"server": name, "connections": connections, "samples": samples})
        measure.say(f"  generators: {name} × {connections}: " + ", ".join(
            f"{which} {median(s['per_second'] for s in of):,.0f}/s" for which, of in samples.items()))
    return rows
