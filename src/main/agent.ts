// Builds the agent of one host and runs it until it is told to stop. The kernel then stays as it is: traffic does not
// depend on this process.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { Agent } from "../agent/agent.ts";
import { openDisk, type Disk } from "../agent/server/stateDir.ts";
import { fileJournal } from "../agent/journal/journal.ts";
import { METRICS_TYPE, agentMetrics } from "../agent/socket/metrics.ts";
import { BlockLease } from "../agent/journal/blockLease.ts";
import { Underlay } from "../agent/server/join.ts";
import { type ApiServer, listenOnAddress, listenOnSocket } from "../agent/socket/listen.ts";
import { type LocalApi, localApi, type Route } from "../agent/socket/localApi.ts";
import type { TakeOver } from "../agent/reconcile/takeOver.ts";
import { type Services, undoUnconfirmed } from "../agent/reconcile/takeOvers.ts";
import { together } from "../agent/together.ts";
import { overlayPage } from "../ancestors/dcos/routes.ts";
import type { Flags } from "../cli/context.ts";
import { settingsOf } from "../cli/input/settings.ts";
import { serverUrl } from "../client/url.ts";
import { ownVersion } from "../cli/program/version.ts";
import { cniRoute } from "../doors/cni/cni.ts";
import { syncFiles, type CniDirectory } from "../doors/cni/files.ts";
import { NETNS_PREFIX } from "../datapath/kinds/namespaces.ts";
import { Mirror } from "../client/mirror.ts";
import { httpTransport } from "../client/transportHttp.ts";
import { filesWhile } from "../files/files.ts";
import { realFiles } from "../files/real.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { linuxKernel } from "../kernel/linux.ts";
import { lockDirectory } from "../kernel/lock.ts";
import { OVSDB_SOCKET } from "../kernel/ovsdb/openVswitch.ts";
import { neighbourOverflows } from "../kernel/overflow.ts";
import { parseDuration } from "../model/duration.ts";
import { Fault } from "../model/fault.ts";
import { emptySnapshot } from "../model/resource.ts";
import { checkClaim, claimOf } from "./claim.ts";
import { hostCredential, renewal, saveCredential } from "./hostCredential.ts";
import { syncDropIns, unwarned } from "./dropIns.ts";
import { deviceManagers } from "./deviceManagers.ts";
import { Management } from "./management.ts";
import { cannotListen, listenAddress, optimizeEarly, type Surroundings } from "./surroundings.ts";

const SETTINGS = [
  "server",
  "join-token-file",
  "ca-pin",
  "host",
  "underlay",
  "state-dir",
  "socket",
  "netns-prefix",
  "slices",
  "physical",
  "take-over",
  "take-over-timeout",
  "http",
  "cni-dir",
  "etc-dir",
  "run-dir",
  "ovsdb",
] as const;
const DEFAULTS = {
  "state-dir": "/var/lib/weft/agent",
  socket: "/run/weft/agent.sock",
  "netns-prefix": NETNS_PREFIX,
  "run-dir": "/run",
  "take-over-timeout": "30s",
  ovsdb: OVSDB_SOCKET,
} as const;

/** What an agent was told, with the defaults of what it was not. */
export async function agentSettings(flags: Flags, env: Surroundings["env"]) {
  const settings = { ...DEFAULTS, ...(await settingsOf("agent", SETTINGS, flags, env)) };
  // Files for CNI name it, and other programs read them elsewhere.
  return { ...settings, socket: resolve(settings.socket) };
}
type Settings = Readonly<Awaited<ReturnType<typeof agentSettings>>>;

