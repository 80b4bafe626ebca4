// Weft's own nft tables of a namespace: `inet weft`, and `bridge weft` where there are rules about frames.
import { createHash } from "node:crypto";
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { MARK } from "./mark.ts";
import { netns } from "./netns.ts";

/**
 * `body` and `bridge` are what stands between the braces of the tables. The kernel cannot give the text back, so an
 * observed object has its `digest` (or NFT_TAMPERED), an empty body, and an empty `bridge` if there is such a table.
 */
export type Nft = {
  readonly kind: "nft";
  readonly ns: Ns;
  readonly digest: string;
  readonly body: string;
  readonly bridge?: string;
};

/** The digest of a table that was changed, or that lacks Weft's mark: never that of a body. */
export const NFT_TAMPERED = "tampered";

/** Names the text of tables, short enough to be carried in the name of a chain: 16 hexadecimal digits. */
export function nftDigest(body: string, bridge = ""): string {
  const hash = createHash("sha256").update(body);
  return (bridge === "" ? hash : hash.update("\0").update(bridge)).digest("hex").slice(0, 16);
}

const families = ({ bridge }: Nft) => (bridge === undefined ? ["inet"] : ["inet", "bridge"]);

/** One transaction: `before`, then the tables. */
function load({ ns, body, bridge }: Nft, before: readonly string[], shell: Shell): readonly string[] {
  const frames = bridge === undefined ? [] : tableLines("bridge", bridge);
  const [first = "", ...rest] = [...before, ...tableLines("inet", body), ...frames];
  const last = rest.pop() ?? "";
  return [`${shell.inside(ns)}nft -f - <<< '${first}`, ...rest, `${last}'`];
}

function tableLines(family: string, body: string): readonly string[] {
  const lines = body.trimEnd().split("\n");
  return [`table ${family} ${MARK} {`, ...lines.map((line) => `  ${line}`), "}"];
}

/** Elements stay, as objects of their own; rules would come twice. */
function reload(from: Nft, to: Nft, shell: Shell): readonly string[] {
  const before = families(from).map((family) =>
    family === "bridge" && to.bridge === undefined ? `delete table bridge ${MARK}` : `flush table ${family} ${MARK}`,
  );
  return load(to, before, shell);
}

const EXAMPLE = "chain forward {\n  type filter hook forward priority filter; policy accept;\n}\n";
const EXAMPLE_FRAMES = `set members4_a { type ipv4_addr; }
map ports { type ifname : mark; }
map bound6 { typeof iifname . ether saddr . @nh,64,128 : meta mark; }
set macs { typeof iifname . @ll,48,48; }
`;

function example(body: string, bridge: string): Nft {
  return { kind: "nft", ns: "vrf:blue", digest: nftDigest(body, bridge), body, bridge };
}

export const nft = defineKind<Nft>({
  role: "alone",
  layer: 2,
  key: ({ ns }) => `nft ${ns}`,
  // Not by the text, which the kernel cannot give back.
  isSame: (a, b) => a.digest === b.digest,
  print: {
    add: (table, shell) => load(table, [], shell),
    set: reload,
    remove: (table, shell) =>
      families(table).map((family) => `${shell.inside(table.ns)}nft delete table ${family} ${MARK}`),
  },
  examples: [
    {
      needs: standsOn(netns),
      is: example(EXAMPLE, EXAMPLE_FRAMES),
      becomes: example(EXAMPLE.replace("forward {", "output {").replace("hook forward", "hook output"), EXAMPLE_FRAMES),
    },
    {
      needs: [],
      is: { kind: "nft", ns: "host", digest: nftDigest(EXAMPLE), body: EXAMPLE },
    },
  ],
});
