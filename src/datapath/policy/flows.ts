// Allowed flows, as elements of sets that packets fill: `sent_…` has those that the sender's rules allowed,
// `received_…` those that the receiver's rules allowed, each in the direction in which the flow began. A packet passes
// if its flow is in its own side's set, or if it is an answer: reversed, in the other side's set. Any other packet
// begins a flow, and the rules decide (groups.ts).
//
// It does what connection tracking does, for half of its price, in the bridge family, where most kernels have no
// connection tracking (docs/decisions/0015). Keys are raw offsets in a packet: sources and targets of errors must have
// one type, and a typed expression repeats its protocol check in each rule.
import type { Family } from "../../model/address.ts";

export type Side = "out" | "in";
export const SIDES: readonly Side[] = ["out", "in"];

/** What a flow is told by: the ports of TCP or UDP; for the rest its protocol, and of a ping its identifier. */
type Kind = "tcp" | "udp" | "other";
const KINDS: readonly Kind[] = ["tcp", "udp", "other"];

/** A set of flows, by whose rules allowed them. nft 1.0.6 cannot list keys of five parts, so each kind has its own. */
export type FlowSet = { readonly name: string; readonly side: Side; readonly kind: Kind; readonly family: Family };
export const FLOW_SETS: readonly FlowSet[] = SIDES.flatMap((side) =>
  KINDS.flatMap((kind) =>
    ([4, 6] as const).map((family) => ({ name: setName(side, kind, family), side, kind, family })),
  ),
);

function setName(side: Side, kind: Kind, family: Family): string {
  return `${side === "out" ? "sent" : "received"}_${kind}${family}`;
}

/**
 * Flows of one set, at about 100 bytes each. Not more, because the kernel walks from the beginning for each piece of a
 * dump that it gives (nft_rhash_walk): reading 65,536 takes 0.1 s, and twice as many four times as long.
 */
export const FLOWS: Readonly<Record<Kind, number>> = { tcp: 65_536, udp: 65_536, other: 65_536 };

/**
 * How many flows a port may begin, and how many may be begun to it: sets belong to the VRF, and no port may fill one
 * before the agent counts (agent/reconcile/flowShares.ts). The second rate is higher than the first; otherwise one port
 * could keep all others from another.
 */
const BEGINNINGS: Readonly<Record<Side, string>> = {
  out: "limit rate over 500/second burst 5000 packets",
  in: "limit rate over 2000/second burst 10000 packets",
};

/**
 * Fragments of one packet follow each other at once, so what they are of is remembered for a moment. At this rate a
 * port has a quarter of a set: burst + rate × time.
 */
const PIECES = "limit rate over 4000/second burst 4000 packets";
const PIECE = "3s";

/**
 * How long a flow is remembered without a packet. TCP: a handshake, a flow with data, one that was closed. The rest:
 * the first packet alone, and with others. As connection tracking, but for a day instead of five.
 */
const OPENING = "1m";
const OPEN = "1d";
const CLOSED = "1m";
const ASKED = "30s";
const GOING = "2m";
const PLAIN = "10m";

const TCP = 6;
const UDP = 17;
const AH = 51;
const NO_NEXT = 59;
/** What stands between IPv6 and a protocol: hop-by-hop, routing, destination, mobility, HIP, shim6. */
const EXTENSIONS = [0, 43, 60, 135, 139, 140];
const FRAGMENT = 44;

/** Where the parts of a flow's name are in a packet: addresses, protocol, ports, and a ping's identifier. */
type Places = {
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly ports: readonly [string, string];
  readonly id: string;
};

/** Two bytes that are the same in all packets of a family: in place of an identifier, where a protocol has none. */
const NOTHING = "@ll,96,16";

const withPorts = ({ source, destination, ports: [a, b] }: Places) => `${source} . ${destination} . ${a} . ${b}`;
const turnedPorts = ({ source, destination, ports: [a, b] }: Places) => `${destination} . ${source} . ${b} . ${a}`;
const other = ({ source, destination, protocol }: Places, id: string) =>
  `${source} . ${destination} . ${protocol} . ${id}`;
const turnedOther = ({ source, destination, protocol }: Places, id: string) =>
  `${destination} . ${source} . ${protocol} . ${id}`;

