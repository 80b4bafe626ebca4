// Weft's nft tables of a namespace, through libnftables: `inet weft`, and in a VRF `bridge weft` as well, replaced
// together in one transaction. The text of a table cannot be read back, so it carries an empty chain as a mark:
//
//   chain weft_<digest of the text>_<hash of the listing> { }
//
// A fresh agent reads from it which text is loaded, and, by listing the tables again, whether another program changed a
// rule or an element since. Until the listing's hash is known the mark ends in `pending`, which no listing matches: a
// death in between leaves a table that is ours and will be replaced. Counters are left out of the listing.
//
// Where there is a bridge table, elements of named sets are no part of the listing: those that matter are objects of
// their own (elements.ts), and packets change the others. So sets in these texts have no names unless they are such.
// There a text is replaced in place, chain by chain, so that the elements stay.
import { NFT_TAMPERED, nftDigest, setOf } from "../datapath/kinds/tables.ts";
import type { ObjectOf } from "../datapath/kinds.ts";
import { MARK } from "../datapath/kinds/kind.ts";
import { keyOf } from "../datapath/state/state.ts";
import type { Flow, Refusal } from "./kernel.ts";
import { changeElements, type ElementOp, elementScript, readSets } from "./elements.ts";
import { Refused } from "./errno.ts";
import { cutFlows, thinFlows } from "./flows.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import { type Ran, Ruleset } from "./ruleset.ts";
import { chainsIn, blockingRules } from "./blockingFilters.ts";

const TABLE = `inet ${MARK}`;
const BRIDGE_TABLE = `bridge ${MARK}`;
type Table = ObjectOf<"nft">;
type Element = ObjectOf<"element">;
type Listed = {
  readonly inet: string;
  /** Empty if there is no such table. */
  readonly bridge: string;
};
type Seen = {
  readonly generation: number;
  readonly digest: string | undefined;
  readonly listed: Listed | undefined;
  /** Read on demand. */
  elements?: Map<string, Element>;
  /** Transactions of ours since, whose elements are noted here: nothing else may have changed. */
  own: number;
};
/** A text that was loaded: at which generation, into which elements (undefined: not known), with which changes. */
type Loaded = {
  readonly before: number;
  readonly elements: ReadonlyMap<string, Element> | undefined;
  readonly ops: readonly ElementOp[];
};

function elementsAfter({ elements, ops }: Loaded, sets: ReadonlySet<string>): Map<string, Element> | undefined {
  if (elements === undefined) return undefined;
  const after = new Map([...elements].filter(([, { set }]) => sets.has(set)));
  for (const { object } of ops) after.set(keyOf(object), object);
  return after;
}

const MARK_CHAIN = /\n\tchain weft_([0-9a-f]{16})_([0-9a-z]+) \{\n\t\}\n/;

