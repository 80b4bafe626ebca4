// A host's part in a preflight (`weft host preflight`): it sends trial packets to each peer over each channel, and
// answers those of its peers, all of which do the same at this moment. An answer proves the way there and back; its
// request, the size that passes there. Between a size that passes and one that does not, it searches by halves.
import { randomBytes } from "node:crypto";
import type { Kernel, TrialChannel, Trials } from "../../kernel/kernel.ts";
import type { Clock } from "../../model/clock.ts";
import { DRIVERS, packetsWord } from "../../model/driver.ts";
import { SMALL_BYTES } from "../../model/paths.ts";
import type { Channel, Trial, TrialResult } from "../../model/preflight.ts";

export type PreflightOptions = {
  readonly kernel: Pick<Kernel, "trials" | "blockingFilters">;
  readonly clock: Clock;
  /** Where this host sends from, and how large packets its device takes. */
  readonly underlay: string;
  readonly underlayMtu: number;
};

/** Between two rounds of sending: longer than the way there and back. */
const ROUND_MS = 150;
/** How often packets are read and answered. */
const READ_MS = 10;
/** Rounds in which nothing came back: nothing will. */
const DEAD_ROUNDS = 10;
/** Rounds after which a size does not pass, though a smaller one does. */
const SIZE_ROUNDS = 2;
/** Peers begin later, and search longer: they are answered until they were silent for so long. */
const SILENT_MS = 1_000;
/** In all; the server waits a little longer. */
const PREFLIGHT_MS = 8_000;

const PING: TrialChannel = { kind: "ping" };
const REQUEST = 1;
const ANSWER = 2;
/** Nonce, kind, number. */
const PAYLOAD_BYTES = 8 + 1 + 4;

/** Never rejects: what keeps the host from trying is in the result. */
export async function tryWays(options: PreflightOptions, trial: Trial): Promise<TrialResult> {
  const { kernel, underlay, underlayMtu: mtu } = options;
  const nothing = { mtu, peers: [], filters: [] };
  const channels = trial.channels.map(packetsOf);
  let trials: Trials | undefined;
  try {
    trials = kernel.trials(underlay, [...channels, PING]);
    if (trials === undefined) return { ...nothing, obstacle: "its kernel cannot send trial packets" };
    const ways = await run(options, trial, { trials, channels });
    const words = trial.channels.map(({ driver, port }) => packetsWord(driver, port));
    return { mtu, peers: resultsOf(trial, ways), filters: [...kernel.blockingFilters(words)] };
  } catch (error) {
    return { ...nothing, obstacle: error instanceof Error ? error.message : String(error) };
  } finally {
    trials?.close();
  }
}

function packetsOf({ driver, port }: Channel): TrialChannel {
  return DRIVERS[driver].hasPort ? { kind: "udp", port } : { kind: "gre" };
}

type Sending = { readonly trials: Trials; readonly channels: readonly TrialChannel[] };

async function run(options: PreflightOptions, trial: Trial, { trials, channels }: Sending): Promise<readonly Way[]> {
  const { clock, underlayMtu } = options;
  const nonce = randomBytes(8);
  const ways = trial.peers.flatMap(({ underlay }) =>
    [...channels, PING].map((channel) => new Way(underlay, channel, channel === PING ? SMALL_BYTES : underlayMtu)),
  );
  const startMs = clock.monotonicMs();
  let roundAtMs = startMs;
  let heardAtMs = startMs;
  for (let nowMs = startMs; nowMs - startMs < PREFLIGHT_MS; nowMs = clock.monotonicMs()) {
    if (take(trials, ways, nonce)) heardAtMs = nowMs;
    if (nowMs >= roundAtMs) {
      roundAtMs = nowMs + ROUND_MS;
      send(trials, ways, nonce);
    }
    if (ways.every((way) => way.isDecided) && nowMs - heardAtMs >= SILENT_MS) break;
    await clock.sleep(READ_MS);
  }
  return ways;
}