type Words = {
  readonly icmp: number;
  readonly request: number;
  readonly reply: number;
  readonly errors: readonly number[];
  /**
   * Of a packet; of the packet that an error tells of, whose source is where the error goes, whatever is written in it;
   * of the first fragment of one.
   */
  readonly outer: Places;
  readonly inner: Places;
  readonly first: Places;
  readonly icmpType: string;
  readonly firstIcmpType: string;
  readonly flags: string;
  /** What names the packet that a fragment is of. */
  readonly fragment: string;
  readonly isLater: string;
  /** Statements for packets whose header is longer than it needs to be. */
  readonly plainOnly: (side: Side) => readonly string[];
  readonly innerPlainOnly: (side: Side) => readonly string[];
};

const OUTER4: Places = {
  source: "@nh,96,32",
  destination: "@nh,128,32",
  protocol: "@nh,72,8",
  ports: ["@nh,160,16", "@nh,176,16"],
  id: "@nh,192,16",
};
const OUTER6: Places = {
  source: "@nh,64,128",
  destination: "@nh,192,128",
  protocol: "@nh,48,8",
  ports: ["@nh,320,16", "@nh,336,16"],
  id: "@nh,352,16",
};

/** RFC 791, 792, 8200, 4443: places in bits from the network header. */
const WORDS: Readonly<Record<Family, Words>> = {
  4: {
    icmp: 1,
    request: 8,
    reply: 0,
    errors: [3, 11, 12],
    outer: OUTER4,
    inner: {
      source: OUTER4.destination,
      destination: "@nh,352,32",
      protocol: "@nh,296,8",
      ports: ["@nh,384,16", "@nh,400,16"],
      id: "@nh,416,16",
    },
    first: OUTER4,
    icmpType: "@nh,160,8",
    firstIcmpType: "@nh,160,8",
    flags: "@nh,264,8",
    fragment: "@nh,96,32 . @nh,128,32 . @nh,72,8 . @nh,32,16",
    isLater: "@nh,48,16 & 0x1fff != 0",
    plainOnly: (side) => [`@nh,0,8 != 0x45 goto options_${side}`],
    innerPlainOnly: (side) => [`@nh,224,8 != 0x45 goto begin_${side}`],
  },
  6: {
    icmp: 58,
    request: 128,
    reply: 129,
    errors: [1, 2, 3, 4],
    outer: OUTER6,
    inner: {
      source: OUTER6.destination,
      destination: "@nh,576,128",
      protocol: "@nh,432,8",
      ports: ["@nh,704,16", "@nh,720,16"],
      id: "@nh,736,16",
    },
    first: { ...OUTER6, protocol: "@nh,320,8", ports: ["@nh,384,16", "@nh,400,16"], id: "@nh,416,16" },
    icmpType: "@nh,320,8",
    firstIcmpType: "@nh,384,8",
    flags: "@nh,424,8",
    fragment: "@nh,64,128 . @nh,192,128 . @nh,352,32",
    isLater: "@nh,336,16 & 0xfff8 != 0",
    plainOnly: () => [],
    innerPlainOnly: () => [],
  },
};

export type Chain = (name: string, lines: readonly string[]) => string;

/** The sets, in the order in which they have to be declared. */
export function flowSets(): string {
  const flows = FLOW_SETS.map(({ name, kind, family }) => {
    const { outer } = WORDS[family];
    return dynamicSet(name, kind === "other" ? other(outer, outer.id) : withPorts(outer), FLOWS[kind]);
  });
  const pieces = SIDES.flatMap((side) =>
    ([4, 6] as const).map((family) => dynamicSet(`pieces_${side}${family}`, WORDS[family].fragment, 65_535)),
  );
  const rates = SIDES.flatMap((side) => [beginningsOf(side), firstPiecesOf(side)]).map(
    (name) => `set ${name} { type ifname; size 65535; flags dynamic,timeout; timeout 1m; }\n`,
  );
  return [...flows, ...pieces, ...rates].join("");
}

function portOf(side: Side): string {
  return side === "out" ? "iifname" : "oifname";
}

function firstPiecesOf(side: Side): string {
  return `fragmented_${side}`;
}

function beginningsOf(side: Side): string {
  return `beginnings_${side}`;
}

function dynamicSet(name: string, type: string, size: number): string {
  return `set ${name} { typeof ${type}; size ${size}; flags dynamic,timeout; }\n`;
}

