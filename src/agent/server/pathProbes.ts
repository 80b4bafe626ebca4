// Probes the paths to this host's peers: sends echo requests through the tunnel port itself
// (datapath/network/paths.ts), which the peer's kernel answers. An answer proves both directions. If there is none, the
// requests of the peer, which arrive here, too, tell which direction is broken.
import { randomBytes } from "node:crypto";
import { type Path, PATHS_NS, pathsOf } from "../../datapath/network/paths.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { Echo, EchoSeen, Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { packetsText, packetsWord } from "../../model/driver.ts";
import { PATHS_NAMED, SMALL_BYTES, type PathSeen, type PathsReport, type PathState } from "../../model/paths.ts";
import type { Snapshot } from "../../model/resource.ts";

type PathProbesOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "echo" | "blockingFilters">;
  readonly clock: Clock;
  /** 0 <= random() < 1 */
  readonly random: () => number;
};

/** Probes per second for any number of peers, and how many at once: 200 paths are proven within five seconds. */
const RATE = 50;
const AT_ONCE = 10;
/** A proven path is probed again after this long; with more than a hundred peers, less often. */
const AGAIN_MS = 5_000;
const AGAIN_EACH_MS = 50;
/** How often answers are read while some are awaited: for a new path, and for others. */
const SOON_MS = 20;
const AWAITED_MS = 100;
const IDLE_MS = 1_000;
/** While there is no namespace; the round that makes it wakes the loop. */
const AWAY_MS = 10_000;
/** Between two checks whether the report has changed. */
const SPACING_MS = 1_000;
/** Reading the filters of others takes some milliseconds. */
const WALLS_EVERY_MS = 30_000;
/** Bytes of IPv6 and ICMPv6 headers. */
const HEADERS = 48;
const WOKEN = "woken";

export class PathProbes {
  readonly #options: PathProbesOptions;
  #probes = new Map<string, PathProbe>();
  #wake = new AbortController();
  /** Of this process: answers to an earlier one do not count. */
  readonly #nonce = randomBytes(8);
  readonly #sent = new Map<number, { readonly probe: PathProbe; readonly size: number }>();
  #last = 0;
  #tokens = AT_ONCE;
  #filledAtMs = 0;
  #wasKnown = true;
  #toldAtMs = 0;
  #filters: readonly string[] = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Gets what came to the namespace and is no answer to these probes. */
  onOther: (seen: EchoSeen) => void = () => undefined;
  /** Whether others wait for that. */
  othersWait: () => boolean = () => false;
  /** Whether the kernel could send probes so far. */
  #canProbe = false;
  /** Called when the report may have changed. */
  onNews: () => void = () => undefined;

  constructor(options: PathProbesOptions) {
    this.#options = options;
  }

