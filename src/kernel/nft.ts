// Weft's nft tables of a namespace, through libnftables: `inet weft`, and in a VRF `bridge weft` as well, replaced
// together in one transaction. The text of a table cannot be read back, so it carries an empty chain as a mark:
//
//   chain weft_<digest of the text>_<hash of the listing> { }
//
// A fresh agent reads from it which text is loaded, and, by listing the tables again, whether another program changed a
// rule or an element since. Until the listing's hash is known the mark ends in `pending`, which no listing matches: a
// death in between leaves a table that is ours and will be replaced. Counters are left out of the listing.
//
// In the host's namespace a table of either name may be another program's. So there the bridge table, which belongs to
// the VRF in that namespace, has a mark of its own, the chain `weft_owned`.
//
// Where there is a bridge table, elements of named sets are no part of the listing: those that matter are objects of
// their own (elements.ts), and packets change the others. So sets in these texts have no names unless they are such.
// There a text is replaced in place, chain by chain, so that the elements stay.
import { setOf, NFT_TAMPERED, nftDigest } from "../datapath/kinds/tables.ts";
import type { ObjectOf } from "../datapath/kinds.ts";
import { type Ns, MARK } from "../datapath/kinds/kind.ts";
import { keyOf } from "../datapath/state/state.ts";
import type { Refusal } from "./kernel.ts";
import { changeElements, type ElementOp, type ElementRefusals, elementScript, readSets } from "./elements.ts";
import { Refused, refuse } from "./errno.ts";
import { type FlowsToEnd, endFlows } from "./flows.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import { Ruleset } from "./ruleset.ts";
import { chainsIn, blockingRules, forwardDrops } from "./blockingFilters.ts";

const TABLE = `inet ${MARK}`;
const BRIDGE_TABLE = `bridge ${MARK}`;
type Table = ObjectOf<"nft">;
type Element = ObjectOf<"element">;
type Listed = {
  readonly inet: string;
  /** Empty if there is no such table. */
  readonly bridge: string;
};
const NOTHING: Listed = { inet: "", bridge: "" };
const BOTH = [TABLE, BRIDGE_TABLE];
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

const OWNED_CHAIN = `chain ${MARK}_owned`;
const MARK_CHAIN = /\n\tchain weft_([0-9a-f]{16})_([0-9a-z]+) \{\n\t\}\n/;

export type NftOf = (space: Space) => Nft;

/** Of one namespace, valid as long as its space is. */
export class Nft {
  readonly #ns: Ns;
  readonly #ruleset: Ruleset;
  /** What the tables were at a generation of the ruleset: listing again is only needed after a change. */
  #seen: Seen | undefined;

  constructor(namespaces: Namespaces, space: Space) {
    this.#ns = space.ns;
    this.#ruleset = new Ruleset(namespaces, space);
  }

  close(): void {
    this.#ruleset.close();
  }

  /** For questions about sets. */
  get socket(): NetlinkSocket {
    return this.#ruleset.socket;
  }

