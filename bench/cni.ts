// How long does a container runtime wait for a CNI plugin? ADD and DEL by Weft's plugin, in a local and in a global
// network, against the reference plugins `bridge` with `host-local`: programs started from C, one at a time, 20 and 100
// at once; Weft and the reference take turns. Also what the agent needs for it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, must } from "../test/netns/lab/cluster.ts";
import { PLUGIN, REFERENCE_PLUGINS } from "../test/netns/lab/plugin.ts";
import { pathOf, withCluster } from "./lab/lab.ts";
import { type Job, Launcher } from "./lab/launcher.ts";
import { cellsOf, median, type Quantiles, quantilesOf, show } from "./lab/report.ts";

const HOST = "h1";
const CONTAINERS = 100;
const ROUNDS = 4;
const CROWDS = { 20: 6, 100: 4 } as const;
const TARGETS = { add: 0.35, del: 0.2, crowd: 0.35 } as const;
const KINDS = ["local", "global", "reference"] as const;
type Kind = (typeof KINDS)[number];
type Verb = "ADD" | "DEL";

class Lab {
  readonly cluster: Cluster;
  readonly #launcher: Launcher;
  readonly #netns = new Map<Kind, readonly string[]>();

  constructor(cluster: Cluster, launcher: Launcher) {
    this.cluster = cluster;
    this.#launcher = launcher;
  }

  async prepare(): Promise<void> {
    const { cluster } = this;
    const networks = {
      local: { ipam: "local", subnets: [{ cidr: "10.93.0.0/16", hostPrefix: 24 }] },
      global: { ipam: "global", subnets: [{ cidr: "10.94.0.0/16" }] },
    } as const;
    for (const [name, spec] of Object.entries(networks)) await cluster.api("PUT", `/v1/networks/${name}`, { spec });
    await cluster.converged();
    // Without it a global network would come to the host with its first container and go with its last.
    await cluster.attach(HOST, "global", "anchor");
    for (const kind of KINDS) {
      const names: string[] = [];
      for (let i = 0; i < CONTAINERS; i++) names.push(pathOf(await cluster.addWorkloadNetns(`${kind}${i}`)));
      this.#netns.set(kind, names);
    }
  }

  /** Milliseconds until the last has ended, and of each; throws if one failed. */
  async run(kind: Kind, verb: Verb, containers: readonly number[]): Promise<{ all: number; each: number[] }> {
    const { ms, jobs } = await this.#launcher.run(containers.map((i) => this.#job(kind, verb, i)));
    for (const { code, output } of jobs) if (code !== 0) throw new Error(`${kind} ${verb}: ${code} ${output}`);
    return { all: ms, each: jobs.map((job) => job.ms) };
  }

  #job(kind: Kind, verb: Verb, i: number): Job {
    const isReference = kind === "reference";
    return {
      within: pathOf(this.cluster.netnsOf(HOST)),
      program: isReference ? join(REFERENCE_PLUGINS, "bridge") : PLUGIN,
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        CNI_COMMAND: verb,
        CNI_CONTAINERID: `${kind}-${i}`,
        CNI_NETNS: this.#netns.get(kind)?.[i] ?? "",
        CNI_IFNAME: "eth0",
        CNI_PATH: REFERENCE_PLUGINS,
        ...(isReference ? {} : { WEFT_SOCKET: this.cluster.agentSocket(HOST) }),
      },
      input: JSON.stringify(isReference ? this.#reference() : { ...CONF, name: kind, type: "weft", network: kind }),
    };
  }

  #reference() {
    const dataDir = join(this.cluster.folder, "host-local");
    const ranges = [[{ subnet: "10.22.0.0/16" }]];
    const ipam = { type: "host-local", dataDir, ranges, routes: [{ dst: "0.0.0.0/0" }] };
    return { ...CONF, name: "reference", type: "bridge", bridge: "cni0", isGateway: true, ipam };
  }
}
const CONF = { cniVersion: "1.0.0" };

type Samples = Record<Kind, Record<Verb, number[]>>;
function noSamples(): Samples {
  const none = () => ({ ADD: [], DEL: [] });
  return { local: none(), global: none(), reference: none() };
}

/** One after the other, in turns. */
async function alone(lab: Lab, samples: Samples): Promise<void> {
  for (const verb of ["ADD", "DEL"] as const)
    for (let i = 0; i < CONTAINERS; i++)
      for (const kind of KINDS) samples[kind][verb].push(...(await lab.run(kind, verb, [i])).each);
}