  /** The kernel has this snapshot now: its paths are probed. */
  follow(snapshot: Snapshot): void {
    const { host, clock } = this.#options;
    const world = worldOf(snapshot, host);
    const probes = new Map<string, PathProbe>();
    for (const path of world === undefined ? [] : pathsOf(world)) {
      const key = JSON.stringify(path);
      probes.set(key, this.#probes.get(key) ?? new PathProbe(path, clock.monotonicMs(), () => clock.nowMs()));
    }
    const isNews = probes.size !== this.#probes.size || [...probes.keys()].some((key) => !this.#probes.has(key));
    this.#probes = probes;
    if (isNews) this.#wake.abort(WOKEN);
  }

  /** Those between addresses of one family. */
  get possible(): readonly PathProbe[] {
    return [...this.#probes.values()].filter(({ path }) => path.to !== undefined);
  }

  /** Each peer once, with the worst state of its tunnel ports. */
  get report(): PathsReport {
    const byHost = new Map<string, PathProbe>();
    for (const probe of this.#probes.values()) {
      const other = byHost.get(probe.path.host);
      if (other === undefined || WORST.indexOf(probe.state) < WORST.indexOf(other.state))
        byHost.set(probe.path.host, probe);
    }
    const probes = [...byHost.values()].sort(
      (a, b) => WORST.indexOf(a.state) - WORST.indexOf(b.state) || b.sinceMs - a.sinceMs,
    );
    const proven = probes.filter(({ state }) => state === "proven").length;
    const named = probes.slice(0, PATHS_NAMED).map((probe) => this.#seen(probe));
    const channels = this.#channels();
    return { peers: probes.length, proven, named, ...(this.#canProbe && channels.length > 0 ? { channels } : {}) };
  }

  #channels(): NonNullable<PathsReport["channels"]> {
    const byChannel = Map.groupBy(this.possible, ({ path: { driver, port } }) => `${driver} ${port}`);
    return [...byChannel.values()].flatMap((probes) => {
      const unproven = probes.flatMap(({ state, path }) => (state === "proven" ? [] : [path.host]));
      return probes.slice(0, 1).map(({ path: { driver, port } }) => ({
        driver,
        port,
        unproven: unproven.sort().slice(0, PATHS_NAMED),
      }));
    });
  }

  /** Whether packets of full size pass to a host and back, by all of its tunnel ports. */
  isProven(host: string): boolean {
    const its = [...this.#probes.values()].filter(({ path }) => path.host === host);
    return its.length > 0 && its.every(({ state }) => state === "proven");
  }

  /** Runs until the signal aborts. Never rejects: a probe that cannot be sent counts as unanswered. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, kernel } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const echo = kernel.echo(PATHS_NS);
      if (echo !== undefined) {
        this.#canProbe = true;
        this.#take(echo);
        this.#send(echo);
      }
      this.#tell();
      const restMs = echo === undefined ? AWAY_MS : this.#restMs();
      await clock.sleep(restMs, AbortSignal.any([signal, this.#wake.signal]));
    }
  }

  #take(echo: Echo): void {
    const { clock, random } = this.#options;
    const nowMs = clock.monotonicMs();
    const againMs = Math.max(AGAIN_MS, this.#probes.size * AGAIN_EACH_MS);
    for (let seen = echo.receive(); seen !== undefined; seen = echo.receive()) {
      const { kind, payload, from } = seen;
      if (kind === "request") {
        for (const probe of this.#probes.values()) if (probe.path.to === from) probe.heardAtMs = nowMs;
      } else if (kind === "answer" && payload.length >= 12 && payload.subarray(0, 8).equals(this.#nonce)) {
        const sent = this.#sent.get(payload.readUInt32BE(8));
        this.#sent.delete(payload.readUInt32BE(8));
        sent?.probe.answered(sent.size, nowMs, againMs * (0.75 + random() / 2));
      } else {
        this.onOther(seen);
      }
    }
  }

  /** Those that have waited longest go first, as many as the budget allows. */
  #send(echo: Echo): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#tokens = Math.min(AT_ONCE, this.#tokens + ((nowMs - this.#filledAtMs) * RATE) / 1000);
    this.#filledAtMs = nowMs;
    const due = this.possible.filter(({ nextAtMs }) => nextAtMs <= nowMs);
    for (const probe of due.sort((a, b) => a.nextAtMs - b.nextAtMs)) {
      if (this.#tokens < 1) return;
      for (const size of probe.take(nowMs)) {
        this.#tokens--;
        echo.send(probe.path.to ?? "", this.#payload(probe, size));
      }
    }
  }

  #payload(probe: PathProbe, size: number): Buffer {
    const payload = Buffer.alloc(size - HEADERS);
    this.#last = (this.#last + 1) >>> 0;
    this.#nonce.copy(payload);
    payload.writeUInt32BE(this.#last, 8);
    this.#sent.set(this.#last, { probe, size });
    // The oldest probe is not answered any more; a map keeps the order of insertion.
    const [oldest] = this.#sent.size > 4 * (this.#probes.size + AT_ONCE) ? this.#sent.keys() : [];
    if (oldest !== undefined) this.#sent.delete(oldest);
    return payload;
  }

  #restMs(): number {
    const nowMs = this.#options.clock.monotonicMs();
    const probes = this.possible;
    if (probes.length === 0) return AWAY_MS;
    if (probes.some(({ state }) => state === "unknown")) return SOON_MS;
    const nextAtMs = Math.min(...probes.map((probe) => probe.nextAtMs));
    const isAwaited = probes.some((probe) => probe.isAwaited) || this.othersWait();
    return Math.max(SOON_MS, Math.min(isAwaited ? AWAITED_MS : IDLE_MS, nextAtMs - nowMs));
  }

  /** At once when the last unknown path is decided, otherwise at most once a second. */
  #tell(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const isKnown = [...this.#probes.values()].every(({ state }) => state !== "unknown");
    if (isKnown === this.#wasKnown && nowMs - this.#toldAtMs < SPACING_MS) return;
    this.#wasKnown = isKnown;
    this.#toldAtMs = nowMs;
    this.#checkWalls(nowMs);
    this.onNews();
  }

  /** Reads the filters of others on this host, while a path is broken. */
  #checkWalls(nowMs: number): void {
    const broken = this.possible.filter(({ state }) => state === "failed");
    if (broken.length === 0) {
      this.#filters = [];
      this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    } else if (nowMs - this.#lookedAtMs >= WALLS_EVERY_MS) {
      this.#lookedAtMs = nowMs;
      const words = broken.map(({ path }) => packetsWord(path.driver, path.port));
      this.#filters = this.#options.kernel.blockingFilters([...new Set(words)]);
    }
  }

  #seen(probe: PathProbe): PathSeen {
    const { path, state, sinceMs } = probe;
    const obstacle = this.#obstacle(path, state, probe.isHeard(this.#options.clock.monotonicMs()));
    return { host: path.host, state, sinceMs, ...(obstacle === undefined ? {} : { obstacle }) };
  }

  #obstacle({ host, to, ends, size, driver, port }: Path, state: PathState, isHeard: boolean): string | undefined {
    const packets = packetsText(driver, port);
    if (to === undefined) return `no tunnel between addresses of two families: ${ends.replace(" ", " and ")}`;
    if (state === "small") {
      const which = `of packets to ${packets}, those of ${SMALL_BYTES} bytes pass and those of ${size} do not`;
      return `${which}: the underlay between carries less than the MTUs of the hosts say`;
    }
    if (state !== "failed") return undefined;
    const which = isHeard
      ? `packets from ${host} to ${packets} arrive here, but ${host} does not answer those from here`
      : `${host} does not answer on ${packets}, and nothing from it arrives here`;
    return this.#filters.length === 0 ? which : `${which}; ${this.#filters.join("; ")}`;
  }
}

const WORST: readonly PathState[] = ["failed", "small", "unknown", "proven"];

/** After a first probe without an answer. */
const RETRY_MS = 1_000;
/** A new path is probed more often: its peer may be setting up its end at this moment. */
const FIRST_RETRY_MS = 100;
/** While a path is broken. */
const BROKEN_MS = 3_000;
/** A path is broken after so many probes without an answer, over so long. */
const MISSES = 3;
const DOUBT_MS = 2_500;
/** A peer whose path is broken sends probes itself every few seconds. */
const HEARD_MS = 12_000;
/** One path: it is told the time, the answers and the peer's own probes, and says what to send next. */
export class PathProbe {
  readonly path: Path;
  state: PathState = "unknown";
  /** By the wall clock, for people. */
  sinceMs: number;
  nextAtMs: number;
  /** When a probe of the peer last arrived here. */
  heardAtMs = Number.NEGATIVE_INFINITY;
  #misses = 0;
  /** Whether a probe may still be answered. */
  isAwaited = false;
  #doubtedSinceMs = 0;
  #hasSmallPassed = false;
  #turnedAtMs: number;
  readonly #wall: () => number;

  /** All times except `wall` are of the monotonic clock. */
  constructor(path: Path, nowMs: number, wall: () => number) {
    this.path = path;
    this.#wall = wall;
    this.sinceMs = wall();
    this.#turnedAtMs = nowMs;
    this.nextAtMs = nowMs;
    // One host has IPv4, the other IPv6: the path can never work.
    if (path.to === undefined) this.state = "failed";
  }

  /** Sizes of the probes to send now. A probe that is unanswered by now is a miss. */
  take(nowMs: number): readonly number[] {
    if (this.isAwaited) this.#miss(nowMs);
    this.isAwaited = true;
    this.nextAtMs = nowMs + this.#retryMs();
    return this.#misses === 0 ? [this.path.size] : [this.path.size, SMALL_BYTES];
  }

  /** `againMs`: the next probe of a proven path follows after this. */
  answered(size: number, nowMs: number, againMs: number): void {
    if (size < this.path.size) {
      // If it comes after the answer to the large one, it says nothing.
      this.#hasSmallPassed ||= this.isAwaited;
      return;
    }
    this.#turn("proven", nowMs);
    this.#misses = 0;
    this.isAwaited = false;
    this.#hasSmallPassed = false;
    this.nextAtMs = nowMs + againMs;
  }

  /** Whether probes of the peer have arrived since the state last changed. */
  isHeard(nowMs: number): boolean {
    return this.heardAtMs > this.#turnedAtMs && nowMs - this.heardAtMs < HEARD_MS;
  }

  #miss(nowMs: number): void {
    if (this.#misses++ === 0) this.#doubtedSinceMs = nowMs;
    if (this.#misses < MISSES || nowMs - this.#doubtedSinceMs < DOUBT_MS) return;
    this.#turn(this.#hasSmallPassed ? "small" : "failed", nowMs);
    this.#hasSmallPassed = false;
  }

  #retryMs(): number {
    if (this.state === "unknown") return Math.min(RETRY_MS, FIRST_RETRY_MS * 2 ** this.#misses);
    return this.state === "proven" ? RETRY_MS : BROKEN_MS;
  }

  #turn(state: PathState, nowMs: number): void {
    if (this.state === state) return;
    this.state = state;
    this.sinceMs = this.#wall();
    this.#turnedAtMs = nowMs;
  }
}