export async function runAgent(flags: Flags, world: Surroundings): Promise<number> {
  const settings = await agentSettings(flags, world.env);
  if (process.getuid?.() !== 0) throw notRoot();
  checkSettings(settings);
  optimizeEarly();
  const url = serverUrl(settings.server ?? missingServer(), "--server");
  const host = settings.host ?? hostname();
  const { disk, files, troubles } = await lockedState(settings["state-dir"], world.clock);
  const credential = hostCredential(disk, host, settings);
  const kernel = linuxKernel({ prefix: settings["netns-prefix"], ovsdb: settings.ovsdb });
  // Before the server is looked for: the host may be out of its reach by what an earlier agent did last.
  const takeOvers = await undoUnconfirmed(disk.takeOvers(), { kernel, log: world.log });
  const ends = await underlayOf({ kernel, disk, host, url }, settings.underlay);
  // Fails here, and not at the first join, if the host does not have the address.
  const { underlay } = await ends.now();
  const transport = httpTransport({ url, credential, clock: world.clock });
  const blockLease = new BlockLease(world.clock, disk.blockLease(), disk.saveBlockLease);
  const journal = fileJournal(disk.journalPath, kernel.facts().bootId, files);
  const saved = disk.snapshot();
  const { clock, random, log, signal } = world;
  const mirror = new Mirror({ transport, clock, random, ...(saved === undefined ? {} : { saved }) });
  const management = await Management.begun(url, clock, signal);
  const servers = () => management.addresses;
  const claim = claimOf({ kernel, host, underlay: ends, mirror, servers }, settings);
  const looks = [neighbourOverflows(() => clock.monotonicMs()), keepDropIns(settings, host, mirror, world)];
  const agent = new Agent({
    host,
    management: servers,
    version: ownVersion(),
    kernel,
    transport,
    mirror,
    journal,
    clock,
    random,
    claim,
    cluster: disk.identity()?.cluster,
    saveIdentity: ({ cluster }) => saveCredential(disk, { host, cluster }, credential),
    saveSnapshot: disk.saveSnapshot,
    troubles: () => [...troubles(), ...kernel.troubles(), ...looks.flatMap((look) => look())],
    takeOvers: takeOverParts(takeOvers, disk, settings, deviceManagers(settings, host, mirror, log)),
    blockLease,
    uid: () => randomUUID(),
    renew: renewal(disk, settings["join-token-file"], (key) => transport.renew(key)),
    log,
  });
  const { attacher, inspection, snapshots, rounds } = agent;
  const { socket } = settings;
  const report = () => agent.report;
  const cni = cniRoute({ attacher, inspection, snapshots, rounds, report, host, journal, kernel, clock, log });
  const routes = readRoutes(agent, disk, host);
  const local = localApi({ report, routes: [...routes, cni], endpoints: { attacher, inspection } });
  const listeners = [await listenOnSocket(socket, local)];
  if (settings.http !== undefined) listeners.push(await listenOnTcp(settings.http, localApi({ report, routes })));
  if (settings["cni-dir"] !== undefined) keepCniFiles({ directory: settings["cni-dir"], socket }, mirror, host, log);
  log("agent starting", { host, underlay, server: url, socket, pid: process.pid });
  try {
    await together(signal, [
      (either) => agent.run(either),
      (either) => management.run(either, () => rounds.pokeFull()),
    ]);
  } finally {
    await Promise.all(listeners.map((one) => one.close()));
    transport.close();
    kernel.close();
  }
  log("agent stopped; the kernel stays as it is");
  return 0;
}

type Start = { readonly kernel: Kernel; readonly disk: Disk; readonly host: string; readonly url: string };

async function underlayOf({ kernel, disk, host, url }: Start, given: string | undefined): Promise<Underlay> {
  const address = given ?? (await sourceAddress(url)) ?? lastUnderlay(disk, host) ?? noWay(url);
  return new Underlay({ kernel, address, ...(given === undefined ? { find: () => sourceAddress(url) } : {}) });
}

function takeOverParts(
  saved: readonly TakeOver[],
  { saveTakeOvers: save }: Disk,
  settings: Settings,
  services: Services,
) {
  return { saved, save, services, timeoutMs: parseDuration(settings["take-over-timeout"], "--take-over-timeout") };
}

/** Refuses wrong settings before anything is made. */
function checkSettings({ http, "take-over-timeout": timeout, ...told }: Settings): void {
  parseDuration(timeout, "--take-over-timeout");
  if (http !== undefined) listenAddress(http, "--http");
  checkClaim(told);
}

function notRoot(): Fault {
  const why = "it makes links, routes and network namespaces";
  return new Fault("forbidden", { what: "the agent needs root", why, fix: "run it as root, as its systemd unit does" });
}

function missingServer(): never {
  const fix = "give --server https://HOST:PORT, or WEFT_SERVER, or `server:` in /etc/weft/agent.yaml";
  throw new Fault("request-invalid", { what: "the URL of the server is not given", where: "--server", fix });
}

/** The state directory, locked until the process ends: no second agent uses it. */
async function lockedState(directory: string, clock: Surroundings["clock"]) {
  let isHeld = (): boolean => true;
  const files = filesWhile(realFiles, () => isHeld());
  const disk = openDisk(directory, files);
  ({ isHeld } = await lockDirectory(directory, "state directory", clock));
  return { disk, files, troubles: () => [...(isHeld() ? [] : [notHeld(directory)]), ...disk.troubles()] };
}

