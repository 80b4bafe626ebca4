// Whether the underlay delivers the groups of networks with multicast peers: sends echo requests to each group
// (datapath/network/groupPaths.ts), which the kernels of all members answer. An answer proves that this host's packets
// to the group arrive there; the other direction is the other host's to prove. Switches that look at memberships
// deliver at first, and stop after some minutes when no router asks for members: so what is proven is tried again.
import { randomBytes } from "node:crypto";
import { ECHO_HEADERS, type GroupPath, groupPathsOf, groupProbe } from "../../datapath/network/groupPaths.ts";
import { worldOf } from "../../datapath/world/world.ts";
import type { EchoSeen, Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { type GroupReport, PATHS_NAMED, type PathSeen, type PathState, SMALL_BYTES } from "../../model/paths.ts";
import type { Snapshot } from "../../model/resource.ts";

type GroupProbesOptions = {
  readonly host: string;
  readonly kernel: Pick<Kernel, "sendToGroup">;
  readonly clock: Clock;
  /** Whether packets to one host pass: without that, no answer would come back. */
  readonly isProven: (host: string) => boolean;
};

/** Between the rounds of a group that is not decided, and how many a member may miss. */
const ROUND_MS = 1_000;
const MISSES = 5;
/** A switch without a querier forgets members after 260 s (RFC 3376 8.4). */
const AGAIN_MS = 300_000;
/** While it is not delivered: the operator may be at it. */
const BROKEN_MS = 10_000;
/** How long answers may take; they are read by the path probes, once a second. */
const ANSWER_MS = 2_000;
const IDLE_MS = 10_000;
const WOKEN = "woken";

export class GroupProbes {
  readonly #options: GroupProbesOptions;
  #probes = new Map<string, GroupProbe>();
  readonly #nonce = randomBytes(8);
  readonly #sent = new Map<number, { readonly probe: GroupProbe; readonly size: number }>();
  #last = 0;
  #wake = new AbortController();
  /** Called when the report may have changed. */
  onNews: () => void = () => undefined;

  constructor(options: GroupProbesOptions) {
    this.#options = options;
  }

  /** The kernel has this snapshot now: its groups are tried. */
  follow(snapshot: Snapshot): void {
    const { host, clock } = this.#options;
    // Worlds are large, and most clusters have no groups.
    const hasGroups = snapshot.networks.some(({ spec }) => spec.group !== undefined);
    const world = hasGroups ? worldOf(snapshot, host) : undefined;
    const probes = new Map<string, GroupProbe>();
    for (const path of world === undefined ? [] : groupPathsOf(world)) {
      if (path.peers.length === 0) continue;
      const { peers: _, ...way } = path;
      const key = JSON.stringify(way);
      const probe = this.#probes.get(key) ?? new GroupProbe(way);
      probe.meet(path.peers, clock);
      probes.set(key, probe);
    }
    this.#probes = probes;
    if ([...probes.values()].some(({ nextAtMs }) => nextAtMs <= clock.monotonicMs())) this.#wake.abort(WOKEN);
  }

  /** Paths have news: a member whose answers can come back now is tried at once. */
  poke(): void {
    const { isProven } = this.#options;
    const due = [...this.#probes.values()].filter((probe) => probe.canDecide(isProven));
    for (const probe of due) probe.nextAtMs = Number.NEGATIVE_INFINITY;
    if (due.length > 0) this.#wake.abort(WOKEN);
  }

  /** Tries all groups now, also those that are proven. */
  again(): void {
    for (const probe of this.#probes.values()) probe.nextAtMs = Number.NEGATIVE_INFINITY;
    this.#wake.abort(WOKEN);
  }

  /** By network. */
  get report(): readonly GroupReport[] {
    return [...this.#probes.values()].map((probe) => probe.report).sort((a, b) => (a.network < b.network ? -1 : 1));
  }

  /** An answer that came to the namespace of paths. */
  take({ kind, payload, from }: EchoSeen): void {
    if (kind !== "answer" || payload.length < 12 || !payload.subarray(0, 8).equals(this.#nonce)) return;
    const sent = this.#sent.get(payload.readUInt32BE(8));
    if (sent?.probe.answered(from, sent.size, this.#options.clock) === true) this.onNews();
  }

  /** Runs until the signal aborts. Never rejects: what cannot be sent counts as unanswered. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, isProven } = this.#options;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const nowMs = clock.monotonicMs();
      let isNews = false;
      for (const probe of this.#probes.values()) {
        if (probe.nextAtMs > nowMs) continue;
        isNews = probe.judge(isProven, clock) || isNews;
        for (const size of [probe.path.size, SMALL_BYTES]) this.#send(probe, size);
      }
      if (isNews) this.onNews();
      const nextAtMs = Math.min(nowMs + IDLE_MS, ...[...this.#probes.values()].map((probe) => probe.nextAtMs));
      await clock.sleep(Math.max(ROUND_MS / 2, nextAtMs - nowMs), AbortSignal.any([signal, this.#wake.signal]));
    }
  }

  #send(probe: GroupProbe, size: number): void {
    const payload = Buffer.alloc(size - ECHO_HEADERS);
    this.#last = (this.#last + 1) >>> 0;
    this.#nonce.copy(payload);
    payload.writeUInt32BE(this.#last, 8);
    this.#sent.set(this.#last, { probe, size });
    const [oldest] = this.#sent.size > 8 * (this.#probes.size + 1) ? this.#sent.keys() : [];
    if (oldest !== undefined) this.#sent.delete(oldest);
    this.#options.kernel.sendToGroup(probe.path, groupProbe(probe.path, payload));
  }
}

type Member = { readonly host: string; state: PathState; sinceMs: number; misses: number; hasSmallPassed: boolean };

/** One group: it is told the time and the answers, and says when to send next. */
class GroupProbe {
  readonly path: Omit<GroupPath, "peers">;
  /** By the address that answers. */
  #members = new Map<string, Member>();
  /** Members that have not answered the last round. */
  readonly #awaited = new Set<Member>();
  nextAtMs = Number.NEGATIVE_INFINITY;

  constructor(path: Omit<GroupPath, "peers">) {
    this.path = path;
  }

  meet(peers: GroupPath["peers"], clock: Clock): void {
    const members = new Map<string, Member>();
    for (const { host, ip } of peers) {
      const known = this.#members.get(ip);
      if (known === undefined) this.nextAtMs = Number.NEGATIVE_INFINITY;
      const fresh: Member = { host, state: "unknown", sinceMs: clock.nowMs(), misses: 0, hasSmallPassed: false };
      members.set(ip, known ?? fresh);
    }
    this.#members = members;
  }

  /** Whether a member that was tried in vain so far has a path now. */
  canDecide(isProven: (host: string) => boolean): boolean {
    return [...this.#members.values()].some((one) => one.state === "unknown" && one.misses === 0 && isProven(one.host));
  }

  /** Counts who has not answered, and begins the next round. True if that changes the report. */
  judge(isProven: (host: string) => boolean, clock: Clock): boolean {
    let isNews = false;
    for (const member of this.#awaited) {
      if (!isProven(member.host) || ++member.misses < MISSES) continue;
      isNews = turn(member, member.hasSmallPassed ? "small" : "failed", clock) || isNews;
      member.hasSmallPassed = false;
    }
    this.#awaited.clear();
    for (const member of this.#members.values()) this.#awaited.add(member);
    const needs = new Set([...this.#members.values()].map((member) => needOf(member, isProven(member.host))));
    const restMs = needs.has("decision") ? ROUND_MS : needs.has("repair") ? BROKEN_MS : ANSWER_MS;
    this.nextAtMs = clock.monotonicMs() + restMs;
    return isNews;
  }

  /** True if the answer changes the report. */
  answered(from: string, size: number, clock: Clock): boolean {
    const member = this.#members.get(from);
    if (member === undefined) return false;
    if (size < this.path.size) {
      // If it comes after the answer to the large one, it says nothing.
      member.hasSmallPassed ||= this.#awaited.has(member);
      return false;
    }
    member.misses = 0;
    member.hasSmallPassed = false;
    this.#awaited.delete(member);
    const isNews = turn(member, "proven", clock);
    // All have answered: nothing is open until the membership may have run out.
    if (this.#awaited.size === 0) this.nextAtMs = clock.monotonicMs() + AGAIN_MS;
    return isNews;
  }

  get report(): GroupReport {
    const members = [...this.#members.values()];
    const worst = members.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
    const named = worst.slice(0, PATHS_NAMED).map(({ host, state, sinceMs }): PathSeen => {
      const obstacle = this.#obstacle(host, state);
      return { host, state, sinceMs, ...(obstacle === undefined ? {} : { obstacle }) };
    });
    const proven = members.filter(({ state }) => state === "proven").length;
    return { network: this.path.network, peers: members.length, proven, named };
  }

  #obstacle(host: string, state: PathState): string | undefined {
    const { group, device, ttl, size } = this.path;
    const what = `what is sent to group ${group} by ${device} with TTL ${ttl}`;
    if (state === "failed") return `${what} does not arrive at ${host}`;
    if (state !== "small") return undefined;
    return `of ${what}, packets of ${SMALL_BYTES} bytes arrive at ${host} and those of ${size} do not`;
  }
}

/** What a member that does not answer this round needs: more rounds soon, or some time. */
function needOf({ state, misses }: Member, canAnswer: boolean): "decision" | "repair" | "nothing" {
  if (!canAnswer || state === "failed" || state === "small") return "repair";
  return state === "proven" && misses === 0 ? "nothing" : "decision";
}

const ORDER: readonly PathState[] = ["failed", "small", "unknown", "proven"];

function turn(member: Member, state: PathState, clock: Clock): boolean {
  if (member.state === state) return false;
  member.state = state;
  member.sinceMs = clock.nowMs();
  return true;
}
