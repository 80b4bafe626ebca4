// What a conversion comes to: the resources as they were before it, and its phases. The server advances by these
// functions, and the compiler compiles by them.
import { type Carriage, NETWORK_FIELDS, PHASES, type Phase, VRF_FIELDS } from "./kinds/conversion.ts";
import type { Conversion, Network, NetworkSpec, Vrf, VrfSpec } from "./resource.ts";

type Spec = Conversion["spec"];

const FIELDS = [...new Set([...NETWORK_FIELDS, ...VRF_FIELDS])];

/**
 * For how many milliseconds a host's endpoints lose packets when a device is removed and made again at once, where
 * there cannot be two of them for a time. Measured with a VXLAN device that is a port of a bridge, on Linux 6.18: in
 * ten runs 2 to 7 answers at 1 kHz were missing.
 */
export const ANEW_MS = 10;

/** Those fields of a spec that conversions change. */
export function carriageOf(spec: NetworkSpec | VrfSpec): Carriage {
  const fields: readonly string[] = "ipam" in spec ? NETWORK_FIELDS : VRF_FIELDS;
  return Object.fromEntries(Object.entries(spec).filter(([field]) => fields.includes(field)));
}

/** A spec with other such fields. */
export function withCarriage<S extends NetworkSpec | VrfSpec>(spec: S, carriage: Carriage): S {
  const own = carriageOf(spec);
  const rest = Object.entries(spec).filter(([field]) => !(field in own));
  return { ...Object.fromEntries(rest), ...carriage } as S;
}

/** Whether it is about the frames of this network. */
export function converts({ spec }: Conversion, network: Pick<Network, "name" | "spec">): boolean {
  return network.spec.vrf === spec.vrf && (spec.network === undefined || spec.network === network.name);
}

/** The network and its VRF as they were before. */
export function wayBefore(
  { spec }: Conversion,
  vrf: Vrf,
  network: Network,
): { readonly vrf: Vrf; readonly network: Network } {
  return spec.network === undefined
    ? { vrf: { ...vrf, spec: withCarriage(vrf.spec, spec.from) }, network }
    : { vrf, network: { ...network, spec: withCarriage(network.spec, spec.from) } };
}

/** Whether the size of packets changes: drivers add different headers. */
export function changesMtu({ from, to }: Pick<Spec, "from" | "to">): boolean {
  return from.mtu !== to.mtu || from.driver !== to.driver;
}

/** Whether frames cross another way, and not only in other sizes. */
export function changesWay({ from, to }: Pick<Spec, "from" | "to">): boolean {
  return FIELDS.some((field) => field !== "mtu" && from[field] !== to[field]);
}

/** The phases that it goes through. Packets are narrowed first; what only changes sizes sends no other way. */
export function phasesOf(spec: Pick<Spec, "from" | "to">): readonly Phase[] {
  return PHASES.filter((phase) => phase === "receive" || (phase === "narrow" ? changesMtu(spec) : changesWay(spec)));
}

/** Groups that hosts must be in while a conversion goes from one to the other, whatever their devices send to. */
export function groupsBetween({ from, to }: Pick<Spec, "from" | "to">): readonly string[] {
  return from.group === to.group ? [] : [from.group, to.group].filter((group) => group !== undefined);
}

/** Undefined after the last one. */
export function phaseAfter(spec: Spec): Phase | undefined {
  const phases = phasesOf(spec);
  return phases[phases.indexOf(spec.phase) + 1];
}

/** For people: `tunnelPort 4789 to 8472`. */
export function conversionText({ from, to }: Pick<Spec, "from" | "to">): string {
  return FIELDS.filter((field) => from[field] !== to[field] && field !== "alternate")
    .map((field) => `${field} ${from[field] ?? absentText(field)} to ${to[field] ?? absentText(field)}`)
    .join(", ");
}

/** What a field that is absent comes to. */
function absentText(field: (typeof FIELDS)[number]): string {
  if (field === "peers") return "unicast";
  return field === "group" ? "none" : "auto";
}