/**
 * Chains `out4`, `out6`, `in4` and `in6`, where packets of a family are sent that a side's rules are to judge: known
 * ones pass, of the others `begin_<side>` decides, and sends those that are allowed to `began_<side>`. What a chain
 * needs of the table beside: `denied_<side>`, `full_<side>` (no room in a set, or too many at once), `options_<side>`.
 */
export function flowChains(chain: Chain): string {
  return SIDES.map((side) => {
    const families = ([4, 6] as const).map((family) => {
      const part = { side, family, words: WORDS[family], name: `${side}${family}` };
      return beganChains(chain, part) + errorChain(chain, part) + pieceChains(chain, part) + knownChains(chain, part);
    });
    const began = chain(`began_${side}`, [
      `update @${beginningsOf(side)} { ${portOf(side)} ${BEGINNINGS[side]} } goto full_${side}`,
      `meta protocol ip goto began_${side}4`,
      `meta protocol ip6 goto began_${side}6`,
      `goto denied_${side}`,
    ]);
    return families.join("") + began;
  }).join("");
}

/** One side and family: what its chains are made of, and how their names begin. */
type Part = { readonly side: Side; readonly family: Family; readonly words: Words; readonly name: string };

const ownSet = ({ side, family }: Part, kind: Kind) => `@${setName(side, kind, family)}`;
const otherSet = ({ side, family }: Part, kind: Kind) => `@${setName(side === "out" ? "in" : "out", kind, family)}`;
const oneOf = (values: readonly number[]) => `{ ${values.join(", ")} }`;

function knownChains(chain: Chain, part: Part): string {
  const { side, family, words, name } = part;
  const { outer, icmpType, flags, plainOnly } = words;
  const [flow, answer] = [withPorts(outer), turnedPorts(outer)];
  const begin = `goto begin_${side}`;
  const refreshed = (kind: Kind, timeout: string, of = flow, turned = answer) => [
    `${of} ${ownSet(part, kind)} update ${ownSet(part, kind)} { ${of} timeout ${timeout} } accept`,
    `${turned} ${otherSet(part, kind)} update ${otherSet(part, kind)} { ${turned} timeout ${timeout} } accept`,
    begin,
  ];
  const fragments = family === 4 ? [`@nh,48,16 & 0x3fff != 0 goto ${name}_piece`] : [];
  return (
    chain(`${name}_icmp`, [
      ...plainOnly(side),
      `${icmpType} ${words.reply} ${turnedOther(outer, outer.id)} ${otherSet(part, "other")} accept`,
      `${icmpType} ${oneOf(words.errors)} goto ${name}_error`,
      begin,
    ]) +
    chain(`${name}_udp`, [...plainOnly(side), ...refreshed("udp", GOING)]) +
    chain(`${name}_closing`, refreshed("tcp", CLOSED)) +
    // Data keep a flow for long, a FIN or RST ends it, and the acknowledgement behind does not bring it back.
    chain(`${name}_pushed`, [`${flags} & 0x05 != 0 goto ${name}_closing`, ...refreshed("tcp", OPEN)]) +
    chain(`${name}_tcp`, [
      ...fragments,
      ...plainOnly(side),
      `${flags} & 0x0d != 0 goto ${name}_pushed`,
      `${flow} ${ownSet(part, "tcp")} accept`,
      `${answer} ${otherSet(part, "tcp")} accept`,
      begin,
    ]) +
    chain(name, [
      `${outer.protocol} ${TCP} goto ${name}_tcp`,
      ...(family === 4 ? fragments : discovery(side)),
      `${outer.protocol} ${UDP} goto ${name}_udp`,
      `${outer.protocol} ${words.icmp} goto ${name}_icmp`,
      ...(family === 4 ? [] : extensionLines(part)),
      ...refreshed("other", PLAIN, other(outer, NOTHING), turnedOther(outer, NOTHING)),
    ])
  );
}

/** Neighbour discovery and listener reports are for spoofing filters to judge; routers' advertisements only to come. */
function discovery(side: Side): readonly string[] {
  return [`icmpv6 type { ${side === "out" ? "130-133, 135, 136" : "130-136"}, 143 } accept`];
}

/** Behind extensions, the position of a port is unknown here; behind AH, the rules look at each packet. */
function extensionLines({ side, name, words: { outer } }: Part): readonly string[] {
  return [
    `${outer.protocol} ${FRAGMENT} goto ${name}_piece`,
    `${outer.protocol} ${oneOf(EXTENSIONS)} goto options_${side}`,
    `${outer.protocol} ${oneOf([AH, NO_NEXT])} goto begin_${side}`,
  ];
}