function notHeld(directory: string): string {
  return (
    `the state directory ${directory} was removed, moved or replaced while the agent runs: it cannot write its ` +
    "journal, so it attaches and detaches nothing; put the directory back, or restart the agent"
  );
}

/** The source address of packets to the server. Connecting a datagram socket looks up the route and sends nothing. */
async function sourceAddress(url: string): Promise<string | undefined> {
  if (!URL.canParse(url) || url.startsWith("unix:")) return undefined;
  const { hostname: name, port } = new URL(url);
  const server = name.replace(/^\[(.*)\]$/, "$1");
  const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
  try {
    socket.connect(Number(port) || 80, server);
    await once(socket, "connect");
    return socket.address().address;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

/** The address of the last run: an agent must start even while names cannot be looked up. */
function lastUnderlay(disk: Disk, host: string): string | undefined {
  return disk.snapshot()?.hosts.find((one) => one.name === host)?.spec.underlay;
}

function noWay(url: string): never {
  const fix = "give --underlay ADDRESS, or add a route to the server";
  throw new Fault("unavailable", { what: `no address of this host leads to ${url}`, where: "--underlay", fix });
}

/** Questions that the agent answers beside its own: metrics, and what DC/OS asks. */
function readRoutes(agent: Agent, disk: Disk, host: string): readonly Route[] {
  const look = () => ({
    snapshot: agent.snapshots.current() ?? disk.snapshot() ?? emptySnapshot(""),
    report: agent.report,
  });
  const metrics = ({ report, inspection }: Agent) => agentMetrics(report, inspection.queues(), inspection.counters());
  const { path, type, body } = overlayPage(host, look);
  return [
    {
      method: "GET",
      path: "/metrics",
      answer: async () => ({ status: 200, type: METRICS_TYPE, body: await metrics(agent) }),
    },
    { method: "GET", path, answer: () => ({ status: 200, type, body: body() }) },
  ];
}

/** Keeps CNI configurations of this host's networks current; a local network is one of them if it has a block here. */
function keepCniFiles(target: CniDirectory, mirror: Mirror, host: string, log: Surroundings["log"]): void {
  let last: readonly unknown[] = [];
  const keep = () => {
    const snapshot = mirror.snapshot();
    if (snapshot === undefined) return;
    const now = [snapshot.networks, snapshot.blocks, mirror.isSynced];
    if (now.every((value, i) => value === last[i])) return;
    last = now;
    const here = new Set(snapshot.blocks.filter(({ spec }) => spec.host === host).map(({ spec }) => spec.network));
    const marked = snapshot.networks.filter(
      ({ name, spec }) => (spec.cni ?? false) !== false && (spec.ipam === "global" || here.has(name)),
    );
    for (const problem of syncFiles(target, marked, mirror.isSynced)) log("cni files", { problem });
  };
  keep();
  mirror.onChange(keep);
}

/** Keeps other services away from this host's devices; gives what is wrong with that, a line each. */
function keepDropIns(
  { "etc-dir": etc, "run-dir": run }: Settings,
  host: string,
  mirror: Mirror,
  { clock, log }: Pick<Surroundings, "clock" | "log">,
): () => readonly string[] {
  if (etc === undefined) return cached(() => unwarned(mirror.snapshot()), clock);
  // Also from time to time: somebody may change or remove the files.
  return cached(
    () => syncDropIns({ etc, run }, host, mirror.snapshot(), log),
    clock,
    () => [mirror.snapshot()?.networks, mirror.snapshot()?.hosts],
  );
}

/** How long an answer is used that takes looking at all processes, or reading files. */
const FRESH_MS = 30_000;

/** The answer, for as long as it is fresh and what it is of stays the same. */
function cached<T>(look: () => T, clock: Surroundings["clock"], basis: () => readonly unknown[] = () => []): () => T {
  let last: { readonly of: T; readonly atMs: number; readonly basis: readonly unknown[] } | undefined;
  return () => {
    const atMs = clock.monotonicMs();
    const now = basis();
    const isFresh = last !== undefined && atMs - last.atMs < FRESH_MS && now.every((one, i) => one === last?.basis[i]);
    if (last === undefined || !isFresh) last = { of: look(), atMs, basis: now };
    return last.of;
  };
}

async function listenOnTcp(http: string, api: LocalApi): Promise<ApiServer> {
  const { host, port } = listenAddress(http, "--http");
  return await listenOnAddress(host, port, api).catch(cannotListen(http));
}