export class Nft {
  readonly #namespaces: Namespaces;
  /** What a namespace's tables were at a generation of its ruleset: listing again is only needed after a change. */
  readonly #seen = new WeakMap<Ruleset, Seen>();
  readonly #rulesets = new WeakMap<Space, Ruleset>();

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces;
  }

  /**
   * The tables as an object: the digest of the text that is loaded, or NFT_TAMPERED if they are not (or no longer) what
   * was loaded. Undefined if there are none; in the host's namespace a table without our mark is another's, and
   * undefined as well.
   */
  observed(space: Space): Table | undefined {
    const { digest, listed } = this.#look(space);
    if (digest === undefined) return undefined;
    const bridge = listed === undefined || listed.bridge === "" ? {} : { bridge: "" };
    return { kind: "nft", ns: space.ns, digest, body: "", ...bridge };
  }

  #digest(space: Space): string | undefined {
    return this.#look(space).digest;
  }

  /** Elements of the sets that hold objects of their own. */
  elements(space: Space): Iterable<Element> {
    const seen = this.#look(space);
    if (seen.digest === undefined || seen.listed === undefined || seen.listed.bridge === "") return [];
    seen.elements ??= readSets(this.#ruleset(space).socket, space.ns, namesIn(seen.listed));
    return seen.elements.values();
  }

  #look(space: Space): Seen {
    const ruleset = this.#ruleset(space);
    const generation = ruleset.generation();
    const known = this.#seen.get(ruleset);
    if (known !== undefined && known.generation + known.own === generation) return known;
    const listed = this.#list(space);
    const seen = { generation, digest: digestOf(listed, space), listed, own: 0 };
    this.#seen.set(ruleset, seen);
    return seen;
  }

  #ruleset(space: Space): Ruleset {
    const known = this.#rulesets.get(space);
    if (known !== undefined) return known;
    const ruleset = new Ruleset(this.#namespaces, space);
    this.#rulesets.set(space, ruleset);
    space.closeWith.push(ruleset);
    return ruleset;
  }

  #run(space: Space, script: string): Ran {
    return this.#ruleset(space).run(script);
  }

  /** See Kernel.blockingFilters. Read chain by chain: others' rulesets may be long. */
  blockingFilters(space: Space, ports: readonly number[]): readonly string[] {
    const { output, error } = this.#ruleset(space).list("list chains\n", true);
    if (error !== undefined) return [];
    return chainsIn(output)
      .filter(({ table }) => table !== TABLE)
      .flatMap((chain) => {
        const rules = this.#ruleset(space).list(`list chain ${chain.table} ${chain.name}\n`, true);
        return blockingRules(chain, rules.output, ports);
      });
  }

  /** undefined: there is no table. */
  #list(space: Space): Listed | undefined {
    const bridge = space.ns === "host" ? "" : this.#listOne(space, BRIDGE_TABLE, true);
    const inet = this.#listOne(space, TABLE, bridge !== "");
    return inet === "" && bridge === "" ? undefined : { inet, bridge };
  }

  /**
   * Without elements of named sets if `terse`: only for whole rulesets does libnftables (1.0.6) not read them either,
   * which takes 2 s when packets have put a hundred thousand flows there, instead of 10 ms.
   */
  #listOne(space: Space, table: string, terse: boolean): string {
    const [family = ""] = table.split(" ");
    const listed = this.#ruleset(space).list(terse ? `list ruleset ${family}\n` : `list table ${table}\n`, terse);
    if (listed.error === undefined) return terse ? partOf(listed.output, table) : listed.output;
    if (listed.error.class === "missing" || listed.error.class === "unsupported") return "";
    throw new Error(`nft cannot list table ${table}: ${listed.error.message}`);
  }

  /** Makes the tables, with these elements; refused `exists` if the namespace has one. */
  create(space: Space, table: Table, elements: readonly ElementOp[]): void {
    const before = this.#ruleset(space).generation();
    const made = this.#run(space, `create table ${TABLE}\n${tableText(table)}${elementScript(elements)}`);
    if (made.error?.class === "exists") {
      throw new Refused({
        ...made.error,
        message: `${made.error.message}; table ${TABLE} is ${this.#describe(space)}`,
      });
    }
    this.#confirm(space, table, made.error, { before, elements: new Map(), ops: elements });
  }

  /** Makes the tables, or replaces those that are there, and changes elements: no packet sees anything in between. */
  replace(space: Space, table: Table, elements: readonly ElementOp[]): void {
    this.#refuseForeign(space);
    const anew = `${dropText(space)}${tableText(table)}`;
    const { listed, elements: there, generation, own } = this.#look(space);
    const before = generation + own;
    if (table.bridge === undefined || listed === undefined) {
      const { error } = this.#run(space, anew + elementScript(elements));
      return this.#confirm(space, table, error, { before, elements: new Map(), ops: elements });
    }
    const inPlace = `${clearText(listed, table)}${tableText(table)}${elementScript(elements)}`;
    const made = this.#run(space, inPlace);
    // Another program's chain or a set of another type is in the way: all is removed; the next round adds the elements.
    if (made.error === undefined) this.#confirm(space, table, undefined, { before, elements: there, ops: elements });
    else this.#confirm(space, table, this.#run(space, anew).error);
  }

  /** Nothing of ours to remove is no error. */
  remove(space: Space): void {
    if (this.#digest(space) === undefined) return;
    const { error } = this.#run(space, dropText(space));
    if (error !== undefined && error.class !== "missing") throw new Refused(error);
  }

  /** One transaction for all of them; what is refused is left out. One refusal, or none, per operation. */
  change(space: Space, ops: readonly ElementOp[]): (Refusal | undefined)[] {
    const ruleset = this.#ruleset(space);
    const { refusals, transactions } = changeElements(ruleset.socket, ops);
    const seen = this.#seen.get(ruleset);
    if (seen?.elements === undefined) return refusals;
    // Whether anybody else's transaction came between, the next look finds out by counting.
    seen.own += transactions;
    for (const [i, { op, object }] of ops.entries()) {
      if (refusals[i] !== undefined) continue;
      if (op === "remove") seen.elements.delete(keyOf(object));
      else seen.elements.set(keyOf(object), object);
    }
    return refusals;
  }

  /** Ends flows; how many. */
  cutFlows(space: Space, isAllowed: (flow: Flow) => boolean): number {
    return this.#ending(space, (socket) => cutFlows(socket, isAllowed));
  }

  thinFlows(space: Space, ownerOf: (address: string) => string): number {
    return this.#ending(space, (socket) => thinFlows(socket, ownerOf));
  }

  #ending(space: Space, end: (socket: NetlinkSocket) => ReturnType<typeof cutFlows>): number {
    const ruleset = this.#ruleset(space);
    const { cut, transactions } = end(ruleset.socket);
    const seen = this.#seen.get(ruleset);
    if (seen !== undefined) seen.own += transactions;
    return cut;
  }

  /**
   * Second half of loading a text: the mark gets the hash of the listing. If `before` counted every transaction but
   * these two, the tables need not be listed again.
   */
  #confirm(space: Space, table: Table, error: Refusal | undefined, loaded?: Loaded): void {
    if (error !== undefined) throw new Refused(error);
    const listed = this.#list(space);
    if (listed === undefined) throw new Refused({ class: "missing", message: `table ${TABLE} is gone again` });
    const digest = nftDigest(table.body, table.bridge);
    const [pending, final] = [markName(digest, "pending"), markName(digest, listingHash(listed))];
    const marked = this.#run(space, `rename chain ${TABLE} ${pending} ${final}\n`);
    if (marked.error !== undefined) throw new Refused(marked.error);
    const ruleset = this.#ruleset(space);
    const generation = ruleset.generation();
    if (loaded === undefined || generation !== loaded.before + 2) return;
    const inet = listed.inet.replace(pending, final);
    const elements = elementsAfter(loaded, new Set(namesIn(listed)));
    const seen: Seen = { generation, digest, listed: { ...listed, inet }, own: 0 };
    this.#seen.set(ruleset, elements === undefined ? seen : { ...seen, elements });
  }

  #refuseForeign(space: Space): void {
    if (
      space.ns === "host" &&
      this.#digest(space) === undefined &&
      this.#run(space, `list table ${TABLE}\n`).error === undefined
    ) {
      throw new Refused({ class: "exists", message: `table ${TABLE} is ${this.#describe(space)}` });
    }
  }

  #describe(space: Space): string {
    const digest = this.#digest(space);
    if (digest === undefined) return "another program's: it does not carry our mark; remove it or rename it";
    return digest === NFT_TAMPERED ? "ours, changed by another program" : `ours, with body ${digest}`;
  }
}