/** Milliseconds until all of a crowd are done, per kind and verb. */
async function crowd(lab: Lab, size: number, rounds: number): Promise<Samples> {
  const samples = noSamples();
  const containers = Array.from({ length: size }, (_, i) => i);
  for (let round = 0; round < rounds; round++)
    for (const verb of ["ADD", "DEL"] as const)
      for (const kind of KINDS) samples[kind][verb].push((await lab.run(kind, verb, containers)).all);
  return samples;
}

/** Processor time of a process so far, in milliseconds, and its resident memory in MB. */
function usage(pid: number): { readonly cpuMs: number; readonly memoryMb: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * 10, memoryMb: Number(resident) / 1024 };
}

const quantiles = (samples: Samples, verb: Verb) =>
  Object.fromEntries(KINDS.map((kind) => [kind, quantilesOf(samples[kind][verb])])) as Record<Kind, Quantiles>;
const ratioOf = (samples: Samples, kind: Kind, verb: Verb) =>
  median(samples[kind][verb]) / median(samples.reference[verb]);

await withCluster(1, async (cluster) => {
  await must("test", "-x", join(REFERENCE_PLUGINS, "bridge"));
  const launcher = await Launcher.start(cluster.folder);
  const lab = new Lab(cluster, launcher);
  await lab.prepare();
  // An agent runs for months: what V8 makes of its code in the first seconds is not what is asked here.
  for (let round = 0; round < 2; round++) await alone(lab, noSamples());
  const pid = cluster.pidOf(HOST) ?? 0;
  const before = usage(pid);
  const samples = noSamples();
  for (let round = 0; round < ROUNDS; round++) await alone(lab, samples);
  const after = usage(pid);
  const crowds = { 20: await crowd(lab, 20, CROWDS[20]), 100: await crowd(lab, 100, CROWDS[100]) };
  await launcher.stop();

  const [add, del] = [quantiles(samples, "ADD"), quantiles(samples, "DEL")];
  const cpuMsPerPair = (after.cpuMs - before.cpuMs) / (2 * ROUNDS * CONTAINERS);
  const ratio = {
    addP50: add.local.p50 / add.reference.p50,
    delP50: del.local.p50 / del.reference.p50,
    globalAddP50: add.global.p50 / add.reference.p50,
    globalDelP50: del.global.p50 / del.reference.p50,
    add20: ratioOf(crowds[20], "local", "ADD"),
    del20: ratioOf(crowds[20], "local", "DEL"),
    add100: ratioOf(crowds[100], "local", "ADD"),
    del100: ratioOf(crowds[100], "local", "DEL"),
    globalAdd100: ratioOf(crowds[100], "global", "ADD"),
    globalDel100: ratioOf(crowds[100], "global", "DEL"),
  };
  const rows = (verb: Verb, times: Record<Kind, Quantiles>) =>
    KINDS.map((kind) => [`${verb} ${kind}`, ...cellsOf(times[kind]), times[kind].p50 / times.reference.p50]);
  const crowdRows = ([20, 100] as const).flatMap((size) =>
    (["ADD", "DEL"] as const).flatMap((verb) =>
      KINDS.map((kind) => {
        const ms = median(crowds[size][kind][verb]);
        return [`${size} ${verb} at once, ${kind}`, ms, "", "", ratioOf(crowds[size], kind, verb)];
      }),
    ),
  );
  show(
    {
      bench: "cni",
      values: { ratio, add: flat(add), del: flat(del), agent: { cpuMsPerPair, memoryMb: after.memoryMb } },
      columns: [`ms, ${ROUNDS * CONTAINERS} times`, "p50", "p90", "p99", "ratio of p50"],
      rows: [...rows("ADD", add), ...rows("DEL", del), ...crowdRows],
      notes: [
        `The agent: ${cpuMsPerPair.toFixed(2)} ms of a processor per ADD and DEL, ${after.memoryMb.toFixed(0)} MB.`,
        "From before fork to the plugin's end, as a runtime sees it; crowds: until the last has ended.",
        `Targets, local: ADD ${TARGETS.add}, DEL ${TARGETS.del}, 100 ADDs at once ${TARGETS.crowd} of the reference's.`,
      ],
    },
    process.argv,
  );
});

function flat(times: Record<Kind, Quantiles>): Record<string, number> {
  return Object.fromEntries(
    KINDS.flatMap((kind) => [
      [`${kind}P50`, times[kind].p50],
      [`${kind}P90`, times[kind].p90],
      [`${kind}P99`, times[kind].p99],
    ]),
  );
}
