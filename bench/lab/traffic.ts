// Traffic between two namespaces, measured by the tools everybody measures with: iperf3 for one TCP stream, ping for
// the round trip. Each call is one sample.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { must, run, until } from "../../test/netns/lab/cluster.ts";
import type { Pair } from "./handmade.ts";
import { inside } from "./lab.ts";

const PORT = "5201";

/** Gbit/s that the receiver of one TCP stream got. */
export async function gigabits({ from, to, address }: Pair, seconds: number): Promise<number> {
  const server = listen(to);
  try {
    await until("iperf3 listens", async () => (await must(...inside(to, ["ss", "-Hltn", `sport = :${PORT}`]))) !== "");
    const client = ["iperf3", "--client", address, "--port", PORT, "--time", String(seconds), "--json"];
    const { end, error } = JSON.parse((await run(...inside(from, client))).stdout) as IperfResult;
    if (end.sum_received === undefined) throw new Error(`iperf3 to ${address}: ${error ?? "no result"}`);
    return end.sum_received.bits_per_second / 1e9;
  } finally {
    const ended = server.exitCode === null ? once(server, "exit") : undefined;
    server.kill();
    await ended;
  }
}

type IperfResult = {
  readonly end: { readonly sum_received?: { readonly bits_per_second: number } };
  readonly error?: string;
};

function listen(netns: string): ChildProcess {
  const [program = "", ...args] = inside(netns, ["iperf3", "--server", "--one-off", "--port", PORT]);
  return spawn(program, args, { stdio: "ignore" });
}

const CONNECT_PORT = 5202;
const SERVER = `
const server = require("net").createServer((socket) => socket.on("error", () => {}).end());
server.listen(${CONNECT_PORT}, () => console.log("up"));
`;
const CLIENT = `
const net = require("net");
const [, address, count] = process.argv;
const took = [];
const next = () => {
  if (took.length >= Number(count)) return console.log(JSON.stringify(took));
  const started = process.hrtime.bigint();
  const socket = net.connect(${CONNECT_PORT}, address, () => {
    took.push(Number(process.hrtime.bigint() - started) / 1000);
    socket.destroy();
    setImmediate(next);
  });
  socket.on("error", (error) => { throw error; });
};
next();
`;

/** Microseconds until a new TCP connection stands: the median of many, one after the other. */
export async function connectUs({ from, to, address }: Pair, count: number): Promise<number> {
  const [program = "", ...args] = inside(to, [process.execPath, "-e", SERVER]);
  const server = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  try {
    await once(server.stdout, "data");
    const took = JSON.parse(await must(...inside(from, [process.execPath, "-e", CLIENT, address, String(count)])));
    return (took as number[]).toSorted((a, b) => a - b)[Math.floor(count / 2)] ?? Number.NaN;
  } finally {
    const ended = server.exitCode === null ? once(server, "exit") : undefined;
    server.kill();
    await ended;
  }
}

/** Microseconds of a round trip: the median of many pings, one at a time. */
export async function roundTripUs({ from, address }: Pair, count: number): Promise<number> {
  const { stdout } = await run(...inside(from, ["ping", "-n", "-c", String(count), "-i", "0.002", "-W", "1", address]));
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000).toSorted((a, b) => a - b);
  if (times.length < count * 0.9) throw new Error(`only ${times.length} of ${count} pings were answered`);
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}
