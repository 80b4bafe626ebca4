// What do security groups cost? One TCP stream, the round trip and new connections across two hosts: without a group,
// with 0 to 1,000 rules, with a group of 1,000 members as peer, and through the same 1,000 rules as linear iptables
// chains on a segment made by hand, in turns. Then how long a change takes to reach the kernel for 1,000 endpoints of a
// host, and how many forbidden packets are answered during 1,000 changes.
import type { Endpoint } from "../src/model/resource.ts";
import { call, type Cluster, must, until } from "../test/netns/lab/cluster.ts";
import * as frames from "../test/netns/lab/frames.ts";
import { Interface } from "../test/netns/lab/interface.ts";
import { BARE, handmadeSwitched, type Pair } from "./lab/handmade.ts";
import { inside, pathOf, withCluster } from "./lab/lab.ts";
import { median, quantilesOf, show } from "./lab/report.ts";
import { connectUs, gigabits, roundTripUs } from "./lab/traffic.ts";

const ROUNDS = numberOf("--rounds", 9);
const SECONDS = 2;
const PINGS = 200;
const CONNECTIONS = 300;
const RULES = [0, 10, 100, 1000] as const;
const MEMBERS = 1000;
const ENDPOINTS = 1000;
const UPDATES = numberOf("--updates", 1000);
const TARGET = 0.95;

function numberOf(flag: string, usual: number): number {
  const word = process.argv.find((one) => one.startsWith(`${flag}=`));
  return word === undefined ? usual : Number(word.slice(flag.length + 1));
}

/** It takes minutes: what is known so far goes to stderr. */
function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

type Subject = { readonly name: string; readonly pair: Pair };
type Samples = { gbit: number[]; rttUs: number[]; connectUs: number[] };

const OPEN = [
  { direction: "out", action: "allow", protocol: "all" },
  { direction: "in", action: "allow", protocol: "icmp" },
  // What is measured comes last in a linear chain.
  { direction: "in", action: "allow", protocol: "tcp", ports: ["5201-5202"], priority: 900 },
];

/** The n-th of the rules: a port for a network of its own, which nothing measured here matches. */
function ruleNumber(n: number) {
  return { cidr: `172.${16 + (n >> 8)}.${n & 255}.0/24`, port: 10_000 + n };
}

function rules(count: number) {
  return Array.from({ length: count }, (_, n) => {
    const { cidr, port } = ruleNumber(n);
    return { direction: "in", action: "allow", protocol: "tcp", ports: [port], peer: { cidr } };
  });
}

async function api(cluster: Cluster, method: string, path: string, body: unknown): Promise<void> {
  const answer = await cluster.api(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

let networks = 0;
/** A switched network of its own with one workload per host. */
async function weftPair(cluster: Cluster, name: string, groups: readonly string[] | undefined): Promise<Pair> {
  const subnets = [{ cidr: `10.${100 + networks++}.0.0/16` }];
  const spec = { ipam: "global", subnets, ...(groups === undefined ? {} : { securityGroups: groups }) };
  await api(cluster, "PUT", `/v1/networks/${name}`, { spec });
  await cluster.converged();
  const from = await cluster.attach("h1", name, `${name}1`);
  const to = await cluster.attach("h2", name, `${name}2`);
  await cluster.converged();
  return { from: pathOf(from.netns), to: pathOf(to.netns), address: to.addresses[0] ?? "" };
}

/** A group of many members, all on a third host that has no agent: what this host has to know is their addresses. */
async function membersPair(cluster: Cluster): Promise<Pair> {
  const underlay = { underlay: "172.31.77.99", underlayMtu: 1500, hostPrefixes: [] };
  await api(cluster, "POST", "/v1/hosts/h99/join", underlay);
  await api(cluster, "PUT", "/v1/securitygroups/members", { spec: { rules: [] } });
  const peer = { direction: "in", action: "allow", protocol: "tcp", peer: { group: "members" } };
  await api(cluster, "PUT", "/v1/securitygroups/of-members", { spec: { rules: [peer, ...OPEN] } });
  const pair = await weftPair(cluster, "members", ["of-members"]);
  for (let n = 0; n < MEMBERS; n++) {
    const claim = { network: "members", host: "h99", owner: `m${n}`, ifname: "eth0", netns: "/run/netns/none" };
    await api(cluster, "POST", "/v1/endpoints", { ...claim, securityGroups: ["members"] });
  }
  await cluster.converged();
  return pair;
}

/** The hand-made segment, its bridged frames through iptables as OpenNebula's driver would have it, rule by rule. */
async function iptablesPair(cluster: Cluster): Promise<Pair> {
  for (const host of BARE) await cluster.addHost(host);
  const pair = await handmadeSwitched(cluster);
  const lines = [
    "*filter",
    ":FORWARD DROP [0:0]",
    "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ...Array.from({ length: 1000 }, (_, n) => {
      const { cidr, port } = ruleNumber(n);
      return `-A FORWARD -p tcp -s ${cidr} --dport ${port} -j ACCEPT`;
    }),
    "-A FORWARD -p icmp -j ACCEPT",
    "-A FORWARD -p tcp --dport 5201:5202 -j ACCEPT",
    "COMMIT",
  ].join("\n");
  for (const n of [1, 2]) {
    const netns = pathOf(`${cluster.id}-sw${n}`);
    await must(...inside(netns, ["sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=1"]));
    await must(...inside(netns, ["sh", "-c", `iptables-restore <<'END'\n${lines}\nEND`]));
  }
  return pair;
}

