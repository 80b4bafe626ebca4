// Weft's own nft tables of a namespace (`inet weft`, and `bridge weft` where there are rules about frames), and what
// grows in them: the elements of those sets and maps that are objects of their own, so that one more costs one small
// transaction. The compiler fills these sets, and src/kernel reads and writes them.
import { createHash } from "node:crypto";
import { ipOf } from "../../model/address.ts";
import { LAST, MARK, type Ns, type Shell, defineKind } from "./kind.ts";

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
function load({ body, bridge }: Nft, before: readonly string[], { inside }: Shell): readonly string[] {
  const frames = bridge === undefined ? [] : tableLines("bridge", bridge);
  const [first = "", ...rest] = [...before, ...tableLines("inet", body), ...frames];
  const last = rest.pop() ?? "";
  return [`${inside}nft -f - <<< '${first}`, ...rest, `${last}'`];
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

/** The type of a field of a key, which gives its size: ifname 16, mac 8 (6 and padding), ip4 4, ip6 16. */
export type Field = "port" | "mac" | "ip4" | "ip6";
type SetType = {
  /** In the words of nft. Raw expressions where one set answers for several fields of a packet. */
  readonly declared: string;
  readonly fields: readonly Field[];
  readonly isMap: boolean;
};

const FIXED: Readonly<Record<string, SetType>> = {
  /** What a port may do, as a mark; a port that is not here carries nothing. */
  ports: { declared: "type ifname : mark", fields: ["port"], isMap: true },
  /**
   * MACs of a port: of the frame, and of options in neighbour discovery. Of a tunnel that is in `floods`: those of the
   * endpoints behind it.
   */
  macs: { declared: "typeof iifname . @ll,48,48", fields: ["port", "mac"], isMap: false },
  /** Ports and tunnels that get frames to unknown MACs. */
  floods: { declared: "type ifname", fields: ["port"], isMap: false },
  /** Tunnels of a conversion that get no broadcast, because another of their bridge does. By names as numbers. */
  closed: { declared: "typeof @ll,0,128", fields: ["port"], isMap: false },
  /**
   * Addresses of a port with the MAC that belongs to each, for the source in IPv4 and ARP; the value is the port's mark
   * again, so that one lookup is enough for most packets.
   */
  bound4: { declared: "type ifname . ether_addr . ipv4_addr : mark", fields: ["port", "mac", "ip4"], isMap: true },
  /** As source of IPv6, and as target in neighbour advertisements. */
  bound6: {
    declared: "typeof iifname . ether saddr . @nh,64,128 : meta mark",
    fields: ["port", "mac", "ip6"],
    isMap: true,
  },
  /** Ports on bridges that have what the host had on a device, from which the host is not to be reached. */
  guarded: { declared: "type ifname", fields: ["port"], isMap: false },
  /** Ports that lead to a physical network, and what may come from there, as a mark. */
  outside: { declared: "type ifname : mark", fields: ["port"], isMap: true },
  /** What this host's endpoints have, by the port outside of which it cannot be: MACs, and addresses. */
  inside_macs: { declared: "type ifname . ether_addr", fields: ["port", "mac"], isMap: false },
  inside4: { declared: "type ifname . ipv4_addr", fields: ["port", "ip4"], isMap: false },
  /** Ports through which only an island's own come in, and the MACs of these. */
  islands: { declared: "type ifname", fields: ["port"], isMap: false },
  /** Devices of the host's own on a bridge of Weft's that islands share. */
  island_parents: { declared: "type ifname", fields: ["port"], isMap: false },
  island_macs: { declared: "type ifname . ether_addr", fields: ["port", "mac"], isMap: false },
  inside6: { declared: "typeof iifname . @nh,64,128", fields: ["port", "ip6"], isMap: false },
};

const MEMBERS4: SetType = { declared: "type ipv4_addr", fields: ["ip4"], isMap: false };
const MEMBERS6: SetType = { declared: "type ipv6_addr", fields: ["ip6"], isMap: false };

/** Undefined for a set whose elements, if any, are part of the table's text. */
export function setOf(name: string): SetType | undefined {
  if (name.startsWith("members4_")) return MEMBERS4;
  if (name.startsWith("members6_")) return MEMBERS6;
  return FIXED[name];
}

/** The line that declares a set in its table. */
export function declared(name: string): string {
  const type = setOf(name);
  if (type === undefined) throw new Error(`there is no set ${name}`);
  return `${type.isMap ? "map" : "set"} ${name} { ${type.declared}; }\n`;
}

export type Element = {
  readonly kind: "element";
  readonly ns: Ns;
  readonly set: string;
  /** Its fields joined with " . ". */
  readonly key: string;
  /** Of a map: 8 hexadecimal digits. */
  readonly value?: string;
};

/** Sets whose IPv6 addresses are raw bytes. */
const RAW_SIX = new Set(["bound6", "inside6"]);

/** The name of a device as the kernel keeps it in a set, read as one number. */
export function portNumber(name: string): string {
  return `0x${Buffer.from(name).toString("hex").padEnd(32, "0")}`;
}

/** Key and value in the words of nft(8): numbers, not addresses, where a set is declared by raw expressions. */
export function elementText({ set, key, value }: Element): string {
  const type = setOf(set);
  const words = key.split(" . ").map((part, i) => {
    const field = type?.fields[i];
    if (field === "port") return set === "closed" ? portNumber(part) : `"${part}"`;
    if (field === "mac" && set === "macs") return `0x${part.replaceAll(":", "")}`;
    if (field === "ip6" && RAW_SIX.has(set)) return `0x${(ipOf(part)?.value ?? 0n).toString(16).padStart(32, "0")}`;
    return part;
  });
  return `${words.join(" . ")}${value === undefined ? "" : ` : 0x${value}`}`;
}

/** Without the quotes, which a shell takes away. */
const line = (verb: "add" | "delete", element: Element, { inside }: Shell) =>
  `${inside}nft ${verb} element bridge ${MARK} ${element.set} { ${elementText(element).replaceAll('"', "")} }`;

/** Layer of the tables: policy is there before the ports that it is about. */
export const TABLES_LAYER = 2;

export const TABLE_KINDS = {
  nft: defineKind<Nft>({
    role: "alone",
    layer: TABLES_LAYER,
    key: ({ ns }) => `nft ${ns}`,
    // Not by the text, which the kernel cannot give back.
    isSame: (a, b) => a.digest === b.digest,
    add: (table, shell) => load(table, [], shell),
    set: reload,
    remove: (table, { inside }) => families(table).map((family) => `${inside}nft delete table ${family} ${MARK}`),
  }),
  element: defineKind<Element>({
    role: "alone",
    // With the tables, in the same transaction where both change.
    layer: TABLES_LAYER + 0.5,
    // Of two tunnels one is closed and the other opened at once. Others go when nothing needs them any more.
    removal: ({ set }) => (set === "closed" ? TABLES_LAYER + 0.5 : LAST - TABLES_LAYER - 0.5),
    key: ({ ns, set, key }) => `element ${ns} ${set} ${key}`,
    add: (o, shell) => [line("add", o, shell)],
    // A map has one value for a key: the old one goes first.
    set: (from, to, shell) => [line("delete", from, shell), line("add", to, shell)],
    remove: (o, shell) => [line("delete", o, shell)],
  }),
};
