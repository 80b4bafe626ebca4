// Weft's nft table of a namespace, through libnftables: one table, `inet weft`, replaced whole in one transaction. The
// text of a table cannot be read back, so the table carries an empty chain as a mark:
//
//   chain weft_<digest of the body>_<hash of the listing> { }
//
// A fresh agent reads from it which body is loaded, and, by listing the table again, whether somebody changed a rule or
// an element since. Until the listing's hash is known the mark ends in `pending`, which no listing matches: a death in
// between leaves a table that is ours and will be replaced. So bodies must not contain what packets change (dynamic
// sets); counters are fine, they are left out of the listing.
import koffi from "koffi";
import { MARK, NFT_TAMPERED, nftDigest } from "../datapath/state.ts";
import type { Refusal } from "./kernel.ts";
import { Refused } from "./errno.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { NetlinkSocket } from "./netlink/socket.ts";
import { eachAttribute } from "./netlink/wire.ts";

const TABLE = `inet ${MARK}`;
/** NFT_CTX_OUTPUT_STATELESS, and everything as numbers: a listing that depends on the rules alone. */
const OUTPUT_FLAGS = (1 << 2) | (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10);
const MARK_CHAIN = /\n\tchain weft_([0-9a-f]{16})_([0-9a-z]+) \{\n\t\}\n/;

export class Nft {
  readonly #namespaces: Namespaces;
  /** What a namespace's table was at a generation of its ruleset: listing again is only needed after a change. */
  readonly #seen = new WeakMap<Space, { readonly generation: number; readonly digest: string | undefined }>();

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces;
  }

  /**
   * The digest of the body that is loaded, NFT_TAMPERED if the table is not (or no longer) what was loaded, undefined
   * if there is none. In the host's namespace a table without our mark is somebody else's: undefined as well.
   */
  digest(space: Space): string | undefined {
    const generation = this.#generation(space);
    const seen = this.#seen.get(space);
    if (seen !== undefined && generation !== undefined && seen.generation === generation) return seen.digest;
    const digest = this.#list(space);
    if (generation !== undefined) this.#seen.set(space, { generation, digest });
    return digest;
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
    const hash = listingHash(listed.output);
    const marked = this.#run(
      space,
      `add chain ${TABLE} ${markName(digest, hash)}\ndelete chain ${TABLE} ${markName(digest, "pending")}\n`,
    );
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

  /** Number of the namespace's ruleset: it changes with every transaction of anybody. */
  #generation(space: Space): number | undefined {
    const socket = this.#namespaces.within(space.fd, () => new NetlinkSocket(k.NETLINK_NETFILTER));
    try {
      // struct nfgenmsg: family, version, resource id.
      return socket.ask(
        k.NFT_MSG_GETGEN,
        (w) => w.u32(0),
        ({ bytes, start, end }) => {
          let generation = 0;
          eachAttribute(bytes, start + 4, end, (type, from) => {
            if (type === k.NFTA_GEN_ID) generation = bytes.readUInt32BE(from);
          });
          return generation;
        },
      );
    } finally {
      socket.close();
    }
  }

  /** In the namespace also while it runs: libnftables asks the thread's namespace for interface names. */
  #run(space: Space, script: string): { readonly output: string; readonly error?: Refusal } {
    const nft = library();
    if (nft === undefined) {
      return {
        output: "",
        error: { class: "unsupported", message: "libnftables.so.1 is not there; install the nftables package" },
      };
    }
    return this.#namespaces.within(space.fd, () => {
      const context = nft.newContext(0);
      try {
        nft.bufferOutput(context);
        nft.bufferError(context);
        nft.setOutputFlags(context, OUTPUT_FLAGS);
        const isGood = nft.run(context, script) === 0;
        return { output: nft.output(context), ...(isGood ? {} : { error: refusalOfText(nft.error(context)) }) };
      } finally {
        nft.free(context);
      }
    });
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

/** libnftables says why in strerror's words: `Error: Could not process rule: File exists`. */
function refusalOfText(text: string): Refusal {
  const message = `nft: ${text
    .trim()
    .replaceAll(/\s*\n\s*/g, " | ")
    .slice(0, 500)}`;
  const found = CLASSES.find(([words]) => text.includes(words));
  return { class: found?.[1] ?? "invalid", message };
}
const CLASSES: readonly (readonly [string, Refusal["class"]])[] = [
  ["File exists", "exists"],
  ["No such file or directory", "missing"],
  ["resource busy", "busy"],
  ["resource temporarily unavailable", "busy"],
  ["Operation not permitted", "denied"],
  ["not supported", "unsupported"],
];

type Context = { readonly opaque: "nft_ctx" };
type Library = {
  newContext(flags: number): Context;
  free(context: Context): void;
  setOutputFlags(context: Context, flags: number): void;
  bufferOutput(context: Context): number;
  bufferError(context: Context): number;
  run(context: Context, script: string): number;
  output(context: Context): string;
  error(context: Context): string;
};

let loaded: Library | undefined;
/** undefined if this machine does not have it. Loaded at first use: the CLI never needs it. */
function library(): Library | undefined {
  if (loaded !== undefined) return loaded;
  try {
    const so = koffi.load("libnftables.so.1");
    loaded = {
      newContext: so.func("void *nft_ctx_new(uint32_t)"),
      free: so.func("void nft_ctx_free(void *)"),
      setOutputFlags: so.func("void nft_ctx_output_set_flags(void *, unsigned int)"),
      bufferOutput: so.func("int nft_ctx_buffer_output(void *)"),
      bufferError: so.func("int nft_ctx_buffer_error(void *)"),
      run: so.func("int nft_run_cmd_from_buffer(void *, const char *)"),
      output: so.func("const char *nft_ctx_get_output_buffer(void *)"),
      error: so.func("const char *nft_ctx_get_error_buffer(void *)"),
    };
    return loaded;
  } catch {
    return undefined;
  }
}
