// Traffic between two namespaces, measured by the tools everybody measures with: iperf3 for one TCP stream, ping for
// the round trip. Each call is one sample.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { must, run, until } from "../../test/netns/cluster.ts";
import type { Pair } from "./handmade.ts";
import { inside } from "./lab.ts";

const PORT = "5201";

/** Gbit/s that the receiver of one TCP stream got. */
export async function gigabits({ from, to, address }: Pair, seconds: number): Promise<number> {
  const server = listen(to);
  try {
    await until("iperf3 listens", async () => (await must(...inside(to, ["ss", "-Hltn", `sport = :${PORT}`]))) !== "");
    const client = ["iperf3", "--client", address, "--port", PORT, "--time", String(seconds), "--json"];
    const { end } = JSON.parse(await must(...inside(from, client))) as IperfResult;
    return end.sum_received.bits_per_second / 1e9;
  } finally {
    const ended = server.exitCode === null ? once(server, "exit") : undefined;
    server.kill();
    await ended;
  }
}

type IperfResult = { readonly end: { readonly sum_received: { readonly bits_per_second: number } } };

function listen(netns: string): ChildProcess {
  const [program = "", ...args] = inside(netns, ["iperf3", "--server", "--one-off", "--port", PORT]);
  return spawn(program, args, { stdio: "ignore" });
}

/** Microseconds of a round trip: the median of many pings, one at a time. */
export async function roundTripUs({ from, address }: Pair, count: number): Promise<number> {
  const { stdout } = await run(...inside(from, ["ping", "-n", "-c", String(count), "-i", "0.002", "-W", "1", address]));
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000).toSorted((a, b) => a - b);
  if (times.length < count * 0.9) throw new Error(`only ${times.length} of ${count} pings were answered`);
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}