function send(trials: Trials, ways: readonly Way[], nonce: Buffer): void {
  for (const [i, way] of ways.entries()) {
    for (const size of way.next()) trials.send(way.channel, way.to, payload(nonce, REQUEST, numberOf(i, size)), size);
  }
}

/** Answers requests, and notes answers; whether a request came. */
function take(trials: Trials, ways: readonly Way[], nonce: Buffer): boolean {
  let isAsked = false;
  for (let seen = trials.receive(); seen !== undefined; seen = trials.receive()) {
    const { channel, from, payload: said } = seen;
    if (said.length < PAYLOAD_BYTES) continue;
    const isOwn = said.subarray(0, 8).equals(nonce);
    const number = said.readUIntBE(9, 4);
    if (isOwn && (said[8] === ANSWER || channel === PING)) {
      const way = ways[Math.floor(number / SIZES)];
      if (way?.to === from) way.answered(number % SIZES);
    } else if (!isOwn && said[8] === REQUEST) {
      const way = ways.find((one) => one.to === from && one.channel === channel);
      if (way === undefined) continue;
      isAsked = true;
      way.isHeard = true;
      trials.send(channel, from, payload(said.subarray(0, 8), ANSWER, number), SMALL_BYTES);
    }
  }
  return isAsked;
}

const SIZES = 65_536;
/** Which way, and which size. */
const numberOf = (way: number, size: number) => way * SIZES + size;

function payload(nonce: Uint8Array, kind: number, number: number): Buffer {
  const bytes = Buffer.alloc(PAYLOAD_BYTES);
  bytes.set(nonce);
  bytes[8] = kind;
  bytes.writeUIntBE(number, 9, 4);
  return bytes;
}

/** The search for the largest packet that passes to one peer over one channel: it is told of answers. */
export class Way {
  readonly to: string;
  readonly channel: TrialChannel;
  isHeard = false;
  /** The largest that was answered; 0: none. */
  passed = 0;
  /** The least that was not, after enough rounds. */
  #refused: number;
  #rounds = 0;
  #size: number;

  constructor(to: string, channel: TrialChannel, most: number) {
    this.to = to;
    this.channel = channel;
    this.#size = most;
    this.#refused = most + 1;
  }

  get isDecided(): boolean {
    return this.passed === 0 ? this.#rounds >= DEAD_ROUNDS : this.passed + 1 >= this.#refused;
  }

  /** Sizes to send now. */
  next(): readonly number[] {
    if (this.isDecided) return [];
    if (this.passed > 0 && this.#rounds >= SIZE_ROUNDS) {
      this.#refused = Math.min(this.#refused, this.#size);
      this.#halve();
    }
    if (this.isDecided) return [];
    this.#rounds++;
    // The small one also keeps the peer answering: of the sizes, so many in a row may not arrive that it would leave.
    return this.#size > SMALL_BYTES ? [SMALL_BYTES, this.#size] : [this.#size];
  }

  answered(size: number): void {
    if (size <= this.passed) return;
    const isFirst = this.passed === 0;
    this.passed = size;
    this.#refused = Math.max(this.#refused, size + 1);
    // The large one of the first round may still be on its way.
    if (isFirst && size < this.#size) this.#rounds = 0;
    else this.#halve();
  }

  #halve(): void {
    this.#size = Math.floor((this.passed + this.#refused) / 2);
    this.#rounds = 0;
  }
}

function resultsOf({ peers, channels }: Trial, ways: readonly Way[]): TrialResult["peers"] {
  const each = channels.length + 1;
  return peers.map(({ host }, i) => ({
    host,
    ping: (ways[i * each + channels.length]?.passed ?? 0) > 0,
    channels: channels.map((channel, n) => {
      const { passed = 0, isHeard: heard = false } = ways[i * each + n] ?? {};
      return { channel, passed, heard };
    }),
  }));
}
