// How long does a workload wait for its interface? Attach and detach through the agent's unix socket, in a local
// network (the agent assigns) and in a global one (the server assigns, durable before it answers), against the same
// netlink bytes replayed from C. The bytes are recorded from a traced agent and replayed in a twin: a namespace with
// the same devices under the same indexes and the same nft tables, and workload namespaces of its own.
import { strict as assert } from "node:assert";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../src/datapath/compile.ts";
import { type Cluster, call, must, until } from "../test/netns/lab/cluster.ts";
import { addNamespace, inside, ip, pathOf, withCluster } from "./lab/lab.ts";
import { cellsOf, quantilesOf, show } from "./lab/report.ts";
import { Stopwatch, type Step } from "./lab/stopwatch.ts";
import { readTrace, type Sent, traced } from "./lab/trace.ts";

const HOST = "h1";
const RECORDED = 40;
const BUSY_ROUNDS = 6;
/** An agent runs for months; its performance in the first seconds, before V8 has optimised it, is not the question. */
const WARM_UP_ROUNDS = 40;
const SETTLE_MS = 60;
const TARGET = { local: 2.0, global: 3.0 } as const;

type Mode = "local" | "global";
const NETWORKS = {
  local: { ipam: "local", subnets: [{ cidr: "10.93.0.0/16", hostPrefix: 24 }] },
  global: { ipam: "global", subnets: [{ cidr: "10.94.0.0/16" }] },
} as const;

/** What one attach and its detach sent to the kernel. */
type Recording = {
  /** The workload's namespace. */
  readonly netns: string;
  readonly startedMs: number;
  readonly attach: readonly Sent[];
  readonly detach: readonly Sent[];
};

/** The name of the endpoint. */
async function attach(cluster: Cluster, network: Mode, netns: string): Promise<string> {
  const socket = cluster.agentSocket(HOST);
  const { status, body } = await call(socket, "POST", "/v1/attachments", { network, netns: pathOf(netns) });
  if (status !== 201) throw new Error(`attach: ${status} ${JSON.stringify(body)}\n${cluster.log(HOST)}`);
  return body.endpoint;
}

async function detach(cluster: Cluster, endpoint: string): Promise<void> {
  const { status, body } = await call(cluster.agentSocket(HOST), "DELETE", `/v1/attachments/${endpoint}`);
  if (status !== 204) throw new Error(`detach: ${status} ${JSON.stringify(body)}\n${cluster.log(HOST)}`);
}

/** Stops the agent, and starts it again as `wrap` says. */
async function restartAgent(cluster: Cluster, wrap: readonly string[] = []): Promise<void> {
  await cluster.kill(HOST, "SIGTERM");
  await cluster.startAgent(HOST, wrap);
  // The server's status is from the agent's earlier process until it reports again.
  const ready = async () => (await call(cluster.agentSocket(HOST), "GET", "/readyz")).status === 200;
  await until("the agent is ready", ready);
}

/** Attaches and detaches one workload after the other at a traced agent, and cuts its trace into what each one sent. */
async function record(cluster: Cluster, mode: Mode, workloads: readonly string[]): Promise<Recording[]> {
  const prefix = join(cluster.folder, `trace-${mode}`);
  await restartAgent(cluster, traced(prefix));
  const cuts: { netns: string; attach: readonly [number, number]; detach: readonly [number, number] }[] = [];
  for (const netns of workloads) {
    const startedMs = wallMs();
    const endpoint = await attach(cluster, mode, netns);
    const attachedMs = wallMs();
    await detach(cluster, endpoint);
    // The link is removed after the answer.
    await settle();
    cuts.push({ netns, attach: [startedMs, attachedMs], detach: [attachedMs, wallMs()] });
  }
  await cluster.kill(HOST, "SIGTERM");
  const sends = readTrace(prefix);
  const within = ([from, to]: readonly [number, number]) => sends.filter(({ atMs }) => atMs >= from && atMs <= to);
  const recordings = cuts.map(({ netns, attach: [startedMs, attachedMs], detach: cut }): Recording => {
    return { netns, startedMs, attach: within([startedMs, attachedMs]), detach: within(cut) };
  });
  // An observation may also have sent something in that time; the shortest recording is of the attach alone.
  const size = ({ attach: one, detach: other }: Recording) => one.length + other.length;
  const least = Math.min(...recordings.map(size));
  return recordings.filter((recording) => size(recording) === least);
}

/** The clock that strace stamps with, finer than a millisecond. */
function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

type Link = {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly linkinfo?: { readonly info_kind: string };
};

