// Allowed flows, as elements of sets that packets fill: `sent_…` has those that the sender's rules allowed,
// `received_…` those that the receiver's rules allowed, each in the direction in which the flow began. A packet passes
// if its flow is in its own side's set, or if it is an answer: reversed, in the other side's set. Any other packet
// begins a flow, and the rules decide (groups.ts).
//
// It does what connection tracking does, for half of its price, in the bridge family, where most kernels have no
// connection tracking (docs/decisions/0015). Keys are raw offsets in a packet: sources and targets of errors must have
// one type, and a typed expression repeats its protocol check in each rule.
import type { Family } from "../../model/address.ts";
import { FAMILIES, chain, oneOf } from "./tableParts.ts";

export type Side = "out" | "in";
export const SIDES: readonly Side[] = ["out", "in"];
const OTHER_SIDE = { out: "in", in: "out" } as const;

/** What a flow is told by: the ports of TCP or UDP; for the rest its protocol, and of a ping its identifier. */
type Kind = "tcp" | "udp" | "other";
const KINDS: readonly Kind[] = ["tcp", "udp", "other"];

/** A set of flows, by whose rules allowed them. nft 1.0.6 cannot list keys of five parts, so each kind has its own. */
export type FlowSet = { readonly name: string; readonly side: Side; readonly kind: Kind; readonly family: Family };
export const FLOW_SETS: readonly FlowSet[] = SIDES.flatMap((side) =>
  KINDS.flatMap((kind) => FAMILIES.map((family) => ({ name: setName(side, kind, family), side, kind, family }))),
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
 * before the agent counts (agent/reconcile/cutFlows.ts). The second rate is higher than the first; otherwise one port
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

/** How a flow is named in the sets: by what a packet of it has, and turned, by what an answer to it has. */
type Flow = readonly [own: string, turned: string];

/** Where a packet has what tells its flow: the ports of TCP or UDP, a ping's identifier, the protocol alone. */
type Places = {
  readonly protocol: string;
  readonly icmpType: string;
  readonly tcpFlags: string;
  readonly ports: Flow;
  readonly ping: Flow;
  readonly plain: Flow;
};

/** Two bytes that are the same in all packets of a family: in place of an identifier, where a protocol has none. */
const NOTHING = "@ll,96,16";

/** `behind`: where the header behind IP's begins. */
function placesOf(protocol: string, source: string, destination: string, behind: number): Places {
  const at = (offset: number, bits: number) => `@nh,${behind + offset},${bits}`;
  const flow = (a: string, b: string, turnedA = a, turnedB = b): Flow => [
    `${source} . ${destination} . ${a} . ${b}`,
    `${destination} . ${source} . ${turnedA} . ${turnedB}`,
  ];
  const [from, to] = [at(0, 16), at(16, 16)];
  return {
    protocol,
    icmpType: at(0, 8),
    tcpFlags: at(104, 8),
    ports: flow(from, to, to, from),
    ping: flow(protocol, at(32, 16)),
    plain: flow(protocol, NOTHING),
  };
}

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
  /** What names the packet that a fragment is of. */
  readonly fragment: string;
  readonly isLater: string;
  /** Match packets whose header is longer than it needs to be, and errors that tell of such. */
  readonly isLong: readonly string[];
  readonly isInnerLong: readonly string[];
};

/** RFC 791, 792, 8200, 4443: places in bits from the network header. */
const OUTER4 = placesOf("@nh,72,8", "@nh,96,32", "@nh,128,32", 160);
const WORDS: Readonly<Record<Family, Words>> = {
  4: {
    icmp: 1,
    request: 8,
    reply: 0,
    errors: [3, 11, 12],
    outer: OUTER4,
    inner: placesOf("@nh,296,8", "@nh,128,32", "@nh,352,32", 384),
    first: OUTER4,
    fragment: "@nh,96,32 . @nh,128,32 . @nh,72,8 . @nh,32,16",
    isLater: "@nh,48,16 & 0x1fff != 0",
    isLong: ["@nh,0,8 != 0x45"],
    isInnerLong: ["@nh,224,8 != 0x45"],
  },
  6: {
    icmp: 58,
    request: 128,
    reply: 129,
    errors: [1, 2, 3, 4],
    outer: placesOf("@nh,48,8", "@nh,64,128", "@nh,192,128", 320),
    inner: placesOf("@nh,432,8", "@nh,192,128", "@nh,576,128", 704),
    first: placesOf("@nh,320,8", "@nh,64,128", "@nh,192,128", 384),
    fragment: "@nh,64,128 . @nh,192,128 . @nh,352,32",
    isLater: "@nh,336,16 & 0xfff8 != 0",
    isLong: [],
    isInnerLong: [],
  },
};

