// Whether the device that carries tunnels gets the checksums inside them right, which the kernel leaves to it: where it
// does not, pings pass, and TCP and UDP do not. As soon as the path to a peer is proven, this host sends pairs of
// datagrams along it that differ in one thing: the checksum of one is left to the device, that of the other the kernel
// has written. The peer's kernel refuses what arrives intact (kernel/datagrams.ts). If only the second kind is refused,
// it is this host's way out that is at fault, and a tunnel whose checksums the kernel writes is sound.
import { randomBytes } from "node:crypto";
import type { IsFaulty, TunnelDevice } from "../../datapath/network/offload.ts";
import { type Path, PATHS_NS } from "../../datapath/network/paths.ts";
import { type KernelState, keyOf } from "../../datapath/state/state.ts";
import type { ChecksumBy, EchoSeen, Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { type Driver, hasDevicePerPeer, packetsText } from "../../model/driver.ts";
import type { PathProbe } from "./pathProbes.ts";

type OffloadProbesOptions = {
  readonly kernel: Pick<Kernel, "echo" | "underlayDevice">;
  readonly clock: Clock;
  /** All of this host; a path is the same object as long as it is the same. */
  readonly paths: () => readonly Pick<PathProbe, "path" | "state" | "sinceMs">[];
  /** Called when isFaulty() may say something else. */
  readonly onVerdict: () => void;
  readonly log: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
};

/** Pairs on one path, and how far apart. Answers are read ten times a second meanwhile. */
const TRIES = 3;
const EACH_MS = 400;
/** Of the second kind, so that the first kind's silence says something. */
const ANSWERS_NEEDED = 2;
/** If neither kind was refused: the peer's kernel answers a few errors a second only (icmpv6_xrlim_allow()). */
const UNCLEAR_MS = 60_000;
const AT_ONCE = 10;
const TICK_MS = 100;
const IDLE_MS = 10_000;
/** Of IPv6 and UDP. */
const HEADERS = 48;
const NAMED = 5;
const WOKEN = "woken";

export class OffloadProbes {
  readonly #options: OffloadProbesOptions;
  readonly #nonce = randomBytes(8);
  readonly #sent = new Map<number, { readonly trial: OffloadTrial; readonly by: ChecksumBy }>();
  #last = 0;
  #trials = new Map<Path, OffloadTrial>();
  #wake = new AbortController();
  /** By tunnel; one that is not here has not been judged in this life of the agent. */
  readonly #verdicts = new Map<string, "sound" | "faulty">();
  /** Underlay device by address. */
  readonly #devices = new Map<string, string | undefined>();
  #hasMet = false;

  constructor(options: OffloadProbesOptions) {
    this.#options = options;
  }

  /** Paths may have news: one that is proven, or proven again, is tried. */
  meet(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const before = this.#trials;
    this.#trials = new Map();
    for (const { path, state, sinceMs } of this.#options.paths()) {
      const trial = before.get(path) ?? new OffloadTrial(path);
      this.#trials.set(path, trial);
      if (state === "proven") trial.begin(`${sinceMs} ${this.#deviceOf(path)}`, nowMs);
    }
    this.#hasMet ||= this.#trials.size > 0;
    if ([...this.#trials.values()].some((trial) => trial.nextAtMs <= nowMs)) this.#wake.abort(WOKEN);
  }

  /** Addresses of the host have moved: what another device does is not known. */
  addressesChanged(): void {
    this.#devices.clear();
    this.meet();
  }

  /** Whether answers are on their way. */
  get isWaiting(): boolean {
    return [...this.#trials.values()].some(({ isAwaited }) => isAwaited);
  }

  /** Something that came to the namespace of paths. */
  take({ kind, payload }: EchoSeen): void {
    if (kind !== "refusal" || payload.length < 12 || !payload.subarray(0, 8).equals(this.#nonce)) return;
    const number = payload.readUInt32BE(8);
    const sent = this.#sent.get(number);
    this.#sent.delete(number);
    if (sent !== undefined && sent.trial.answered(sent.by)) this.#judge(sent.trial);
  }

  /**
   * As a round needs it: what is not known yet, as after a restart, stays as the kernel has it. So nothing is turned on
   * and off again while it is found out.
   */
  faultyIn(actual: KernelState): IsFaulty {
    const known = new Set([...this.#trials.keys()].map(tunnelOfPath));
    return (tunnel) => {
      const verdict = this.#verdicts.get(tunnelOfDevice(tunnel));
      if (verdict !== undefined) return verdict === "faulty";
      const isOpen = !this.#hasMet || known.has(tunnelOfDevice(tunnel));
      return isOpen && actual.has(keyOf({ kind: "checksums", ns: tunnel.ns, dev: tunnel.name }));
    };
  }

  /** A line for each way whose checksums are wrong, with what shows it. */
  conditions(state: KernelState): readonly string[] {
    return [...this.#verdicts].flatMap(([tunnel, verdict]) => {
      const broken = this.#of(tunnel).filter((trial) => trial.verdict === "faulty");
      const [first] = broken;
      if (verdict !== "faulty" || first === undefined) return [];
      const { path } = first;
      const hosts = listOf(broken.map((trial) => trial.path.host));
      const off = devicesOf(tunnel, state);
      const done = off.length === 0 ? "it is off on no tunnel" : `it is off on ${listOf(off)}`;
      const left = devicesOf(tunnel, state, false);
      return [
        `${this.#deviceOf(path)} gets checksums inside ${packetsText(path.driver, path.port)} wrong: of datagrams to ` +
          `${hosts}, those whose checksum was left to it are not answered, and those with one that the kernel wrote ` +
          `are (tx-checksum-ip-generic: ${done}` +
          (left.length === 0 ? ")" : `, and on at ${listOf(left)}: TCP and UDP do not pass there, see offload)`),
      ];
    });
  }

  /** Runs until the signal aborts. Never rejects: what cannot be sent counts as unanswered. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      this.#step();
      const nextAtMs = Math.min(...[...this.#trials.values()].map((trial) => trial.nextAtMs));
      const restMs = Math.max(TICK_MS, Math.min(IDLE_MS, nextAtMs - clock.monotonicMs()));
      await clock.sleep(restMs, AbortSignal.any([signal, this.#wake.signal]));
    }
  }

  #step(): void {
    const { clock, kernel } = this.#options;
    const nowMs = clock.monotonicMs();
    const due = [...this.#trials.values()].filter((trial) => trial.nextAtMs <= nowMs);
    const echo = due.length === 0 ? undefined : kernel.echo(PATHS_NS);
    if (echo === undefined) return;
    for (const trial of due.slice(0, AT_ONCE)) {
      const kinds = trial.take(nowMs);
      for (const by of kinds) echo.sendDatagram(trial.path.to ?? "", this.#payload(trial, by), by);
      if (kinds.length === 0) this.#judge(trial);
    }
  }

  #payload(trial: OffloadTrial, by: ChecksumBy): Buffer {
    const payload = Buffer.alloc(trial.path.size - HEADERS);
    this.#last = (this.#last + 1) >>> 0;
    this.#nonce.copy(payload);
    payload.writeUInt32BE(this.#last, 8);
    this.#sent.set(this.#last, { trial, by });
    const [oldest] = this.#sent.size > 4 * TRIES * AT_ONCE ? this.#sent.keys() : [];
    if (oldest !== undefined) this.#sent.delete(oldest);
    return payload;
  }

  /** One path at fault is enough; without any that is decided, it stays as it was judged before. */
  #judge({ path, verdict }: OffloadTrial): void {
    const tunnel = tunnelOfPath(path);
    const all = new Set(this.#of(tunnel).map((trial) => trial.verdict));
    const now = all.has("faulty") ? "faulty" : all.has("sound") ? "sound" : undefined;
    if (now === undefined || now === this.#verdicts.get(tunnel)) return;
    this.#verdicts.set(tunnel, now);
    const device = this.#deviceOf(path);
    this.#options.log("offload", { tunnel, device, peer: path.host, found: verdict, is: now });
    this.#options.onVerdict();
  }

  #of(tunnel: string): readonly OffloadTrial[] {
    return [...this.#trials.values()].filter(({ path }) => tunnelOfPath(path) === tunnel);
  }

  #deviceOf({ ends }: Path): string {
    const [local = ""] = ends.split(" ");
    if (!this.#devices.has(local)) this.#devices.set(local, this.#options.kernel.underlayDevice(local));
    return this.#devices.get(local) ?? "the underlay device";
  }
}

/** One path: it is told the time and the answers, and says what to send next. */
class OffloadTrial {
  readonly path: Path;
  verdict: "sound" | "faulty" | undefined;
  nextAtMs = Number.POSITIVE_INFINITY;
  #cause = "";
  #tries = 0;
  #answers = 0;

  constructor(path: Path) {
    this.path = path;
  }

  /** Whether a datagram may still be answered. */
  get isAwaited(): boolean {
    return this.#tries > 0 && this.nextAtMs !== Number.POSITIVE_INFINITY;
  }

  /** Begins anew if the cause is another one. The verdict stays until there is a new one. */
  begin(cause: string, nowMs: number): void {
    if (cause === this.#cause) return;
    this.#cause = cause;
    this.#again(nowMs);
  }

  #again(atMs: number): void {
    this.#tries = 0;
    this.#answers = 0;
    this.nextAtMs = atMs;
  }

  /** What to send now; nothing if it is decided. Each kind goes first in turn: the peer may answer one alone. */
  take(nowMs: number): readonly ChecksumBy[] {
    if (this.#tries === TRIES) {
      this.#end(nowMs);
      return [];
    }
    this.nextAtMs = nowMs + EACH_MS;
    return this.#tries++ % 2 === 0 ? ["device", "kernel"] : ["kernel", "device"];
  }

  #end(nowMs: number): void {
    if (this.#answers < ANSWERS_NEEDED) return this.#again(nowMs + UNCLEAR_MS);
    this.verdict = "faulty";
    this.nextAtMs = Number.POSITIVE_INFINITY;
  }

  /** True if that decides. */
  answered(by: ChecksumBy): boolean {
    if (by === "kernel") {
      this.#answers++;
      return false;
    }
    this.verdict = "sound";
    this.nextAtMs = Number.POSITIVE_INFINITY;
    return true;
  }
}

/** What has one switch: the tunnels of a driver and port from an address; or to one peer, if each has its own. */
function tunnelOf(driver: Driver, port: number, local: string, remote: string): string {
  return `${driver} ${port} ${local}${hasDevicePerPeer(driver) ? ` ${remote}` : ""}`;
}

function tunnelOfPath({ driver, port, ends }: Path): string {
  const [local = "", remote = ""] = ends.split(" ");
  return tunnelOf(driver, port, local, remote);
}

function tunnelOfDevice(device: TunnelDevice): string {
  if (device.kind === "vxlan") return tunnelOf("vxlan", device.port, device.local, "");
  return tunnelOf("gre", 0, device.local, device.remote);
}

/** Devices of networks whose checksums the kernel writes, or does not. */
function devicesOf(tunnel: string, state: KernelState, isOff = true): readonly string[] {
  const names = [...state.values()].flatMap((object) => {
    const isTunnel = object.kind === "vxlan" || object.kind === "gretap" || object.kind === "ip6gretap";
    if (!isTunnel || object.ns === PATHS_NS || tunnelOfDevice(object) !== tunnel) return [];
    return state.has(keyOf({ kind: "checksums", ns: object.ns, dev: object.name })) === isOff ? [object.name] : [];
  });
  return names.sort();
}

function listOf(names: readonly string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  return `${names.slice(0, NAMED).join(", ")}${more}`;
}
