// How fast an endpoint may receive and send: the texts of a limit, its units, and which limit counts. Stored in bits
// per second and bytes; people write `10mbit`, `125kB/s`, `64kB`. datapath/network/shaping.ts makes kernel objects of
// it.
import Type from "typebox";
import { type Value, optional, strictObject } from "./schema.ts";
import { defined } from "./defined.ts";
import { Fault } from "./fault.ts";

/** As the workload sees it: inbound is what it receives. */
export const DIRECTIONS = ["inbound", "outbound"] as const;
export type Direction = (typeof DIRECTIONS)[number];

const LimitSchema = strictObject({
  average: Type.Integer({ description: "Bits per second that pass in the long run, Ethernet headers included." }),
  peak: optional(
    Type.Integer({ description: "Bits per second at which a burst goes out. Default: as fast as the link is." }),
  ),
  burst: optional(
    Type.Integer({
      description: "Bytes that may pass above the average after a pause. Default: 10 ms of it, at least 4,000.",
    }),
  ),
});
const LimitOrNone = Type.Union([LimitSchema, Type.Literal("none")]);
/** A limit per direction. `none`: no limit, whatever a wider level says. */
export const Qos = strictObject({ inbound: optional(LimitOrNone), outbound: optional(LimitOrNone) });

const Amount = (description: string) => Type.Union([Type.Integer(), Type.String({ maxLength: 64 })], { description });
/** A limit as a request writes it. */
export const LimitText = strictObject({
  average: Amount("Bits per second, or a text like 10mbit or 125kB/s."),
  peak: optional(Amount("The same; more than the average.")),
  burst: optional(Amount("Bytes, or a text like 64kB.")),
});
const Choice = Type.Union([LimitText, Type.Literal("none"), Type.Literal("inherit")]);
/** A request: numbers or texts with units. `inherit`: no limit of its own. */
export const QosInput = strictObject({ inbound: optional(Choice), outbound: optional(Choice) });

export type Limit = Value<typeof LimitSchema>;
export type Qos = Value<typeof Qos>;
export type LimitInput = Value<typeof LimitText>;
export type QosInput = Value<typeof QosInput>;
/** A request after parsing: canonical numbers. */
export type QosPatch = { readonly [D in Direction]?: Limit | "none" | "inherit" };

/** Below, a single frame takes longer than a second. */
const AVERAGE_MIN = 16_000;
const RATE_MAX = 1_000_000_000_000;
/** One full Ethernet frame. */
const BURST_MIN = 2000;
/** The kernel keeps a bucket in 32 bits of nanoseconds (4.29 s at the average), and a queue in 32 bits of bytes. */
const BURST_MAX = 1_000_000_000;
const BURST_SECONDS_MAX = 4;

const PREFIXES: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
};
// A leading zero is octal for some readers, so it is refused.
const NUMBER = "((?:0|[1-9]\\d*)(?:\\.\\d+)?)\\s*";
const BITS = new RegExp(`^${NUMBER}([kmgt]?|[kmg]i)bit(?:/s)?$`, "i");
const BYTES_PER_SECOND = new RegExp(`^${NUMBER}([kmgt]?|[kmg]i)B/s$`, "i");
const BYTES = new RegExp(`^${NUMBER}([kmgt]?|[kmg]i)B?$`, "i");

