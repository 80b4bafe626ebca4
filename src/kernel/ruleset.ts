// One namespace's nftables, through libnftables: runs scripts and tells the generation of the ruleset. Knows no table.
//
// Both ends to the kernel stay open as long as the namespace: closing a socket of nftables waits until the kernel has
// destroyed what the last transactions replaced (7-15 ms of RCU, 6.18).
import koffi from "koffi";
import { refuse } from "./errno.ts";
import type { Refusal } from "./kernel.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import * as k from "./netlink/constants.ts";
import { NetlinkSocket, type Question } from "./netlink/socket.ts";
import { type Layout, fill } from "./netlink/wire.ts";

/** Without the elements of named sets. */
const OUTPUT_TERSE = 1 << 11;
/** NFT_CTX_OUTPUT_STATELESS, and everything as numbers: a listing that depends on the rules alone. */
const OUTPUT_FLAGS = (1 << 2) | (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10);

type Ran = { readonly output: string; readonly error?: Refusal };

/** struct nfgenmsg: family, version, resource id. */
const GENERATION: Question<number> = {
  type: k.NFT_MSG_GETGEN,
  write: (w) => w.u32(0),
  read: (message) => fill({ id: 0 }, IDS, message, 4).id,
};
const IDS: Layout<{ id: number }> = { [k.NFTA_GEN_ID]: ["id", (bytes, start) => bytes.readUInt32BE(start)] };

export class Ruleset {
  readonly socket: NetlinkSocket;
  readonly #namespaces: Namespaces;
  readonly #fd: number;
  #context: Context | undefined;

  constructor(namespaces: Namespaces, space: Space) {
    this.#namespaces = namespaces;
    this.#fd = space.fd;
    this.socket = namespaces.within(space.fd, () => new NetlinkSocket(k.NETLINK_NETFILTER));
    this.socket.widen();
  }

  /** Changes with every transaction of anybody in this namespace. */
  generation(): number {
    return this.socket.ask(GENERATION) ?? refuse("unsupported", "this kernel has no nftables");
  }

  /** The text of tables; `terse` without the elements of named sets. */
  list(script: string, terse: boolean): Ran {
    return this.#run(script, terse ? OUTPUT_FLAGS | OUTPUT_TERSE : OUTPUT_FLAGS);
  }

  /** One transaction, in the words of nft(8); gives why it was refused. */
  run(script: string): Refusal | undefined {
    return this.#run(script, OUTPUT_FLAGS).error;
  }

  #run(script: string, flags: number): Ran {
    const nft = library();
    if (nft === undefined) {
      const message = "libnftables.so.1 is not there; install the nftables package";
      return { output: "", error: { class: "unsupported", message } };
    }
    // In the namespace also while it runs: libnftables asks the thread's namespace for interface names.
    return this.#namespaces.within(this.#fd, () => {
      this.#context ??= newContext(nft);
      nft.setOutputFlags(this.#context, flags);
      const isGood = nft.run(this.#context, script) === 0;
      // Reading empties both.
      const [output, error] = [nft.output(this.#context), nft.error(this.#context)];
      return isGood ? { output } : { output, error: refusalOfText(error) };
    });
  }

  close(): void {
    this.socket.close();
    if (this.#context !== undefined) library()?.free(this.#context);
  }
}

function newContext(nft: Library): Context {
  const context = nft.newContext(0);
  nft.bufferOutput(context);
  nft.bufferError(context);
  return context;
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
type Library = ReturnType<typeof load>;

function load() {
  const so = koffi.load("libnftables.so.1");
  return {
    newContext: so.func("void *nft_ctx_new(uint32_t)") as (flags: number) => Context,
    free: so.func("void nft_ctx_free(void *)") as (context: Context) => void,
    setOutputFlags: so.func("void nft_ctx_output_set_flags(void *, unsigned int)") as (
      c: Context,
      flags: number,
    ) => void,
    bufferOutput: so.func("int nft_ctx_buffer_output(void *)") as (context: Context) => number,
    bufferError: so.func("int nft_ctx_buffer_error(void *)") as (context: Context) => number,
    run: so.func("int nft_run_cmd_from_buffer(void *, const char *)") as (context: Context, script: string) => number,
    output: so.func("const char *nft_ctx_get_output_buffer(void *)") as (context: Context) => string,
    error: so.func("const char *nft_ctx_get_error_buffer(void *)") as (context: Context) => string,
  };
}

let loaded: Library | undefined;
/** undefined if this machine does not have it. Loaded at first use: the CLI never needs it. */
function library(): Library | undefined {
  try {
    return (loaded ??= load());
  } catch {
    return undefined;
  }
}