/** An error goes against the packet that it tells of: one of a flow that others began, or an answer to its own. */
function errorChain(chain: Chain, part: Part): string {
  const { side, name, words } = part;
  const { inner, icmp } = words;
  const either = (kind: Kind, of: string, turned: string, protocol?: number) => {
    const when = protocol === undefined ? "" : `${inner.protocol} ${protocol} `;
    return [`${when}${of} ${otherSet(part, kind)} accept`, `${when}${turned} ${ownSet(part, kind)} accept`];
  };
  return chain(`${name}_error`, [
    ...words.innerPlainOnly(side),
    ...either("tcp", withPorts(inner), turnedPorts(inner), TCP),
    ...either("udp", withPorts(inner), turnedPorts(inner), UDP),
    ...either("other", other(inner, inner.id), turnedOther(inner, inner.id), icmp),
    ...either("other", other(inner, NOTHING), turnedOther(inner, NOTHING)),
    `goto begin_${side}`,
  ]);
}

/** The first fragment says what the others are of; one that comes before the first is lost. */
function pieceChains(chain: Chain, part: Part): string {
  const { side, family, words, name } = part;
  const { first, fragment, isLater, icmp } = words;
  const keeps = (kind: Kind, of: string, turned: string, when = "") => [
    `${when}${of} ${ownSet(part, kind)} goto ${name}_keep`,
    `${when}${turned} ${otherSet(part, kind)} goto ${name}_keep`,
  ];
  return (
    chain(`${name}_keep`, [
      `update @${firstPiecesOf(side)} { ${portOf(side)} ${PIECES} } goto full_${side}`,
      `update @pieces_${name} { ${fragment} timeout ${PIECE} } accept`,
      `goto full_${side}`,
    ]) +
    chain(`${name}_piece`, [
      `${isLater} ${fragment} @pieces_${name} accept`,
      `${isLater} goto denied_${side}`,
      ...words.plainOnly(side),
      ...(family === 4 ? [] : [`${first.protocol} ${oneOf([...EXTENSIONS, FRAGMENT, AH])} goto options_${side}`]),
      ...keeps("tcp", withPorts(first), turnedPorts(first), `${first.protocol} ${TCP} `),
      ...keeps("udp", withPorts(first), turnedPorts(first), `${first.protocol} ${UDP} `),
      `${first.protocol} ${icmp} ${words.firstIcmpType} ${words.reply} ${turnedOther(first, first.id)} ` +
        `${otherSet(part, "other")} goto ${name}_keep`,
      ...keeps("other", other(first, NOTHING), turnedOther(first, NOTHING)),
      `goto begin_${side}`,
    ])
  );
}

/** What the rules allowed becomes a flow; without room for it, it does not begin. */
function beganChains(chain: Chain, part: Part): string {
  const { side, family, words, name } = part;
  const { icmp, request } = words;
  const lines = (at: Places, type: string) => {
    const remember = (kind: Kind, flow: string, timeout: string) =>
      `update ${ownSet(part, kind)} { ${flow} timeout ${timeout} } accept`;
    return [
      `${at.protocol} ${TCP} ${remember("tcp", withPorts(at), OPENING)}`,
      `${at.protocol} ${UDP} ${remember("udp", withPorts(at), ASKED)}`,
      `${at.protocol} ${icmp} ${type} ${request} ${remember("other", other(at, at.id), ASKED)}`,
      `${at.protocol} ${icmp} ${type} != ${request} accept`,
      `${at.protocol} != ${oneOf([TCP, UDP, icmp])} ${remember("other", other(at, NOTHING), PLAIN)}`,
      `goto full_${side}`,
    ];
  };
  const piece = `update @pieces_${name} { ${words.fragment} timeout ${PIECE} }`;
  if (family === 4)
    return chain(`began_${name}`, [`@nh,48,16 & 0x2000 != 0 ${piece}`, ...lines(words.outer, words.icmpType)]);
  return (
    chain(`began_${name}_piece`, [piece, ...lines(words.first, words.firstIcmpType)]) +
    chain(`began_${name}`, [
      `${words.outer.protocol} ${FRAGMENT} goto began_${name}_piece`,
      `${words.outer.protocol} ${oneOf([AH, NO_NEXT])} accept`,
      ...lines(words.outer, words.icmpType),
    ])
  );
}
