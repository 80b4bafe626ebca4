// The running parts of the demonstration: a server, an agent per host, workloads. They are started, and every change is
// made, through bin/weft with the arguments that a person would type; only waiting asks the server directly.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../src/cli/input/connect.ts";
import type { Io } from "../src/cli/io.ts";
import { Fault } from "../src/model/fault.ts";
import type { Network } from "../src/model/resource.ts";
import type { Attachment, ClusterStatus } from "../src/model/status.ts";
import { CLI_FILE, type DemoHost, HOSTS, LAN, SERVER, SERVER_PORT, type Workload } from "./layout.ts";
import type { Peer } from "./ping.ts";
import { startNoted, untilReady } from "./processes.ts";
import { run } from "./run.ts";
import { addNamespaces, inNetns, netnsPath } from "./underlay.ts";

export const PROJECT = join(import.meta.dirname, "..");
const WEFT = join(PROJECT, "bin/weft");
const START_MS = 60_000;

export async function startServer(io: Io): Promise<void> {
  mkdirSync(SERVER.dir, { recursive: true, mode: 0o700 });
  const flags = { listen: `${LAN.ip}:${SERVER_PORT}`, "data-dir": SERVER.dir, socket: SERVER.socket };
  const server = await startNoted("server", inNetns(LAN.netns, [WEFT, "server", ...argvOf(flags)]));
  const agents = Object.fromEntries(HOSTS.map((host) => [host.name, host.socket]));
  const runFile = { server: `unix:${SERVER.socket}`, tokenFile: join(SERVER.dir, "admin.token"), agents };
  writeFileSync(CLI_FILE, `${JSON.stringify(runFile, undefined, 2)}\n`, { mode: 0o600 });
  await untilReady(server, () => whyNot(io, () => true), io.clock, START_MS);
}

/** One after the other: hosts get blocks in the order in which they join, so h1 has the first. */
export async function startAgents(io: Io): Promise<void> {
  for (const host of HOSTS) await startAgent(io, host);
}

async function startAgent(io: Io, host: DemoHost): Promise<void> {
  mkdirSync(host.dir, { recursive: true, mode: 0o700 });
  const flags = {
    server: SERVER.url,
    "join-token-file": join(SERVER.dir, "join.token"),
    host: host.name,
    "state-dir": host.dir,
    socket: host.socket,
    "netns-prefix": `${host.netns}-`,
  };
  const agent = await startNoted(`agent-${host.name}`, inNetns(host.netns, [WEFT, "agent", ...argvOf(flags)]));
  const isReady = ({ hosts }: ClusterStatus) => hosts.some((one) => one.host === host.name && one.state === "ready");
  await untilReady(agent, () => whyNot(io, isReady), io.clock, START_MS);
}

/** Why the cluster is not ready yet; undefined once it is. */
async function whyNot(io: Io, isReady: (status: ClusterStatus) => boolean): Promise<string | undefined> {
  try {
    const server = await connect(io, { server: `unix:${SERVER.socket}`, tokenFile: join(SERVER.dir, "admin.token") });
    const status = await server.status();
    return isReady(status) ? undefined : `the server's status: ${JSON.stringify(status.hosts)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The networks that the DC/OS configuration made. */
export async function importNetworks(file: string): Promise<readonly Network[]> {
  await weft(["import", "dcos", file]);
  return weftJson<readonly Network[]>(["network", "list"]);
}

/** Starts the workloads, each a process in a namespace of its own, and attaches them. */
export async function attachAll(workloads: readonly Workload[]): Promise<Peer[]> {
  await addNamespaces(workloads.map((workload) => workload.netns));
  return Promise.all(workloads.map(attachOne));
}

async function attachOne({ name, netns, host, network }: Workload): Promise<Peer> {
  await startNoted(name, inNetns(netns, ["sleep", "infinity"]));
  const flags = { host: host.name, netns: netnsPath(netns), network, name };
  const { spec } = await weftJson<Attachment>(["attach", ...argvOf(flags)]);
  return { name, netns, host: host.name, network, ip: spec.addresses[0] ?? "" };
}

/** Runs one CLI verb and returns its stdout; throws a Fault with its output unless it succeeds. */
export async function weft(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run([WEFT, ...args]);
  if (code === 0) return stdout;
  throw new Fault("internal", {
    what: `weft ${args.join(" ")} failed`,
    why: stderr.trimEnd(),
    fix: "see the reason above, and the logs",
  });
}

async function weftJson<T>(args: readonly string[]): Promise<T> {
  // Our own program of the same version, so its output has the declared type.
  return JSON.parse(await weft([...args, "-o", "json"])) as T;
}

function argvOf(flags: Readonly<Record<string, string>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
}