/** A namespace with the bridges of a network's VRF, under the same indexes, and its nft tables. */
async function buildTwin(cluster: Cluster, mode: Mode): Promise<string> {
  const [vrf, twin] = [cluster.vrfNetns(HOST, mode), await addNamespace(cluster, `${mode}-twin`)];
  const links = JSON.parse(await must("ip", "-n", vrf, "-json", "-details", "link", "show")) as readonly Link[];
  const bridges = links.filter(({ linkinfo }) => linkinfo?.info_kind === "bridge");
  await ip(
    twin,
    bridges.flatMap(({ ifindex, ifname, address, mtu }) => [
      `link add ${ifname} index ${ifindex} mtu ${mtu} address ${address} type bridge`,
      `link set ${ifname} mtu ${mtu} up`,
    ]),
  );
  // Compiled, not copied: `nft list ruleset` writes what `nft -f` does not read.
  const { body: snapshot } = await cluster.api("GET", "/v1/snapshot");
  const tables = [...compile(snapshot, HOST).values()].find(({ kind, ns }) => kind === "nft" && ns === `vrf:${mode}`);
  assert(tables?.kind === "nft" && tables.bridge !== undefined);
  const file = join(cluster.folder, `${mode}.nft`);
  writeFileSync(file, `table inet weft {\n${tables.body}}\ntable bridge weft {\n${tables.bridge}}\n`);
  await must(...inside(pathOf(twin), ["nft", "-f", file]));
  return twin;
}

/** A recording's messages, for the twin of its VRF and another workload. */
function stepsFor(sends: readonly Sent[], startedMs: number, places: ReadonlyMap<string, string>): Step[] {
  const twinOf = (netns: string) => places.get(netns) ?? netns;
  return sends.map(({ protocol, netns, bytes, patches, openedAtMs }) => ({
    protocol,
    netns: twinOf(netns ?? ""),
    bytes,
    isOpen: openedAtMs < startedMs,
    patches: patches.map((patch) => ({ offset: patch.offset, netns: twinOf(patch.netns) })),
  }));
}

type Times = { attach: number[]; detach: number[]; replayAttach: number[]; replayDetach: number[] };

/** Lets the agent finish the observation that its last change caused, so that the measured workload starts alone. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

async function timeAttach(watch: Stopwatch, socket: string, network: Mode, netns: string): Promise<Timed> {
  const request = JSON.stringify({ network, netns: pathOf(netns) });
  const { response, ms } = await watch.http(socket, "POST", "/v1/attachments", request);
  const endpoint = /"endpoint":"([^"]+)"/.exec(response)?.[1];
  if (endpoint === undefined) throw new Error(`attach: ${response}`);
  return { endpoint, ms };
}

async function timeDetach(watch: Stopwatch, socket: string, endpoint: string): Promise<number> {
  const { response, ms } = await watch.http(socket, "DELETE", `/v1/attachments/${endpoint}`);
  if (!response.includes(" 204 ")) throw new Error(`detach: ${response}`);
  return ms;
}

type Timed = { readonly endpoint: string; readonly ms: number };

async function addWorkloads(cluster: Cluster, kind: string): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < RECORDED; i++) names.push(await cluster.addWorkloadNetns(`${kind}${i}`));
  return names;
}

/** Where one mode is measured: workloads of Weft's, and a twin of their VRF with workloads of its own. */
type Lab = {
  readonly mode: Mode;
  readonly socket: string;
  readonly watch: Stopwatch;
  readonly pairs: readonly { readonly recording: Recording; readonly netns: string; readonly places: Places }[];
};
type Places = ReadonlyMap<string, string>;

async function prepare(cluster: Cluster, mode: Mode): Promise<Lab> {
  await cluster.api("PUT", `/v1/networks/${mode}`, { spec: NETWORKS[mode] });
  await cluster.converged();
  const ours = await addWorkloads(cluster, `${mode}-w`);
  const twins = await addWorkloads(cluster, `${mode}-t`);
  // It stays: the first endpoint of a global network makes the network on its host, the last one removes it.
  await attach(cluster, mode, await cluster.addWorkloadNetns(`${mode}-anchor`));
  const recordings = await record(cluster, mode, ours);
  const vrf = cluster.vrfNetns(HOST, mode);
  const twin = await buildTwin(cluster, mode);
  await restartAgent(cluster);
  const pairs = recordings.map((recording, i) => {
    // Not by number: some recordings were left out, and what one says of its namespace is what has to be replaced.
    const [netns, other] = [recording.netns, twins[i] ?? ""];
    return {
      recording,
      netns,
      places: new Map(
        [
          [netns, other],
          [vrf, twin],
        ].map(([a = "", z = ""]) => [pathOf(a), pathOf(z)]),
      ),
    };
  });
  return { mode, socket: cluster.agentSocket(HOST), watch: await Stopwatch.start(cluster.folder), pairs };
}

/**
 * One workload after the other without a pause, as on a host that fills up. Weft and the replay take turns, all
 * workloads each, so that neither has to wake up after the other. The first to run after a pause would pay for the
 * processor's sleep, 0.5 ms in each of its first thirty attaches; so each round begins with one that is not measured.
 */
