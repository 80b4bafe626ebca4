// Weft's nft table of a namespace, through libnftables: one table, `inet weft`, replaced whole in one transaction. The
// text of a table cannot be read back, so the table carries an empty chain as a mark:
//
//   chain weft_<digest of the body>_<hash of the listing> { }
//
// A fresh agent reads from it which body is loaded, and, by listing the table again, whether somebody changed a rule or
// an element since. Until the listing's hash is known the mark ends in `pending`, which no listing matches: a death in
// between leaves a table that is ours and will be replaced. So bodies must not contain what packets change (dynamic
// sets); counters are fine, they are left out of the listing.
import { MARK, NFT_TAMPERED, nftDigest } from "../datapath/state.ts";
import type { Refusal } from "./kernel.ts";
import { Refused } from "./errno.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import { type Ran, Ruleset } from "./ruleset.ts";

const TABLE = `inet ${MARK}`;
const MARK_CHAIN = /\n\tchain weft_([0-9a-f]{16})_([0-9a-z]+) \{\n\t\}\n/;

export class Nft {
  readonly #namespaces: Namespaces;
  /** What a namespace's table was at a generation of its ruleset: listing again is only needed after a change. */
  readonly #seen = new WeakMap<Ruleset, { readonly generation: number; readonly digest: string | undefined }>();
  readonly #rulesets = new WeakMap<Space, Ruleset>();

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces;
  }

  /**
   * The digest of the body that is loaded, NFT_TAMPERED if the table is not (or no longer) what was loaded, undefined
   * if there is none. In the host's namespace a table without our mark is somebody else's: undefined as well.
   */
  digest(space: Space): string | undefined {
    const ruleset = this.#ruleset(space);
    const generation = ruleset.generation();
    const seen = this.#seen.get(ruleset);
    if (seen?.generation === generation) return seen.digest;
    const digest = this.#list(space);
    this.#seen.set(ruleset, { generation, digest });
    return digest;
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

  #list(space: Space): string | undefined {
    const listed = this.#run(space, `list table ${TABLE}\n`);
    if (listed.error !== undefined) {
      if (listed.error.class === "missing" || listed.error.class === "unsupported") return undefined;
      throw new Error(`nft cannot list table ${TABLE}: ${listed.error.message}`);
    }
    const mark = MARK_CHAIN.exec(listed.output);
    if (mark === null) return space.ns === "host" ? undefined : NFT_TAMPERED;
    return mark[2] === listingHash(listed.output) ? mark[1] : NFT_TAMPERED;
  }

  /** Makes the table; refused `exists` if the namespace has one. */
  create(space: Space, body: string): void {
    const made = this.#run(space, `create table ${TABLE}\n${tableText(body)}`);
    if (made.error?.class === "exists") {
      throw new Refused({
        ...made.error,
        message: `${made.error.message}; table ${TABLE} is ${this.#describe(space)}`,
      });
    }
    this.#confirm(space, body, made.error);
  }

  /** Makes the table, or replaces the one that is there: no packet sees anything in between. */
  replace(space: Space, body: string): void {
    this.#refuseForeign(space);
    const made = this.#run(space, `table ${TABLE} {\n}\ndelete table ${TABLE}\n${tableText(body)}`);
    this.#confirm(space, body, made.error);
  }

  /** Nothing of ours to remove is no error. */
  remove(space: Space): void {
    if (this.digest(space) === undefined) return;
    const { error } = this.#run(space, `delete table ${TABLE}\n`);
    if (error !== undefined && error.class !== "missing") throw new Refused(error);
  }

  /** Second half of loading a body: the mark gets the hash of the listing. */
  #confirm(space: Space, body: string, error: Refusal | undefined): void {
    if (error !== undefined) throw new Refused(error);
    const listed = this.#run(space, `list table ${TABLE}\n`);
    if (listed.error !== undefined) throw new Refused(listed.error);
    const digest = nftDigest(body);
    const [pending, final] = [markName(digest, "pending"), markName(digest, listingHash(listed.output))];
    const marked = this.#run(space, `rename chain ${TABLE} ${pending} ${final}\n`);
    if (marked.error !== undefined) throw new Refused(marked.error);
  }

  #refuseForeign(space: Space): void {
    if (
      space.ns === "host" &&
      this.digest(space) === undefined &&
      this.#run(space, `list table ${TABLE}\n`).error === undefined
    ) {
      throw new Refused({ class: "exists", message: `table ${TABLE} is ${this.#describe(space)}` });
    }
  }

  #describe(space: Space): string {
    const digest = this.digest(space);
    if (digest === undefined) return "somebody else's: it does not carry our mark; remove it or rename it";
    return digest === NFT_TAMPERED ? "ours, changed by somebody" : `ours, with body ${digest}`;
  }
}

function tableText(body: string): string {
  return `table ${TABLE} {\n${body}\nchain ${markName(nftDigest(body), "pending")} {\n}\n}\n`;
}

function markName(digest: string, hash: string): string {
  return `${MARK}_${digest}_${hash}`;
}

/** Without the mark itself and the empty lines around it. */
function listingHash(listing: string): string {
  return nftDigest(listing.replace(MARK_CHAIN, "\n").replaceAll(/\n+/g, "\n"));
}
