// Each host's own addresses and routes, from its latest claim or report. Networks must not overlap them, so they are
// kept in the store: a server that has just started knows them before the first report.
import { type Cidr, cidrOf } from "../../model/address.ts";
import type { Secret, Store } from "../../store/store.ts";

export class Prefixes {
  readonly #byHost = new Map<string, readonly Cidr[]>();
  readonly #texts = new Map<string, string>();

  constructor(store: Store, hosts: Iterable<string>) {
    for (const host of hosts) {
      const stored = store.secret(keyOf(host));
      if (stored !== undefined) this.set(host, stored === "" ? [] : stored.split(" "));
    }
  }

  get byHost(): ReadonlyMap<string, readonly Cidr[]> {
    return this.#byHost;
  }

  /** Takes canonical prefixes and ignores other text. True if something changed. */
  set(host: string, texts: readonly string[]): boolean {
    const text = [...texts].sort().join(" ");
    if (this.#texts.get(host) === text) return false;
    this.#texts.set(host, text);
    this.#byHost.set(
      host,
      texts.map((prefix) => cidrOf(prefix)).filter((cidr) => cidr !== undefined),
    );
    return true;
  }

  /** What was set last has not become durable: the same will be news again. */
  unkept(host: string): void {
    this.#texts.delete(host);
  }

  forget(host: string): void {
    this.#texts.delete(host);
    this.#byHost.delete(host);
  }
}

/** The record of a host's prefixes; undefined removes it. */
export function prefixSecret(host: string, texts: readonly string[] | undefined): Secret {
  return { key: keyOf(host), value: texts === undefined ? undefined : [...texts].sort().join(" ") };
}

function keyOf(host: string): string {
  return `prefixes/${host}`;
}