/** The sets, in the order in which they have to be declared. */
export function flowSets(): string {
  const flows = FLOW_SETS.map(({ name, kind, family }) => {
    const { ports, ping } = WORDS[family].outer;
    return dynamicSet(name, kind === "other" ? ping[0] : ports[0], FLOWS[kind]);
  });
  const pieces = SIDES.flatMap((side) =>
    FAMILIES.map((family) => dynamicSet(`pieces_${side}${family}`, WORDS[family].fragment, 65_535)),
  );
  const rates = SIDES.flatMap((side) => [`beginnings_${side}`, `fragmented_${side}`]).map(
    (name) => `set ${name} { type ifname; size 65535; flags dynamic,timeout; timeout 1m; }\n`,
  );
  return [...flows, ...pieces, ...rates].join("");
}

function dynamicSet(name: string, type: string, size: number): string {
  return `set ${name} { typeof ${type}; size ${size}; flags dynamic,timeout; }\n`;
}

/** A line that drops what a port has too much of. */
function bounded(set: string, rate: string, side: Side): string {
  return `update @${set}_${side} { ${side === "out" ? "iifname" : "oifname"} ${rate} } goto full_${side}`;
}

/**
 * Chains `out4`, `out6`, `in4` and `in6`, where packets of a family are sent that a side's rules are to judge: known
 * ones pass, of the others `begin_<side>` decides, and sends those that are allowed to `began_<side>`. What a chain
 * needs of the table beside: `denied_<side>`, `full_<side>` (no room in a set, or too many at once), `options_<side>`.
 * `accept`: what is done with a packet that passes, by side.
 */
export function flowChains(accept: Readonly<Record<Side, string>>): string {
  return SIDES.map((side) => {
    const families = FAMILIES.map((family) => {
      const part = { side, family, words: WORDS[family], name: `${side}${family}`, accept: accept[side] };
      return beganChains(part) + errorChain(part) + pieceChains(part) + knownChains(part);
    });
    const began = chain(`began_${side}`, [
      bounded("beginnings", BEGINNINGS[side], side),
      `meta protocol ip goto began_${side}4`,
      `meta protocol ip6 goto began_${side}6`,
      `goto denied_${side}`,
    ]);
    return families.join("") + began;
  }).join("");
}

/** One side and family: what its chains are made of, and how their names begin. */
type Part = {
  readonly side: Side;
  readonly family: Family;
  readonly words: Words;
  readonly name: string;
  /** What is done with a packet that passes. */
  readonly accept: string;
};

const ownSet = ({ side, family }: Part, kind: Kind) => `@${setName(side, kind, family)}`;
const otherSet = ({ side, family }: Part, kind: Kind) => `@${setName(OTHER_SIDE[side], kind, family)}`;

/** Lines for packets of a known flow, in its own side's set, or as an answer in the other side's. */
function known(part: Part, kind: Kind, [own, turned]: Flow, then = part.accept): readonly string[] {
  return [`${own} ${ownSet(part, kind)} ${then}`, `${turned} ${otherSet(part, kind)} ${then}`];
}

/** The same for TCP and UDP, where the protocol is not known yet. */
function knownByPorts(part: Part, { protocol, ports }: Places, then?: string): readonly string[] {
  return [
    ...known(part, "tcp", ports, then).map((line) => `${protocol} ${TCP} ${line}`),
    ...known(part, "udp", ports, then).map((line) => `${protocol} ${UDP} ${line}`),
  ];
}

function knownChains(part: Part): string {
  const { side, family, words, name, accept } = part;
  const { outer } = words;
  const begin = `goto begin_${side}`;
  const long = words.isLong.map((is) => `${is} goto options_${side}`);
  const refreshed = (kind: Kind, timeout: string, [own, turned] = outer.ports) => [
    `${own} ${ownSet(part, kind)} update ${ownSet(part, kind)} { ${own} timeout ${timeout} } ${accept}`,
    `${turned} ${otherSet(part, kind)} update ${otherSet(part, kind)} { ${turned} timeout ${timeout} } ${accept}`,
    begin,
  ];
  const fragments = family === 4 ? [`@nh,48,16 & 0x3fff != 0 goto ${name}_piece`] : [];
  return (
    chain(`${name}_icmp`, [
      ...long,
      `${outer.icmpType} ${words.reply} ${outer.ping[1]} ${otherSet(part, "other")} ${accept}`,
      `${outer.icmpType} ${oneOf(words.errors)} goto ${name}_error`,
      begin,
    ]) +
    chain(`${name}_udp`, [...long, ...refreshed("udp", GOING)]) +
    chain(`${name}_closing`, refreshed("tcp", CLOSED)) +
    // Data keep a flow for long, a FIN or RST ends it, and the acknowledgement behind does not bring it back.
    chain(`${name}_pushed`, [`${outer.tcpFlags} & 0x05 != 0 goto ${name}_closing`, ...refreshed("tcp", OPEN)]) +
    chain(`${name}_tcp`, [
      ...fragments,
      ...long,
      `${outer.tcpFlags} & 0x0d != 0 goto ${name}_pushed`,
      ...known(part, "tcp", outer.ports),
      begin,
    ]) +
    chain(name, [
      `${outer.protocol} ${TCP} goto ${name}_tcp`,
      ...(family === 4 ? fragments : discovery(part)),
      `${outer.protocol} ${UDP} goto ${name}_udp`,
      `${outer.protocol} ${words.icmp} goto ${name}_icmp`,
      ...(family === 4 ? [] : extensionLines(part)),
      ...refreshed("other", PLAIN, outer.plain),
    ])
  );
}