  /**
   * The tables as an object: the digest of the text that is loaded, or NFT_TAMPERED if they are not (or no longer) what
   * was loaded. Undefined if there are none; in the host's namespace a table without our mark is another's, and
   * undefined as well.
   */
  observed(): Table | undefined {
    const { digest, listed } = this.#look();
    if (digest === undefined) return undefined;
    const bridge = listed === undefined || listed.bridge === "" ? {} : { bridge: "" };
    return { kind: "nft", ns: this.#ns, digest, body: "", ...bridge };
  }

  /** Elements of the sets that hold objects of their own. */
  elements(): Iterable<Element> {
    const seen = this.#look();
    if (seen.digest === undefined || seen.listed === undefined || seen.listed.bridge === "") return [];
    seen.elements ??= readSets(this.socket, this.#ns, namesIn(seen.listed));
    return seen.elements.values();
  }

  #look(): Seen {
    const generation = this.#ruleset.generation();
    if (this.#seen !== undefined && this.#seen.generation + this.#seen.own === generation) return this.#seen;
    const listed = this.#list();
    this.#seen = { generation, digest: digestOf(listed, this.#ns), listed, own: 0 };
    return this.#seen;
  }

  /** See Kernel.blockingFilters. Read chain by chain: others' rulesets may be long. */
  blockingFilters(words: readonly string[]): readonly string[] {
    const { output, error } = this.#ruleset.list("list chains\n", true);
    if (error !== undefined) return [];
    return chainsIn(output)
      .filter(({ table }) => table !== TABLE)
      .flatMap((chain) => {
        const rules = this.#ruleset.list(`list chain ${chain.table} ${chain.name}\n`, true);
        return blockingRules(chain, rules.output, words);
      });
  }

  /** See Kernel.forwardFilters. */
  forwardDrops(bridges: readonly string[]): readonly string[] {
    return forwardDrops((script) => this.#ruleset.list(script, true).output, bridges);
  }

  /** undefined: there is no table. In the host's namespace, that of another program is none. */
  #list(): Listed | undefined {
    const bridge = this.#bridgeTable();
    const inet = this.#listOne(TABLE, bridge !== "");
    if (this.#ns === "host" && bridge !== "" && !MARK_CHAIN.test(inet)) return { inet: "", bridge };
    return inet === "" && bridge === "" ? undefined : { inet, bridge };
  }

  /** Listing all tables of the family is long only where there is one of ours. */
  #bridgeTable(): string {
    if (this.#ns !== "host") return this.#listOne(BRIDGE_TABLE, true);
    const { output } = this.#ruleset.list("list tables bridge\n", true);
    if (!output.split("\n").includes(`table ${BRIDGE_TABLE}`)) return "";
    const listed = this.#listOne(BRIDGE_TABLE, true);
    return listed.includes(OWNED_CHAIN) ? listed : "";
  }

  /**
   * Without elements of named sets if `terse`: only for whole rulesets does libnftables (1.0.6) not read them either,
   * which takes 2 s when packets have put a hundred thousand flows there, instead of 10 ms.
   */
  #listOne(table: string, terse: boolean): string {
    const [family = ""] = table.split(" ");
    const listed = this.#ruleset.list(terse ? `list ruleset ${family}\n` : `list table ${table}\n`, terse);
    if (listed.error === undefined) return terse ? partOf(listed.output, table) : listed.output;
    if (listed.error.class === "missing" || listed.error.class === "unsupported") return "";
    throw new Error(`nft cannot list table ${table}: ${listed.error.message}`);
  }

  /** Makes the tables, with these elements; refused `exists` if the namespace has one. */
  create(table: Table, elements: readonly ElementOp[]): void {
    const before = this.#ruleset.generation();
    const text = `${this.#createText(table, NOTHING) || `create table ${TABLE}\n`}${tableText(table, this.#ns)}`;
    const refusal = this.#ruleset.run(text + elementScript(elements));
    if (refusal?.class === "exists") refuse("exists", `${refusal.message}; ${this.#describe()}`);
    this.#confirm(table, refusal, { before, elements: new Map(), ops: elements });
  }

  /** Makes the tables, or replaces those that are there, and changes elements: no packet sees anything in between. */
  replace(table: Table, elements: readonly ElementOp[]): void {
    this.#refuseForeign();
    const { listed, elements: there, generation, own } = this.#look();
    const text = tableText(table, this.#ns);
    const anew = `${this.#dropText()}${this.#createText(table, NOTHING)}${text}`;
    const before = generation + own;
    if (table.bridge === undefined || listed === undefined) {
      const refusal = this.#ruleset.run(anew + elementScript(elements));
      return this.#confirm(table, refusal, { before, elements: new Map(), ops: elements });
    }
    const created = this.#createText(table, listed);
    const inPlace = `${clearText(listed, table)}${created}${text}${elementScript(elements)}`;
    const refusal = this.#ruleset.run(inPlace);
    // Another program's chain or a set of another type is in the way: all is removed; the next round adds the elements.
    if (refusal === undefined) this.#confirm(table, undefined, { before, elements: there, ops: elements });
    else this.#confirm(table, this.#ruleset.run(anew));
  }

  /** Nothing of ours to remove is no error. */
  remove(): void {
    if (this.#look().digest === undefined) return;
    const refusal = this.#ruleset.run(this.#dropText());
    if (refusal !== undefined && refusal.class !== "missing") throw new Refused(refusal);
  }

  /** One transaction for all of them; what is refused is left out. */
  change(ops: readonly ElementOp[]): ElementRefusals {
    const { refusals, transactions } = changeElements(this.socket, ops);
    const seen = this.#seen;
    if (seen?.elements === undefined) return refusals;
    // Whether anybody else's transaction came between, the next look finds out by counting.
    seen.own += transactions;
    for (const op of ops) {
      if (refusals.has(op)) continue;
      if (op.op === "remove") seen.elements.delete(keyOf(op.object));
      else seen.elements.set(keyOf(op.object), op.object);
    }
    return refusals;
  }

  /** Ends flows; how many. */
  endFlows(flowsToEnd: FlowsToEnd): number {
    const { cut, transactions } = endFlows(this.socket, flowsToEnd);
    if (this.#seen !== undefined) this.#seen.own += transactions;
    return cut;
  }

  /**
   * Second half of loading a text: the mark gets the hash of the listing. If `before` counted every transaction but
   * these two, the tables need not be listed again.
   */
  #confirm(table: Table, refusal: Refusal | undefined, loaded?: Loaded): void {
    if (refusal !== undefined) throw new Refused(refusal);
    const listed = this.#list() ?? refuse("missing", `table ${TABLE} is gone again`);
    const digest = nftDigest(table.body, table.bridge);
    const [pending, final] = [markName(digest, "pending"), markName(digest, listingHash(listed))];
    const unmarked = this.#ruleset.run(`rename chain ${TABLE} ${pending} ${final}\n`);
    if (unmarked !== undefined) throw new Refused(unmarked);
    const generation = this.#ruleset.generation();
    if (loaded === undefined || generation !== loaded.before + 2) return;
    const inet = listed.inet.replace(pending, final);
    const elements = elementsAfter(loaded, new Set(namesIn(listed)));
    const seen: Seen = { generation, digest, listed: { ...listed, inet }, own: 0 };
    this.#seen = elements === undefined ? seen : { ...seen, elements };
  }

  /** Makes tables that we do not have yet: refused in the host's namespace if another program has one of the name. */
  #createText({ bridge }: Table, { inet, bridge: there }: Listed): string {
    if (this.#ns !== "host") return "";
    const tables = [...(inet === "" ? [TABLE] : []), ...(there === "" && bridge !== undefined ? [BRIDGE_TABLE] : [])];
    return tables.map((table) => `create table ${table}\n`).join("");
  }

  /** Removes our tables: in a VRF's namespace both, whether or not they are there. */
  #dropText(): string {
    const { inet, bridge } = (this.#ns === "host" ? this.#look().listed : undefined) ?? NOTHING;
    const tables =
      this.#ns === "host" ? [inet === "" ? [] : [TABLE], bridge === "" ? [] : [BRIDGE_TABLE]].flat() : BOTH;
    return tables.map((table) => `table ${table} {\n}\ndelete table ${table}\n`).join("");
  }

  #refuseForeign(): void {
    if (this.#ns !== "host" || this.#look().digest !== undefined) return;
    if (this.#ruleset.run(`list table ${TABLE}\n`) === undefined) refuse("exists", this.#describe());
  }

  #describe(): string {
    const { digest, listed } = this.#look();
    const table = `table ${listed === undefined ? BRIDGE_TABLE : TABLE} is`;
    if (digest === undefined) return `${table} another program's: it does not carry our mark; remove it or rename it`;
    return `${table} ours, ${digest === NFT_TAMPERED ? "changed by another program" : `with body ${digest}`}`;
  }
}

/** Of a listing of several tables, this one; empty if it is not there. */
function partOf(listing: string, table: string): string {
  const start = listing.indexOf(`table ${table} {\n`);
  if (start < 0) return "";
  return listing.slice(start, listing.indexOf("\n}\n", start) + 3);
}

function tableText({ body, bridge }: Table, ns: Ns): string {
  const mark = `chain ${markName(nftDigest(body, bridge), "pending")} {\n}\n`;
  const owned = ns === "host" ? `${OWNED_CHAIN} {\n}\n` : "";
  const frames = bridge === undefined ? "" : `table ${BRIDGE_TABLE} {\n${bridge}\n${owned}}\n`;
  return `table ${TABLE} {\n${body}\n${mark}}\n${frames}`;
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

function digestOf(listed: Listed | undefined, ns: Ns): string | undefined {
  if (listed === undefined) return undefined;
  const mark = MARK_CHAIN.exec(listed.inet);
  // A bridge table is listed only if it is ours.
  if (mark === null) return ns === "host" && listed.bridge === "" ? undefined : NFT_TAMPERED;
  return mark[2] === listingHash(listed) ? mark[1] : NFT_TAMPERED;
}

function markName(digest: string, hash: string): string {
  return `${MARK}_${digest}_${hash}`;
}

/** Without the mark itself and the empty lines around it. */
function listingHash({ inet, bridge }: Listed): string {
  return nftDigest(inet.replace(MARK_CHAIN, "\n").replaceAll(/\n+/g, "\n"), bridge);
}