async function measure(subjects: readonly Subject[]): Promise<Map<string, Samples>> {
  const samples = new Map<string, Samples>(subjects.map(({ name }) => [name, { gbit: [], rttUs: [], connectUs: [] }]));
  for (const { pair } of subjects) await gigabits(pair, 1);
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, pair } of round % 2 === 0 ? subjects : subjects.toReversed()) {
      const of = samples.get(name);
      of?.gbit.push(await gigabits(pair, SECONDS));
      of?.rttUs.push(await roundTripUs(pair, PINGS));
      of?.connectUs.push(await connectUs(pair, CONNECTIONS));
    }
  }
  return samples;
}

/** Median of the ratios of samples of one round. */
function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, i) => value / (theirs[i] ?? Number.NaN)));
}

async function policyRevision(cluster: Cluster, host: string): Promise<number> {
  const { body } = await call(cluster.agentSocket(host), "GET", "/v1/status");
  return body.policyRevision ?? 0;
}

/** From the request to "in the kernel", with as many endpoints of the group on the host; in milliseconds. */
async function changeMs(cluster: Cluster): Promise<readonly number[]> {
  await api(cluster, "PUT", "/v1/securitygroups/crowd", { spec: { rules: OPEN } });
  const spec = { ipam: "local", subnets: [{ cidr: "10.90.0.0/16", hostPrefix: 20 }], securityGroups: ["crowd"] };
  await api(cluster, "PUT", "/v1/networks/crowd", { spec });
  await cluster.converged();
  await must("sh", "-c", `for n in $(seq ${ENDPOINTS}); do ip netns add ${cluster.id}-e$n; done`);
  for (let n = 1; n <= ENDPOINTS; n++) {
    const request = { network: "crowd", netns: pathOf(`${cluster.id}-e${n}`), owner: `e${n}` };
    const { status, body } = await call(cluster.agentSocket("h1"), "POST", "/v1/attachments", request);
    if (status !== 201) throw new Error(`attach: ${JSON.stringify(body)}`);
  }
  // Local endpoints are registered after they are attached: what is measured is not how long that takes.
  await until("the server knows them", async () => {
    const { body } = await cluster.api("GET", "/v1/snapshot");
    return body.endpoints.filter((one: Endpoint) => one.spec.network === "crowd").length === ENDPOINTS;
  });
  await cluster.converged();
  const took: number[] = [];
  for (let n = 0; n < 10; n++) {
    const started = performance.now();
    await changed(cluster, "crowd", [...OPEN, ...rules(n + 1)]);
    took.push(performance.now() - started);
  }
  return took;
}

/** Changes a group and waits until the first host has it in its kernel. */
async function changed(cluster: Cluster, group: string, list: readonly unknown[], meanwhile = () => {}): Promise<void> {
  const { status, body } = await cluster.api("PUT", `/v1/securitygroups/${group}`, { spec: { rules: list } });
  if (status >= 300) throw new Error(JSON.stringify(body));
  do meanwhile();
  while ((await policyRevision(cluster, "h1")) < body.revision);
}

