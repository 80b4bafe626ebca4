// How long does a workload wait for its interface? Attach and detach through the agent's unix socket, in a local
// network (the agent assigns) and in a global one (the server assigns, durable before it answers), against the same
// netlink bytes replayed from C. The bytes are recorded from a traced agent and replayed in a twin: a namespace with
// the same devices under the same indexes, and workload namespaces of its own. Weft and replay take turns, one attach
// each.
import { join } from "node:path";
import { must } from "../src/demo/run.ts";
import type { Attachment } from "../src/model/status.ts";
import { type Cluster, type ClusterHost, ask, stopAll, until, withCluster } from "./lab/cluster.ts";
import { cellsOf, quantilesOf, show } from "./lab/report.ts";
import { Stopwatch, type Step } from "./lab/stopwatch.ts";
import { readTrace, type Sent, traced } from "./lab/trace.ts";
import { addNamespace, ip, pathOf, PREFIX } from "./lab/underlay.ts";

const RECORDED = 40;
const ROUNDS = 200;
const WARM_UP = 20;
const TARGET = { local: 2.0, global: 3.0 } as const;

type Mode = "local" | "global";
const NETWORKS = {
  local: { ipam: "local", subnets: [{ cidr: "10.93.0.0/16", hostPrefix: 24 }] },
  global: { ipam: "global", subnets: [{ cidr: "10.94.0.0/16" }] },
} as const;

/** What one attach and its detach sent to the kernel. */
type Recording = { readonly attach: readonly Sent[]; readonly detach: readonly Sent[] };

async function attach(host: ClusterHost, network: Mode, netns: string): Promise<Attachment> {
  const { status, body } = await ask(host.socket, "POST", "/v1/attachments", { network, netns });
  if (status !== 201) throw new Error(`attach: ${status} ${JSON.stringify(body)}`);
  return body as Attachment;
}

/** Attaches and detaches one workload after the other at a traced agent, and cuts its trace into what each one sent. */
async function record(cluster: Cluster, host: ClusterHost, mode: Mode, workloads: readonly string[]) {
  const prefix = join(cluster.dir, `trace-${mode}`);
  const agent = await cluster.startAgent(host, traced(prefix));
  await cluster.api("PUT", `/v1/networks/${mode}`, { spec: NETWORKS[mode] });
  await cluster.converged();
  const cuts: { attach: readonly [number, number]; detach: readonly [number, number] }[] = [];
  // The first attach to a global network makes the network itself; it is nobody's recording.
  const first = await attach(host, mode, workloads[0] ?? "");
  for (const netns of workloads.slice(1)) {
    const startedMs = wallMs();
    const { endpoint } = await attach(host, mode, netns);
    const attachedMs = wallMs();
    await ask(host.socket, "DELETE", `/v1/attachments/${endpoint}`);
    cuts.push({ attach: [startedMs, attachedMs], detach: [attachedMs, wallMs()] });
  }
  await stopAll([agent]);
  const sends = readTrace(prefix);
  const within = ([from, to]: readonly [number, number]) => sends.filter(({ atMs }) => atMs >= from && atMs <= to);
  const recordings = cuts.map((cut): Recording => ({ attach: within(cut.attach), detach: within(cut.detach) }));
  return { recordings, anchor: first.endpoint };
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

/** A namespace with the bridges of a VRF's, under the same indexes. */
async function buildTwin(name: string, vrf: string): Promise<string> {
  await addNamespace(name);
  const links = JSON.parse(await must(["ip", "-n", vrf, "-json", "-details", "link", "show"])) as readonly Link[];
  const bridges = links.filter(({ linkinfo }) => linkinfo?.info_kind === "bridge");
  await ip(
    name,
    bridges.flatMap(({ ifindex, ifname, address, mtu }) => [
      `link add ${ifname} index ${ifindex} mtu ${mtu} address ${address} type bridge`,
      `link set ${ifname} mtu ${mtu} up`,
    ]),
  );
  return name;
}

/** A recording's messages, for the twin of its VRF and another workload. */
function stepsFor(sends: readonly Sent[], startMs: number, places: ReadonlyMap<string, string>): Step[] {
  const twinOf = (netns: string) => places.get(netns) ?? netns;
  return sends.map(({ netns, protocol, bytes, patches, openedAtMs }) => ({
    netns: twinOf(netns ?? ""),
    protocol,
    bytes,
    isOpen: openedAtMs < startMs,
    patches: patches.map((patch) => ({ offset: patch.offset, netns: twinOf(patch.netns) })),
  }));
}

type Times = { attach: number[]; detach: number[]; replayAttach: number[]; replayDetach: number[] };

/** One attach and detach of Weft's, in milliseconds. */
async function timeWeft(
  watch: Stopwatch,
  host: ClusterHost,
  network: Mode,
  netns: string,
  times: Times,
): Promise<void> {
  const attached = await watch.http(host.socket, "POST", "/v1/attachments", JSON.stringify({ network, netns }));
  const endpoint = /"endpoint":"([^"]+)"/.exec(attached.response)?.[1];
  if (endpoint === undefined) throw new Error(`attach: ${attached.response}`);
  const detached = await watch.http(host.socket, "DELETE", `/v1/attachments/${endpoint}`);
  if (!detached.response.includes(" 204 ")) throw new Error(`detach: ${detached.response}`);
  times.attach.push(attached.ms);
  times.detach.push(detached.ms);
}