/** Bits per second; undefined for anything but a whole number of them, written with a unit that is not ambiguous. */
export function rateOf(text: string): number | undefined {
  if (/^(?:0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  const bits = BITS.exec(text);
  const bytes = bits === null ? BYTES_PER_SECOND.exec(text) : null;
  const [, number = "", prefix = ""] = bits ?? bytes ?? [];
  return number === "" ? undefined : wholeOf(number, prefix, bits === null ? 8 : 1);
}

/** Bytes; undefined for anything but a whole number of them. */
export function sizeOf(text: string): number | undefined {
  const [, number = "", prefix = ""] = BYTES.exec(text) ?? [];
  return number === "" ? undefined : wholeOf(number, prefix, 1);
}

function wholeOf(number: string, prefix: string, times: number): number | undefined {
  const exact = Number(number) * (PREFIXES[prefix.toLowerCase()] ?? Number.NaN) * times;
  const value = Math.round(exact);
  // 1.1 times a billion is not quite whole in floating point; 1.5 bits are not whole at all.
  return Number.isSafeInteger(value) && Math.abs(exact - value) <= exact * 1e-12 ? value : undefined;
}

/** `10mbit`, `1.5gbit`; what is no multiple is written in bits. rateOf() reads it back to the same number. */
export function formatRate(bits: number): string {
  return `${scaled(bits, ["", "k", "m", "g", "t"])}bit`;
}

/** `64kB`, `1500B`. sizeOf() reads it back to the same number. */
export function formatSize(bytes: number): string {
  return `${scaled(bytes, ["", "k", "M", "G"])}B`;
}

function scaled(value: number, prefixes: readonly string[]): string {
  let power = 0;
  while (power + 1 < prefixes.length && value >= 1000 ** (power + 1) && value % (1000 ** (power + 1) / 1000) === 0)
    power++;
  return `${value / 1000 ** power}${prefixes[power] ?? ""}`;
}

/** `10mbit, peak 20mbit, burst 64kB`. */
export function formatLimit({ average, peak, burst }: Limit): string {
  return [
    formatRate(average),
    ...(peak === undefined ? [] : [`peak ${formatRate(peak)}`]),
    ...(burst === undefined ? [] : [`burst ${formatSize(burst)}`]),
  ].join(", ");
}

/** Canonical numbers; a Fault `qos-invalid` with the field's path for an invalid or impossible limit. */
export function parseQos(input: QosInput, where: string): QosPatch {
  const parsed: { [D in Direction]?: Limit | "none" | "inherit" } = {};
  for (const direction of DIRECTIONS) {
    const said = input[direction];
    if (said === undefined) continue;
    parsed[direction] = typeof said === "string" ? said : parseLimit(said, `${where}.${direction}`);
  }
  return parsed;
}

function parseLimit(input: LimitInput, where: string): Limit {
  const optional = (name: "peak" | "burst", unit: Unit, range: readonly [number, number]) =>
    input[name] === undefined ? undefined : amountIn(input[name], `${where}.${name}`, unit, range);
  const rates = [AVERAGE_MIN, RATE_MAX] as const;
  const average = amountIn(input.average, `${where}.average`, RATE, rates);
  const peak = optional("peak", RATE, rates);
  // As the kernel sees them: whole bytes per second.
  if (peak !== undefined && Math.floor(peak / 8) <= Math.floor(average / 8))
    throw new Fault("qos-invalid", {
      what: `a peak of ${formatRate(peak)} is not above the average of ${formatRate(average)}`,
      where: `${where}.peak`,
      why: "the peak is how fast a burst goes out, and a burst is what exceeds the average",
      fix: "choose a higher peak, or leave it out",
    });
  return defined({ average, peak, burst: optional("burst", SIZE, [BURST_MIN, mostBurst(average)]) });
}

/** What an amount is measured in. */
type Unit = {
  readonly what: string;
  readonly read: (text: string) => number | undefined;
  readonly format: (value: number) => string;
  readonly fix: string;
};
const RATE: Unit = {
  what: "a rate",
  read: rateOf,
  format: formatRate,
  fix: "write a rate like 10mbit, 1gbit or 125kB/s",
};
const SIZE: Unit = { what: "a size", read: sizeOf, format: formatSize, fix: "write a size like 64kB or 1MB" };

/** The amount, from the least to the most. */
function amountIn(
  value: number | string,
  where: string,
  { what, read, format, fix }: Unit,
  [least, most]: readonly [number, number],
): number {
  const amount = typeof value === "number" ? value : read(value.trim());
  if (amount === undefined) {
    const isAmbiguous = typeof value === "string" && /bps$/i.test(value.trim());
    throw new Fault("qos-invalid", {
      what: `"${String(value).slice(0, 40)}" is not ${what}`,
      where,
      ...(isAmbiguous ? { why: "some read bps as bits and some as bytes per second" } : {}),
      fix,
    });
  }
  if (amount >= least && amount <= most) return amount;
  throw new Fault("qos-invalid", {
    what: `${format(amount)} is out of range`,
    where,
    fix: `choose from ${format(least)} to ${format(most)}`,
  });
}

function mostBurst(average: number): number {
  return Math.min(BURST_MAX, Math.max(BURST_MIN, Math.floor((average / 8) * BURST_SECONDS_MAX)));
}

/** The resource's own limits after a patch; undefined when none is left. */
export function patched(own: Qos | undefined, patch: QosPatch): Qos | undefined {
  const next: { [D in Direction]?: Limit | "none" } = { ...own };
  for (const direction of DIRECTIONS) {
    const said = patch[direction];
    if (said === "inherit") delete next[direction];
    else if (said !== undefined) next[direction] = said;
  }
  return Object.keys(next).length === 0 ? undefined : next;
}

/** The limit that counts: that of the first level that has one, from the narrowest to the widest. */
export function limitOf(levels: readonly (Qos | undefined)[], direction: Direction): Limit | undefined {
  for (const level of levels) {
    const said = level?.[direction];
    if (said !== undefined) return said === "none" ? undefined : said;
  }
  return undefined;
}

type Holder = { readonly qos?: Qos };
type Network = { readonly spec: Holder & { readonly ranges?: readonly (Holder & { readonly name: string })[] } };

/** The levels of a lease's limits, from the narrowest to the widest: its own, its range's, the network's. */
export function levelsOf(network: Network, { qos, range }: Holder & { readonly range?: string }): (Qos | undefined)[] {
  const own = range === undefined ? undefined : network.spec.ranges?.find(({ name }) => name === range);
  return [qos, own?.qos, network.spec.qos];
}

/** Directions in which something is limited. */
export function limited(levels: readonly (Qos | undefined)[]): Direction[] {
  return DIRECTIONS.filter((direction) => limitOf(levels, direction) !== undefined);
}

/** The `bandwidth` capability of CNI: bits per second, and bits of burst; 0 or absent is no limit. */
export type CniBandwidth = {
  readonly ingressRate?: number;
  readonly ingressBurst?: number;
  readonly egressRate?: number;
  readonly egressBurst?: number;
};

/**
 * A pod's CNI limits as a request of Weft: ingress is into the pod. CNI's usual burst of 2^31 or more means "no limit",
 * so a burst is cut to what Weft allows at its rate.
 */
export function qosOfCni({ ingressRate, ingressBurst, egressRate, egressBurst }: CniBandwidth): QosInput {
  return defined({ inbound: cniLimit(ingressRate, ingressBurst), outbound: cniLimit(egressRate, egressBurst) });
}

function cniLimit(rate = 0, burstBits = 0): LimitInput | undefined {
  if (rate === 0) return undefined;
  const burst = Math.max(BURST_MIN, Math.min(mostBurst(rate), Math.ceil(burstBits / 8)));
  return { average: rate, ...(burstBits === 0 ? {} : { burst }) };
}
