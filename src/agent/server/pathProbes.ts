// Whether packets pass between this host and its peers, found out by sending some: echo requests through the tunnel
// port itself (datapath/network/paths.ts), which the peer's kernel answers. An answer proves both directions. The
// requests of peers arrive here, too, and tell which direction is broken when there is no answer.
import { randomBytes } from "node:crypto";
import { PATHS_NS, type Path, pathsOf } from "../../datapath/network/paths.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { Echo, Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { packetsText } from "../../model/driver.ts";
import { PATHS_NAMED, type PathSeen, type PathsReport, type PathState } from "../../model/paths.ts";
import type { Snapshot } from "../../model/resource.ts";
import { PathProbe, SMALL_BYTES } from "./pathProbe.ts";

type PathProbesOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "echo" | "walls">;
  readonly clock: Clock;
  /** 0 <= random() < 1 */
  readonly random: () => number;
};

/** Packets a second, whatever the number of peers, and how many at once: 200 peers are proven within five seconds. */
const RATE = 50;
const AT_ONCE = 10;
/** A way that is proven is tried again after this long, and after longer where there are more than a hundred peers. */
const AGAIN_MS = 5_000;
const AGAIN_EACH_MS = 50;
/** How often answers are taken while some are awaited, of a way that was never tried and of others. */
const SOON_MS = 20;
const AWAITED_MS = 100;
const IDLE_MS = 1_000;
/** While the namespace is not there; a round that makes it says so. */
const AWAY_MS = 10_000;
/** Between two looks whether there is something to tell. */
const SPACING_MS = 1_000;
/** Reading what filters others have takes some milliseconds. */
const WALLS_EVERY_MS = 30_000;
/** Bytes of IPv6 and ICMPv6 headers. */
const HEADERS = 48;
const WOKEN = "woken";

export class PathProbes {
  readonly #options: PathProbesOptions;
  #legs = new Map<string, PathProbe>();
  #wake = new AbortController();
  /** Of this process: an answer to an earlier one is none. */
  readonly #nonce = randomBytes(8);
  readonly #sent = new Map<number, { readonly leg: PathProbe; readonly size: number }>();
  #last = 0;
  #tokens = AT_ONCE;
  #filledAtMs = 0;
  #wasKnown = true;
  #toldAtMs = 0;
  #walls: readonly string[] = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Called when there may be something new to tell. */
  onNews: () => void = () => undefined;

  constructor(options: PathProbesOptions) {
    this.#options = options;
  }