async function measure(cluster: Cluster, host: ClusterHost, mode: Mode): Promise<Times> {
  const names = (kind: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${PREFIX}${mode}-${kind}${i}`);
  const [ours, twins] = [names("w", RECORDED + 1), names("t", RECORDED + 1)];
  await must(["ip", "-batch", "-"], [...ours, ...twins].map((name) => `netns add ${name}\n`).join(""));
  const { recordings, anchor } = await record(cluster, host, mode, ours.map(pathOf));
  const vrf = `${host.netnsPrefix}${mode}`;
  const twin = await buildTwin(`${PREFIX}${mode}-twin`, vrf);
  const agent = await cluster.startAgent(host);
  const watch = await Stopwatch.start(cluster.dir);
  const times: Times = { attach: [], detach: [], replayAttach: [], replayDetach: [] };
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const i = (round + WARM_UP) % RECORDED;
    const [recording, own, other] = [recordings[i], ours[i + 1], twins[i + 1]];
    if (recording === undefined || own === undefined || other === undefined) throw new Error("nothing was recorded");
    const places = new Map([
      [pathOf(own), pathOf(other)],
      [pathOf(vrf), pathOf(twin)],
    ]);
    const startMs = recording.attach[0]?.atMs ?? 0;
    const sample: Times = { attach: [], detach: [], replayAttach: [], replayDetach: [] };
    await timeWeft(watch, host, mode, pathOf(own), sample);
    sample.replayAttach.push(await watch.replay(stepsFor(recording.attach, startMs, places)));
    sample.replayDetach.push(await watch.replay(stepsFor(recording.detach, startMs, places)));
    if (round < 0) continue;
    for (const key of Object.keys(times) as (keyof Times)[]) times[key].push(...sample[key]);
  }
  await watch.stop();
  await ask(host.socket, "DELETE", `/v1/attachments/${anchor}`);
  await until("the last detach", async () => isEmpty((await ask(host.socket, "GET", "/v1/attachments")).body));
  await stopAll([agent]);
  return times;
}

function isEmpty(body: unknown): boolean {
  return (body as { readonly items: readonly unknown[] }).items.length === 0;
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
  const [host] = cluster.hosts;
  if (host === undefined) throw new Error("no host");
  const local = summary(await measure(cluster, host, "local"));
  const global = summary(await measure(cluster, host, "global"));
  const ratio = {
    localP50: local.attach.p50 / local.replayAttach.p50,
    globalP50: global.attach.p50 / global.replayAttach.p50,
    localDetachP50: local.detach.p50 / local.replayDetach.p50,
    globalDetachP50: global.detach.p50 / global.replayDetach.p50,
  };
  show(
    {
      bench: "attach",
      values: { ratio, ...flat("local", local), ...flat("global", global) },
      columns: [`ms, ${ROUNDS} times`, "p50", "p90", "p99", "ratio of p50"],
      rows: [
        ["local: attach", ...cellsOf(local.attach), ratio.localP50],
        ["  same bytes from C", ...cellsOf(local.replayAttach), ""],
        ["local: detach", ...cellsOf(local.detach), ratio.localDetachP50],
        ["  same bytes from C", ...cellsOf(local.replayDetach), ""],
        ["global: attach", ...cellsOf(global.attach), ratio.globalP50],
        ["  same bytes from C", ...cellsOf(global.replayAttach), ""],
        ["global: detach", ...cellsOf(global.detach), ratio.globalDetachP50],
        ["  same bytes from C", ...cellsOf(global.replayDetach), ""],
      ],
      notes: [
        `From connecting to the agent's socket to the last byte of its answer. Targets for attach: local at most ` +
          `${TARGET.local.toFixed(1)}, global at most ${TARGET.global.toFixed(1)} times the replay.`,
      ],
    },
    process.argv,
  );
});

function flat(mode: Mode, of: ReturnType<typeof summary>) {
  return Object.fromEntries(Object.entries(of).map(([name, quantiles]) => [`${mode}.${name}`, quantiles]));
}