async function measureBusy(lab: Lab): Promise<Times> {
  const { mode, socket, watch, pairs } = lab;
  const times = noTimes();
  for (let round = 0; round < WARM_UP_ROUNDS; round++) await warmUp(lab);
  for (let round = 0; round < BUSY_ROUNDS; round++) {
    const attached: Timed[] = [];
    const ours = async () => {
      for (const { netns } of pairs) attached.push(await timeAttach(watch, socket, mode, netns));
    };
    const theirs = async () => {
      for (const { recording, places } of pairs)
        times.replayAttach.push(await watch.replay(stepsFor(recording.attach, recording.startedMs, places)));
    };
    await warmUp(lab);
    for (const turn of round % 2 === 0 ? [ours, theirs] : [theirs, ours]) await turn();
    times.attach.push(...attached.map(({ ms }) => ms));
    for (const { endpoint } of attached) times.detach.push(await timeDetach(watch, socket, endpoint));
    for (const { recording, places } of pairs)
      times.replayDetach.push(await watch.replay(stepsFor(recording.detach, recording.startedMs, places)));
  }
  return times;
}

/** The same without taking times, and with all detaches at once. */
async function warmUp({ mode, socket, watch, pairs }: Lab): Promise<void> {
  const attached: Timed[] = [];
  for (const { netns } of pairs) attached.push(await timeAttach(watch, socket, mode, netns));
  await Promise.all(attached.map(({ endpoint }) => call(socket, "DELETE", `/v1/attachments/${endpoint}`)));
}

/** One workload that starts alone on a quiet host: everything except the replay has to wake up first. */
async function measureIdle({ mode, socket, watch, pairs }: Lab): Promise<Times> {
  const times = noTimes();
  for (const { recording, netns, places } of pairs) {
    await settle();
    const { endpoint, ms } = await timeAttach(watch, socket, mode, netns);
    await settle();
    const detachMs = await timeDetach(watch, socket, endpoint);
    const replayAttachMs = await watch.replay(stepsFor(recording.attach, recording.startedMs, places));
    const replayDetachMs = await watch.replay(stepsFor(recording.detach, recording.startedMs, places));
    add(times, { attach: [ms], detach: [detachMs], replayAttach: [replayAttachMs], replayDetach: [replayDetachMs] });
  }
  return times;
}

function noTimes(): Times {
  return { attach: [], detach: [], replayAttach: [], replayDetach: [] };
}

function add(times: Times, sample: Times): void {
  for (const key of ["attach", "detach", "replayAttach", "replayDetach"] as const) times[key].push(...sample[key]);
}

async function measure(cluster: Cluster, mode: Mode) {
  const lab = await prepare(cluster, mode);
  const busy = summary(await measureBusy(lab));
  const idle = summary(await measureIdle(lab));
  await lab.watch.stop();
  return {
    busy,
    idle,
    ratio: busy.attach.p50 / busy.replayAttach.p50,
    idleRatio: idle.attach.p50 / idle.replayAttach.p50,
  };
}

function summary({ attach: ours, detach, replayAttach, replayDetach }: Times) {
  return {
    attach: quantilesOf(ours),
    detach: quantilesOf(detach),
    replayAttach: quantilesOf(replayAttach),
    replayDetach: quantilesOf(replayDetach),
  };
}

await withCluster(1, async (cluster) => {
  const local = await measure(cluster, "local");
  const global = await measure(cluster, "global");
  const both = [
    ["local", local],
    ["global", global],
  ] as const;
  show(
    {
      bench: "attach",
      values: {
        ratio: {
          localP50: local.ratio,
          globalP50: global.ratio,
          localIdleP50: local.idleRatio,
          globalIdleP50: global.idleRatio,
        },
        ...Object.fromEntries(
          both.flatMap(([mode, { busy, idle }]) => [
            [mode, busy],
            [`${mode}.idle`, idle],
          ]),
        ),
      },
      columns: [`ms, ${BUSY_ROUNDS * RECORDED} times`, "p50", "p90", "p99", "ratio of p50"],
      rows: both.flatMap(([mode, { busy, idle, ratio, idleRatio }]) => [
        [`${mode}: attach`, ...cellsOf(busy.attach), ratio],
        ["  same bytes from C", ...cellsOf(busy.replayAttach), ""],
        [`${mode}: detach`, ...cellsOf(busy.detach), busy.detach.p50 / busy.replayDetach.p50],
        ["  same bytes from C", ...cellsOf(busy.replayDetach), ""],
        [`${mode}: attach on a quiet host`, ...cellsOf(idle.attach), idleRatio],
        ["  same bytes from C", ...cellsOf(idle.replayAttach), ""],
      ]),
      notes: [
        "From connecting to the agent's socket to the last byte of its answer; Weft and the replay take turns. One",
        "workload after the other; on a quiet host one alone, 60 ms after the last: it also pays for waking up.",
        "A detach is answered when the port carries no traffic any more; the replay waits until the link is gone.",
        `Targets: at most ${TARGET.local.toFixed(1)} (local), ${TARGET.global.toFixed(1)} (global) times the replay.`,
      ],
    },
    process.argv,
  );
});
