// The server's addresses, as this host reaches it. They are not a resource, but workloads must not reach them
// (datapath/policy/uplinkFilter.ts).
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../model/clock.ts";
import { formatIp, ipOf } from "../model/address.ts";

/** How often a name is looked up again, and how long a start waits for it. */
const PERIOD_MS = 30_000;
const START_MS = 1_000;

export class Management {
  readonly #name: string | undefined;
  readonly #clock: Clock;
  #addresses: readonly string[] = [];

  /** `url` as the agent was given it; a unix socket has no address. */
  constructor(url: string, clock: Clock) {
    this.#clock = clock;
    const name = URL.canParse(url) ? new URL(url).hostname.replace(/^\[(.*)\]$/, "$1") : "";
    this.#name = name === "" ? undefined : name;
    if (isIP(name) !== 0) this.#addresses = canonical([name]);
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  static async begun(url: string, clock: Clock, signal: AbortSignal): Promise<Management> {
    const management = new Management(url, clock);
    await management.begin(signal);
    return management;
  }

  /** The first answer, unless it takes long: a host has to start while names cannot be resolved. */
  async begin(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#look(), this.#clock.sleep(START_MS, signal)]);
  }

  /** Calls `poke` when the name resolves to other addresses. */
  async run(signal: AbortSignal, poke: () => void): Promise<void> {
    while (!signal.aborted) {
      const before = this.#addresses;
      await this.#look();
      if (this.#addresses.join() !== before.join()) poke();
      await this.#clock.sleep(PERIOD_MS, signal);
    }
  }

  /** If a name cannot be resolved now, it keeps its addresses. */
  async #look(): Promise<void> {
    if (this.#name === undefined || isIP(this.#name) !== 0) return;
    const found = await lookup(this.#name, { all: true }).catch(() => []);
    if (found.length > 0) this.#addresses = canonical(found.map(({ address }) => address));
  }
}

function canonical(texts: readonly string[]): readonly string[] {
  return [...new Set(texts.flatMap((text) => ipOf(text) ?? []).map(formatIp))].sort();
}