/** Of a listing of several tables, this one; empty if it is not there. */
function partOf(listing: string, table: string): string {
  const start = listing.indexOf(`table ${table} {\n`);
  if (start < 0) return "";
  return listing.slice(start, listing.indexOf("\n}\n", start) + 3);
}

function tableText({ body, bridge }: Table): string {
  const mark = `chain ${markName(nftDigest(body, bridge), "pending")} {\n}\n`;
  const frames = bridge === undefined ? "" : `table ${BRIDGE_TABLE} {\n${bridge}\n}\n`;
  return `table ${TABLE} {\n${body}\n${mark}}\n${frames}`;
}

/** Removes the tables, whether or not they are there. */
function dropText({ ns }: Space): string {
  const tables = ns === "host" ? [TABLE] : [TABLE, BRIDGE_TABLE];
  return tables.map((table) => `table ${table} {\n}\ndelete table ${table}\n`).join("");
}

/** Takes out of the tables all but the chains and sets that the new text has, too; these lose their rules. */
function clearText(listed: Listed, { body, bridge = "" }: Table): string {
  const parts = [
    [TABLE, listed.inet, body],
    [BRIDGE_TABLE, listed.bridge, bridge],
  ] as const;
  return parts
    .filter(([, old]) => old !== "")
    .map(([table, old, text]) => {
      const stays = new Set(namesOf(text, "").map(({ name }) => name));
      const stale = namesOf(old, "\t").filter(({ name }) => !stays.has(name));
      // Chains first: what refers to them, rules, is gone.
      const chains = stale.filter(({ kind }) => kind === "chain");
      const sets = stale.filter(({ kind }) => kind !== "chain");
      const gone = [...chains, ...sets].map(({ kind, name }) => `delete ${kind} ${table} ${name}\n`);
      return `flush table ${table}\n${gone.join("")}`;
    })
    .join("");
}

type Named = { readonly kind: string; readonly name: string };
function namesOf(text: string, indent: string): Named[] {
  return [...text.matchAll(new RegExp(`^${indent}(chain|set|map) (\\S+) \\{`, "gm"))].map(
    ([, kind = "", name = ""]) => ({ kind, name }),
  );
}

/** Sets that hold objects. */
function namesIn({ bridge }: Listed): string[] {
  return namesOf(bridge, "\t")
    .map(({ name }) => name)
    .filter((name) => setOf(name) !== undefined);
}

function digestOf(listed: Listed | undefined, { ns }: Space): string | undefined {
  if (listed === undefined) return undefined;
  const mark = MARK_CHAIN.exec(listed.inet);
  if (mark === null) return ns === "host" ? undefined : NFT_TAMPERED;
  return mark[2] === listingHash(listed) ? mark[1] : NFT_TAMPERED;
}

function markName(digest: string, hash: string): string {
  return `${MARK}_${digest}_${hash}`;
}

/** Without the mark itself and the empty lines around it. */
function listingHash({ inet, bridge }: Listed): string {
  return nftDigest(inet.replace(MARK_CHAIN, "\n").replaceAll(/\n+/g, "\n"), bridge);
}
