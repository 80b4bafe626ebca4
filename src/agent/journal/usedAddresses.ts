// The used addresses of one network on this host. The lowest free one is found at once, however many are used.
import { Intervals, type Used } from "../../ipam/intervals.ts";
import { type Family, ipOf } from "../../model/address.ts";

export class UsedAddresses {
  /** How many entries have an address: two while one of them is being detached. */
  readonly #counts = new Map<string, number>();
  readonly #values = { 4: new Intervals(), 6: new Intervals() } as const;

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  add(address: string): void {
    const count = this.#counts.get(address) ?? 0;
    this.#counts.set(address, count + 1);
    const ip = count === 0 ? ipOf(address) : undefined;
    if (ip !== undefined) this.#values[ip.family].take(ip.value);
  }

  delete(address: string): void {
    const count = this.#counts.get(address) ?? 0;
    if (count > 1) this.#counts.set(address, count - 1);
    if (count !== 1) return;
    this.#counts.delete(address);
    const ip = ipOf(address);
    if (ip !== undefined) this.#values[ip.family].release(ip.value);
  }

  of(family: Family): Used {
    return this.#values[family];
  }
}
