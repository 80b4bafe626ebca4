// Traffic between two namespaces, measured by the tools everybody measures with: iperf3 for one TCP stream, ping for
// the round trip. Each call is one sample.
import { must, run, start } from "../../src/demo/run.ts";
import { stopAll, until } from "./cluster.ts";
import type { Pair } from "./handmade.ts";

const PORT = "5201";

function within(path: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=${path}`, ...argv];
}

/** Gbit/s that the receiver of one TCP stream got. */
export async function gigabits({ from, to, address }: Pair, seconds: number): Promise<number> {
  const server = await start(within(to, ["iperf3", "--server", "--one-off", "--port", PORT]), "/dev/null");
  try {
    await until("iperf3", async () => (await must(within(to, ["ss", "-Hltn", `sport = :${PORT}`]))) !== "");
    const client = ["iperf3", "--client", address, "--port", PORT, "--time", String(seconds), "--json"];
    const { end } = JSON.parse(await must(within(from, client))) as IperfResult;
    return end.sum_received.bits_per_second / 1e9;
  } finally {
    await stopAll([server]);
  }
}

type IperfResult = { readonly end: { readonly sum_received: { readonly bits_per_second: number } } };

/** Microseconds of a round trip: the median of many pings, one at a time. */
export async function roundTripUs({ from, address }: Pair, count: number): Promise<number> {
  const { stdout } = await run(within(from, ["ping", "-n", "-c", String(count), "-i", "0.002", "-W", "1", address]));
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000).toSorted((a, b) => a - b);
  if (times.length < count * 0.9) throw new Error(`only ${times.length} of ${count} pings were answered`);
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}
