// Removed hosts: what each had, and its token. The agent of a removed host gets `host-reclaimed` or `host-deleted`
// instead of `token-wrong`. Kept in the store. The list for people ends when the name joins again or is deleted; the
// answer to a token stays.
import { Fault } from "../../model/fault.ts";
import type { Change, Resource } from "../../model/resource.ts";
import type { Secret, Store } from "../../store/store.ts";

export type Departure = {
  readonly host: string;
  readonly underlay: string;
  readonly atMs: number;
  /** deleted: on request. reclaimed: the host was lost, and what it had was needed. */
  readonly how: "deleted" | "reclaimed";
  readonly by: "person" | "server";
  readonly blocks: readonly string[];
  readonly endpoints: readonly string[];
};

const LIST = "departures";
const LISTED_MAX = 200;
const NAMES_MAX = 20;

export class Departures {
  readonly #store: Store;
  /** The durable records, and those of the transaction in progress. */
  #list: readonly Departure[] = [];

  constructor(store: Store) {
    this.#store = store;
    this.reload();
  }

  /** Oldest first; at most one per name. */
  get list(): readonly Departure[] {
    return this.#list;
  }

  /** Returns to what is durable: call when a transaction with these records failed. */
  reload(): void {
    this.#list = JSON.parse(this.#store.secret(LIST) ?? "[]") as readonly Departure[];
  }

  /** Records to write with the removal of the host. `digest` is that of its token. */
  note(departure: Departure, digest: string | undefined): Secret[] {
    const others = this.#list.filter(({ host }) => host !== departure.host);
    this.#list = [...others, departure].slice(-LISTED_MAX);
    const told = { key: tokenKey(digest ?? ""), value: JSON.stringify(departure) };
    return [{ key: LIST, value: JSON.stringify(this.#list) }, ...(digest === undefined ? [] : [told])];
  }

  /** Records to write when the name is in use again, or a person deletes the entry. */
  forget(host: string): Secret[] {
    if (!this.#list.some((one) => one.host === host)) return [];
    this.#list = this.#list.filter((one) => one.host !== host);
    return [{ key: LIST, value: JSON.stringify(this.#list) }];
  }

  /** The Fault for a request with the token of a removed host; undefined if no host ever had the token. */
  faultOf(digest: string): Fault | undefined {
    const text = this.#store.secret(tokenKey(digest));
    return text === undefined ? undefined : departed(JSON.parse(text) as Departure);
  }
}

function tokenKey(digest: string): string {
  return `departed/${digest}`;
}

/** What a host had, from the changes that remove it. `find` returns a resource as it was before. */
export function departureOf(
  host: { readonly name: string; readonly underlay: string },
  changes: readonly Change[],
  find: (key: `${Resource["kind"]}/${string}`) => Resource | undefined,
  rest: Pick<Departure, "atMs" | "how" | "by">,
): Departure {
  const had = changes.flatMap((change) => ("remove" in change ? [find(change.remove)] : []));
  return {
    host: host.name,
    underlay: host.underlay,
    ...rest,
    blocks: had.flatMap((one) => (one?.kind === "block" && one.spec.host === host.name ? [one.spec.cidr] : [])),
    endpoints: had
      .flatMap((one) => (one?.kind === "endpoint" && one.spec.host === host.name ? [one.name] : []))
      .slice(0, NAMES_MAX),
  };
}

function departed({ host, atMs, how, blocks }: Departure): Fault {
  const at = new Date(atMs).toISOString();
  const had = blocks.length === 0 ? "" : ` (${blocks.join(", ")})`;
  return new Fault(how === "deleted" ? "host-deleted" : "host-reclaimed", {
    what: `host "${host}" was ${how} at ${at}`,
    where: `host/${host}`,
    why: `its token is worth nothing any more, and what it had${had} may belong to others`,
    fix: "start its agent with a join token: it joins anew, and its workloads attach again",
  });
}