  /** The snapshot that the kernel was made to hold: ways that are in it are tried. */
  follow(snapshot: Snapshot): void {
    const { host, clock } = this.#options;
    const world = worldOf(snapshot, host);
    const legs = new Map<string, PathProbe>();
    for (const path of world === undefined ? [] : pathsOf(world)) {
      const key = JSON.stringify(path);
      legs.set(key, this.#legs.get(key) ?? new PathProbe(path, clock.monotonicMs(), () => clock.nowMs()));
    }
    const isNews = legs.size !== this.#legs.size || [...legs.keys()].some((key) => !this.#legs.has(key));
    this.#legs = legs;
    if (isNews) this.#wake.abort(WOKEN);
  }

  /** Each peer once: over several tunnel ports, as it stands with the worst. */
  get report(): PathsReport {
    const byHost = new Map<string, PathProbe>();
    for (const leg of this.#legs.values()) {
      const other = byHost.get(leg.path.host);
      if (other === undefined || WORST.indexOf(leg.state) < WORST.indexOf(other.state)) byHost.set(leg.path.host, leg);
    }
    const legs = [...byHost.values()].sort(
      (a, b) => WORST.indexOf(a.state) - WORST.indexOf(b.state) || b.sinceMs - a.sinceMs,
    );
    const proven = legs.filter(({ state }) => state === "proven").length;
    return { peers: legs.length, proven, named: legs.slice(0, PATHS_NAMED).map((leg) => this.#seen(leg)) };
  }

  /** Until the signal aborts. Never rejects: what cannot be sent was not answered. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, kernel } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const echo = kernel.echo(PATHS_NS);
      if (echo !== undefined) {
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
    const againMs = Math.max(AGAIN_MS, this.#legs.size * AGAIN_EACH_MS);
    for (let seen = echo.receive(); seen !== undefined; seen = echo.receive()) {
      const { isAnswer, payload, from } = seen;
      if (!isAnswer) this.#hear(from, nowMs);
      else if (payload.length >= 12 && payload.subarray(0, 8).equals(this.#nonce)) {
        const sent = this.#sent.get(payload.readUInt32BE(8));
        this.#sent.delete(payload.readUInt32BE(8));
        sent?.leg.answered(sent.size, nowMs, againMs * (0.75 + random() / 2));
      }
    }
  }

  #hear(from: string, nowMs: number): void {
    for (const leg of this.#legs.values()) if (leg.path.to === from) leg.heardAtMs = nowMs;
  }

  /** Those that wait longest go first, as many as the budget allows. */
  #send(echo: Echo): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#tokens = Math.min(AT_ONCE, this.#tokens + ((nowMs - this.#filledAtMs) * RATE) / 1000);
    this.#filledAtMs = nowMs;
    const due = [...this.#legs.values()].filter(({ path, nextAtMs }) => path.to !== undefined && nextAtMs <= nowMs);
    due.sort((a, b) => a.nextAtMs - b.nextAtMs);
    for (const leg of due) {
      if (this.#tokens < 1) return;
      for (const size of leg.take(nowMs)) {
        this.#tokens--;
        echo.send(leg.path.to ?? "", this.#payload(leg, size));
      }
    }
  }

  #payload(leg: PathProbe, size: number): Buffer {
    const payload = Buffer.alloc(size - HEADERS);
    this.#last = (this.#last + 1) >>> 0;
    this.#nonce.copy(payload);
    payload.writeUInt32BE(this.#last, 8);
    this.#sent.set(this.#last, { leg, size });
    // What is that old is answered no more; a map keeps the order in which it was filled.
    const [oldest] = this.#sent.size > 4 * (this.#legs.size + AT_ONCE) ? this.#sent.keys() : [];
    if (oldest !== undefined) this.#sent.delete(oldest);
    return payload;
  }

  #restMs(): number {
    const nowMs = this.#options.clock.monotonicMs();
    const legs = [...this.#legs.values()].filter(({ path }) => path.to !== undefined);
    if (legs.length === 0) return AWAY_MS;
    if (legs.some(({ state }) => state === "unknown")) return SOON_MS;
    const nextAtMs = Math.min(...legs.map((leg) => leg.nextAtMs));
    const isAwaited = legs.some((leg) => leg.isAwaited);
    return Math.max(SOON_MS, Math.min(isAwaited ? AWAITED_MS : IDLE_MS, nextAtMs - nowMs));
  }

  /** At once when the last way is known, else a second after the last look: reports are not for every packet. */
  #tell(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const isKnown = [...this.#legs.values()].every(({ state }) => state !== "unknown");
    if (isKnown === this.#wasKnown && nowMs - this.#toldAtMs < SPACING_MS) return;
    this.#wasKnown = isKnown;
    this.#toldAtMs = nowMs;
    this.#look(nowMs);
    this.onNews();
  }

  /** What others' filters there are on this host, while something does not pass. */
  #look(nowMs: number): void {
    const broken = [...this.#legs.values()].filter(({ path, state }) => path.to !== undefined && state === "failed");
    if (broken.length === 0) {
      this.#walls = [];
      this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    } else if (nowMs - this.#lookedAtMs >= WALLS_EVERY_MS) {
      this.#lookedAtMs = nowMs;
      this.#walls = this.#options.kernel.walls([...new Set(broken.map(({ path }) => path.port))]);
    }
  }

  #seen(leg: PathProbe): PathSeen {
    const { path, state, sinceMs } = leg;
    const obstacle = this.#obstacle(path, state, leg.isHeard(this.#options.clock.monotonicMs()));
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
    return this.#walls.length === 0 ? which : `${which}; ${this.#walls.join("; ")}`;
  }
}

const WORST: readonly PathState[] = ["failed", "small", "unknown", "proven"];