/** Neighbour discovery and listener reports are for spoofing filters to judge; routers' advertisements only to come. */
function discovery({ side, accept }: Part): readonly string[] {
  return [`icmpv6 type { ${side === "out" ? "130-133, 135, 136" : "130-136"}, 143 } ${accept}`];
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
function errorChain(part: Part): string {
  const { side, name, words } = part;
  const { inner } = words;
  const against = { ...part, side: OTHER_SIDE[side] };
  return chain(`${name}_error`, [
    ...words.isInnerLong.map((is) => `${is} goto begin_${side}`),
    ...knownByPorts(against, inner),
    ...known(against, "other", inner.ping).map((line) => `${inner.protocol} ${words.icmp} ${line}`),
    ...known(against, "other", inner.plain),
    `goto begin_${side}`,
  ]);
}

/** The first fragment says what the others are of; one that comes before the first is lost. */
function pieceChains(part: Part): string {
  const { side, family, words, name, accept } = part;
  const { first, fragment, isLater } = words;
  const keep = `goto ${name}_keep`;
  return (
    chain(`${name}_keep`, [
      bounded("fragmented", PIECES, side),
      `update @pieces_${name} { ${fragment} timeout ${PIECE} } ${accept}`,
      `goto full_${side}`,
    ]) +
    chain(`${name}_piece`, [
      `${isLater} ${fragment} @pieces_${name} ${accept}`,
      `${isLater} goto denied_${side}`,
      ...words.isLong.map((is) => `${is} goto options_${side}`),
      ...(family === 4 ? [] : [`${first.protocol} ${oneOf([...EXTENSIONS, FRAGMENT, AH])} goto options_${side}`]),
      ...knownByPorts(part, first, keep),
      `${first.protocol} ${words.icmp} ${first.icmpType} ${words.reply} ${first.ping[1]} ` +
        `${otherSet(part, "other")} ${keep}`,
      ...known(part, "other", first.plain, keep),
      `goto begin_${side}`,
    ])
  );
}

/** What the rules allowed becomes a flow; without room for it, it does not begin. */
function beganChains(part: Part): string {
  const { side, family, words, name, accept } = part;
  const { icmp, request, outer } = words;
  const lines = ({ protocol, icmpType, ports, ping, plain }: Places) => {
    const remember = (kind: Kind, [own]: Flow, timeout: string) =>
      `update ${ownSet(part, kind)} { ${own} timeout ${timeout} } ${accept}`;
    return [
      `${protocol} ${TCP} ${remember("tcp", ports, OPENING)}`,
      `${protocol} ${UDP} ${remember("udp", ports, ASKED)}`,
      `${protocol} ${icmp} ${icmpType} ${request} ${remember("other", ping, ASKED)}`,
      `${protocol} ${icmp} ${icmpType} != ${request} ${accept}`,
      `${protocol} != ${oneOf([TCP, UDP, icmp])} ${remember("other", plain, PLAIN)}`,
      `goto full_${side}`,
    ];
  };
  const piece = `update @pieces_${name} { ${words.fragment} timeout ${PIECE} }`;
  if (family === 4) return chain(`began_${name}`, [`@nh,48,16 & 0x2000 != 0 ${piece}`, ...lines(outer)]);
  return (
    chain(`began_${name}_piece`, [piece, ...lines(words.first)]) +
    chain(`began_${name}`, [
      `${outer.protocol} ${FRAGMENT} goto began_${name}_piece`,
      `${outer.protocol} ${oneOf([AH, NO_NEXT])} ${accept}`,
      ...lines(outer),
    ])
  );
}
