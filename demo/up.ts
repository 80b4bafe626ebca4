// Starts the demonstration cluster step by step: a wire, three hosts, a server, an agent per host, networks imported
// from a DC/OS configuration, workloads, and a check that they reach each other. Each step prints one line. A failed
// step prints the reason, and everything is removed again.
import { join } from "node:path";
import { count, paint, type Io } from "../src/cli/io.ts";
import { Fault } from "../src/model/fault.ts";
import type { Network } from "../src/model/resource.ts";
import { attachAll, importNetworks, PROJECT, startAgents, startServer, weft } from "./cluster.ts";
import { down, isThere, removeDemo } from "./down.ts";
import { FAILED_DIR, HOSTS, LAN, OUTSIDE, PREFIX, RUN_DIR, SERVER, workloadsOf } from "./layout.ts";
import { isComplete, matrixText, ping, pingAll, type Matrix, type Peer } from "./ping.ts";
import { keepLogs, notedProcesses } from "./processes.ts";
import { isRunning } from "./run.ts";
import { stepsOf } from "./steps.ts";
import { buildUnderlay } from "./underlay.ts";

const CONFIG = join(PROJECT, "examples/dcos.yaml");
/** The largest delay that a timer takes. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** Starts it, shows it, and leaves it running; with `foreground` it stays until Ctrl-C and then removes it. */
export async function up(io: Io, foreground: boolean): Promise<number> {
  if (process.getuid?.() !== 0) {
    const why = "it makes network namespaces";
    throw new Fault("forbidden", { what: "the demonstration needs root", why, fix: "run it with sudo" });
  }
  if (isThere()) return show(io);
  try {
    await build(io);
  } catch (error) {
    keepLogs(FAILED_DIR);
    const { processes, namespaces } = await removeDemo(io);
    const removed = `${count(processes, "process", "processes")}, ${count(namespaces, "namespace")}`;
    io.err(`Took it down again: ${removed}. The logs are kept in ${FAILED_DIR}.\n`);
    throw error;
  }
  if (!foreground) return 0;
  io.err("\nRunning until Ctrl-C.\n");
  await io.clock.sleep(FOR_EVER_MS, io.signal);
  return down(io);
}

async function build(io: Io): Promise<void> {
  const step = stepsOf(io, 10);
  const hosts = HOSTS.map((host) => host.name).join(", ");
  await step("underlay", buildUnderlay, `hosts ${hosts}: network namespaces on one wire, ${LAN.ip}/24`);
  await step("server", () => startServer(io), `${SERVER.url} for agents, a unix socket for you`);
  await step("agents", () => startAgents(io), `${hosts} have joined`);
  const networks = await step(
    "networks",
    () => importNetworks(CONFIG),
    (made) => `${made.map(networkText).join(", ")} (from examples/dcos.yaml)`,
  );
  const names = networks.filter((network) => network.spec.enabled).map((network) => network.name);
  const peers = await step(
    "workloads",
    () => attachAll(workloadsOf(names)),
    (made) => `${made.map((peer) => peer.name).join(", ")}: processes with an interface each`,
  );
  await step("converge", () => weft(["status", "--wait=15"]), "every host has the newest revision in its kernel");
  const paths = "packets of full size pass between every two hosts, both ways";
  await step("paths", () => weft(["status", "--wait=paths,15"]), paths);
  const matrices = await step(
    "ping",
    () => pingNetworks(names, peers),
    "the workloads of each network reach each other",
  );
  await step(
    "outside",
    () => reachOutside(peers),
    (ms) => `${peers[0]?.name ?? ""} reaches ${OUTSIDE} under its host's address: ${ms.toFixed(2)} ms`,
  );
  for (const matrix of matrices) {
    const network = networks.find((one) => one.name === matrix.peers[0]?.network);
    if (network !== undefined) io.out(`\n${paint(io, "bold", networkText(network))}\n${matrixText(io, matrix)}`);
  }
  io.err(nextSteps(io, peers));
}

function networkText({ name, spec }: Network): string {
  return `${name} ${spec.subnets.map((subnet) => subnet.cidr).join(" ")}`;
}

async function pingNetworks(networks: readonly string[], peers: readonly Peer[]): Promise<Matrix[]> {
  const matrices: Matrix[] = [];
  for (const network of networks) matrices.push(await pingAll(peers.filter((peer) => peer.network === network)));
  if (matrices.every(isComplete)) return matrices;
  throw new Fault("internal", {
    what: "some workloads do not reach each other",
    why: matrices.map((matrix) => matrixText({ color: false }, matrix).trimEnd()).join("\n"),
    fix: "this is a bug",
  });
}

async function reachOutside(peers: readonly Peer[]): Promise<number> {
  const [first] = peers;
  const ms = first === undefined ? undefined : await ping(first.netns, OUTSIDE);
  if (ms !== undefined) return ms;
  throw new Fault("internal", {
    what: `${first?.name ?? "no workload"} does not reach ${OUTSIDE}`,
    fix: "this is a bug: the uplink of its host, or its masquerade, is wrong",
  });
}

/** The demonstration is running already: says what runs and in which state. */
async function show(io: Io): Promise<number> {
  const noted = notedProcesses();
  const ended = noted.filter((one) => !isRunning(one)).map((one) => one.name);
  if (noted.length === 0 || ended.length > 0) {
    throw new Fault("in-use", {
      what: "a demonstration is there, but not whole",
      blockers: ended.map((name) => `${name} has ended; its log is ${RUN_DIR}/${name}.log`),
      fix: "run script/down, then script/up again",
    });
  }
  io.err(`The demonstration is already up: ${noted.map((one) => one.name).join(", ")}.\n\n`);
  io.out(await weft(["status"]));
  io.err("\nscript/down removes it.\n");
  return 0;
}

function nextSteps(io: Io, peers: readonly Peer[]): string {
  const [first, second] = peers;
  const { name = "", netns = "" } = first ?? {};
  const commands = {
    "bin/weft status": "is every change in every kernel?",
    "bin/weft lease list": "who has which address",
    "bin/weft network show dcos": "its blocks and tunnel endpoints",
    [`bin/weft plan -f examples/networks.yaml --host h1 --netns-prefix ${PREFIX}h1-`]:
      "two more networks: what would h1 do?",
    [`ip netns exec ${netns} ping -c 3 ${second?.ip ?? ""}`]: `${name} to ${second?.name ?? ""}`,
  };
  const width = Math.max(...Object.keys(commands).map((command) => command.length));
  const rows = Object.entries(commands).map(
    ([command, why]) => `  ${command.padEnd(width)}   ${paint(io, "dim", why)}\n`,
  );
  return `\nTry next:\n${rows.join("")}\nIt stays up until script/down. Logs are in ${RUN_DIR}.\n`;
}