/** Forbidden packets that came through while the rules changed; the sender never stops. */
async function leakedIn(cluster: Cluster): Promise<{ readonly leaked: number; readonly sent: number }> {
  await api(cluster, "PUT", "/v1/securitygroups/flooded", { spec: { rules: OPEN } });
  const spec = { ipam: "global", subnets: [{ cidr: "10.89.0.0/16" }] };
  await api(cluster, "PUT", "/v1/networks/flooded", { spec });
  await cluster.converged();
  const a = await cluster.attach("h1", "flooded", "flood-a");
  const b = await cluster.attach("h1", "flooded", "flood-b", { securityGroups: ["flooded"] });
  await cluster.converged();
  const [from, to] = [await Interface.in(a.netns, "eth0"), await Interface.in(b.netns, "eth0")];
  const ends = { fromMac: a.mac, toMac: b.mac, from: a.addresses[0] ?? "", to: b.addresses[0] ?? "" };
  const forbidden = frames.udp(ends, 9, "<forbidden>");
  let [leaked, sent] = [0, 0];
  try {
    for (let n = 0; n < UPDATES; n++) {
      await changed(cluster, "flooded", [...OPEN, ...rules(1 + (n % 20))], () => {
        for (let i = 0; i < 20; i++) if (from.send(forbidden)) sent++;
      });
      leaked += to.count("<forbidden>");
      to.forget();
    }
  } finally {
    from.close();
    to.close();
  }
  return { leaked, sent };
}

await withCluster(2, async (cluster) => {
  const subjects: Subject[] = [{ name: "no group", pair: await weftPair(cluster, "free", undefined) }];
  for (const count of RULES) {
    await api(cluster, "PUT", `/v1/securitygroups/r${count}`, { spec: { rules: [...rules(count), ...OPEN] } });
    subjects.push({ name: `${count} rules`, pair: await weftPair(cluster, `r${count}`, [`r${count}`]) });
  }
  subjects.push({ name: `${MEMBERS} members`, pair: await membersPair(cluster) });
  subjects.push({ name: "1000 iptables rules", pair: await iptablesPair(cluster) });
  const samples = await measure(subjects);
  const base = samples.get("no group") ?? { gbit: [], rttUs: [], connectUs: [] };
  const rows = [...samples].map(([name, of]) => ({
    name,
    gbit: median(of.gbit),
    throughputRatio: ratio(of.gbit, base.gbit),
    rttUs: median(of.rttUs),
    connectUs: median(of.connectUs),
  }));
  for (const row of rows) note(`${row.name}: ${row.gbit.toFixed(2)} Gbit/s, ratio ${row.throughputRatio.toFixed(3)}`);
  const ratioOf = (name: string) => rows.find((row) => row.name === name)?.throughputRatio ?? Number.NaN;
  // Before the host has its thousand endpoints, so that a change is as quick as it can be.
  const { leaked, sent } = await leakedIn(cluster);
  note(`${leaked} of ${sent} forbidden packets during ${UPDATES} changes`);
  const change = quantilesOf(await changeMs(cluster));
  note(`a change for ${ENDPOINTS} endpoints: ${change.p50.toFixed(0)} ms`);
  show(
    {
      bench: "policy",
      values: {
        throughputRatio1000: ratioOf("1000 rules"),
        throughputRatioMembers: ratioOf(`${MEMBERS} members`),
        leaked,
        sent,
        updates: UPDATES,
        changeMsP50: change.p50,
        changeMsP99: change.p99,
        ...Object.fromEntries(rows.map(({ name, ...numbers }) => [name.replaceAll(" ", "-"), numbers])),
      },
      columns: ["", "Gbit/s", "ratio to no group", "RTT µs", "new connection µs"],
      rows: rows.map((row) => [row.name, row.gbit, row.throughputRatio, row.rttUs, row.connectUs]),
      notes: [
        `${ROUNDS} rounds of ${SECONDS} s each, in turns. Target: at least ${TARGET} with 1,000 rules.`,
        `A change for ${ENDPOINTS} endpoints of a host: ${change.p50.toFixed(0)} ms (p50), ` +
          `${change.p99.toFixed(0)} ms (slowest of 10), from the request until the kernel has it. Target: 1,000 ms.`,
        `${leaked} of ${sent} forbidden packets came through during ${UPDATES} changes. Target: 0.`,
      ],
    },
    process.argv,
  );
});
